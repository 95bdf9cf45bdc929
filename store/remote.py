"""Blobs in any fsspec filesystem that is neither a local folder nor S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from store.blobs import BlobsDown, Link, Stored
from store.folder import TEMPORARY, each, key, part_of, temporary_name

WHOLE_UPLOADS = {"gs", "gcs", "abfs", "az", "memory"}  # an object appears only when all of it is there


class Remote:
    """Blobs in another fsspec filesystem: an upload appears whole, or is moved into place."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        import fsspec

        # A listing that is kept would hide what others wrote since.
        self.filesystem, root = fsspec.core.url_to_fs(url, **{"use_listings_cache": False, **options})
        self.url, self.root = url, root.rstrip("/")
        protocol = self.filesystem.protocol
        self.uploads_whole = bool(WHOLE_UPLOADS & set((protocol,) if isinstance(protocol, str) else protocol))

    def _at(self, key: str) -> str:
        return f"{self.root}/{key}"

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise BlobsDown(f"the blob store {self.url!r} does not answer: {error}") from error

    def path(self, _: str) -> Path | None:
        """See `store.blobs.Store.path`."""
        return None

    def has(self, sha256: str) -> bool:
        """See `store.blobs.Store.has`."""
        with self._reached():
            return bool(self.filesystem.exists(self._at(key(sha256))))

    def read(self, sha256: str) -> bytes:
        """See `store.blobs.Store.read`."""
        with self._reached():
            return bytes(self.filesystem.cat_file(self._at(key(sha256))))

    def size(self, sha256: str) -> int:
        """See `store.blobs.Store.size`."""
        with self._reached():
            return int(self.filesystem.size(self._at(key(sha256))))

    def open(self, sha256: str) -> BinaryIO:
        """See `store.blobs.Store.open`."""
        with self._reached():
            return cast("BinaryIO", self.filesystem.open(self._at(key(sha256)), "rb"))

    def chunks(self, sha256: str, first: int, size_bytes: int) -> Iterator[bytes]:
        """See `store.blobs.Store.chunks`."""
        with self._reached(), self.open(sha256) as stream:
            yield from part_of(stream, first, size_bytes)

    def write(self, contents: Mapping[str, bytes]) -> None:
        """See `store.blobs.Store.write`."""
        each(lambda name: self._write_one(name, contents[name]), [name for name in contents if not self.has(name)])

    def _write_one(self, name: str, content: bytes) -> None:
        final = self._at(key(name))
        with self._reached():
            if self.uploads_whole:
                self.filesystem.pipe_file(final, content)
                return
            self.filesystem.makedirs(final.rpartition("/")[0], exist_ok=True)
            part = self._at(f"{name[:2]}/{temporary_name()}")
            self.filesystem.pipe_file(part, content)
            self.filesystem.mv(part, final)

    def remove(self, sha256: str) -> None:
        """See `store.blobs.Store.remove`."""
        if self.has(sha256):
            with self._reached():
                self.filesystem.rm_file(self._at(key(sha256)))

    def names(self, prefix: str) -> Iterator[Stored]:
        """See `store.blobs.Store.names`."""
        with self._reached():
            for found in self.filesystem.glob(self._at(f"{prefix}/*")):
                name = found.rpartition("/")[2]
                if not name.startswith(TEMPORARY):
                    yield Stored(prefix + name, self.filesystem.modified(found).timestamp())

    def link(self, _sha256: str, _link: Link) -> str | None:
        """See `store.blobs.Store.link`."""
        return None

    def check(self) -> None:
        """See `store.blobs.Store.check`."""
        with self._reached():
            self.filesystem.exists(self.root)

    def sweep(self, before: float) -> int:
        """See `store.blobs.Store.sweep`."""
        swept = 0
        for found in self.filesystem.glob(self._at(f"*/{TEMPORARY}*")):
            if int(found.rpartition(TEMPORARY)[2].split("-")[1]) / 1e9 < before:
                self.filesystem.rm_file(found)
                swept += 1
        return swept
