"""Bytes by their sha256, in a folder or any fsspec filesystem.

A file lies under its name only when it is whole: it is written under a temporary name, fsynced, renamed, and the
directory is fsynced. A crash leaves temporary files at most; `sweep_temporary` takes those away.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

T = TypeVar("T")
TEMPORARY = ".part-"  # files whose name begins so are not whole
TEMPORARY_AGE_S = 3600.0  # an older temporary file belongs to nobody who still writes
SYNCING = 8  # fsyncs in flight; the disk merges them
WHOLE_UPLOADS = {"s3", "s3a", "gs", "gcs", "abfs", "az", "memory"}  # an object appears only when all of it is there

_numbers = itertools.count()


class BlobError(Exception):
    """A blob could not be given."""


class BlobMissing(BlobError):
    """No blob has this sha256."""


class BlobCorrupt(BlobError):
    """The stored bytes no longer have the sha256 that they are stored under."""


class Blobs:
    """Content-addressed storage: `put` gives the sha256 that `get` takes.

    Args:
        url: a folder's path, "file://…", or any fsspec URL such as "s3://bucket/folder".
        options: passed to the fsspec filesystem (keys, endpoint).
    """

    def __init__(self, url: str | Path, **options: Any) -> None:
        self.url = str(url)
        folder = _local_folder(self.url)
        self._blobs: _Folder | _Remote = _Remote(self.url, options) if folder is None else _Folder(folder)

    def put(self, content: bytes) -> str:
        """Store bytes and give their sha256 in hex; bytes that are there already are not written again."""
        return self.put_many([content])[0]

    def put_many(self, contents: Sequence[bytes]) -> list[str]:
        """Store several blobs for about the price of one: their fsyncs run side by side."""
        names = [hashlib.sha256(content).hexdigest() for content in contents]
        self._blobs.write(dict(zip(names, contents, strict=True)))
        return names

    def get(self, sha256: str) -> bytes:
        """Give the bytes of a blob, checked against their name.

        Raises:
            BlobMissing: it is not there.
            BlobCorrupt: it is there, but its bytes changed.
        """
        with self.open(sha256) as stream:
            content = stream.read()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BlobCorrupt(f"blob {sha256!r} in {self.url!r} has changed on disk; restore it from a backup")
        return content

    @contextmanager
    def open(self, sha256: str) -> Iterator[BinaryIO]:
        """Open a blob to read and seek in, unchecked.

        Raises:
            BlobMissing: it is not there.
        """
        try:
            stream = self._blobs.open(_checked(sha256))
        except FileNotFoundError as error:
            raise BlobMissing(f"no blob {sha256!r} in {self.url!r}") from error
        with stream:
            yield stream

    def has(self, sha256: str) -> bool:
        """Say whether a blob is there."""
        return self._blobs.has(_checked(sha256))

    def path(self, sha256: str) -> Path | None:
        """Give the file of a blob that is there, or None where blobs are not local files."""
        path = self._blobs.path(_checked(sha256))
        return path if path is not None and path.is_file() else None

    def remove(self, sha256: str) -> None:
        """Take a blob away for good, if it is there: for what only one place names, such as an old checkpoint."""
        self._blobs.remove(_checked(sha256))

    def sweep_temporary(self, older_than_s: float = TEMPORARY_AGE_S) -> int:
        """Take away what crashed writers left, and give the number of files."""
        return self._blobs.sweep(time.time() - older_than_s)


def _checked(sha256: str) -> str:
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise BlobMissing(f"{sha256!r} is not a sha256 in lower-case hex")
    return sha256


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256[2:]}"


def _temporary_name() -> str:
    return f"{TEMPORARY}{os.getpid()}-{time.time_ns()}-{next(_numbers)}"


def _local_folder(url: str) -> Path | None:
    if url.startswith(("file://", "local://")):
        return Path(url.partition("://")[2])
    return None if "://" in url else Path(url)


class _Folder:
    """Blobs in a local folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        for number in range(256):
            (self.root / f"{number:02x}").mkdir(parents=True, exist_ok=True)
        _sync_folder(self.root)

    def path(self, sha256: str) -> Path:
        return self.root / _key(sha256)

    def has(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def open(self, sha256: str) -> BinaryIO:
        return self.path(sha256).open("rb")

    def write(self, contents: dict[str, bytes]) -> None:
        parts = {
            self.path(name).parent / _temporary_name(): name
            for name, content in contents.items()
            if not _is_whole(self.path(name), len(content))
        }
        try:
            _each(lambda part: _write_synced(part, contents[parts[part]]), list(parts))
            for part, name in parts.items():
                part.replace(self.path(name))
        except BaseException:
            for part in parts:
                part.unlink(missing_ok=True)
            raise
        # Also the folders of what was there already: another writer may have renamed it a moment ago.
        _each(_sync_folder, sorted({self.path(name).parent for name in contents}))

    def remove(self, sha256: str) -> None:
        self.path(sha256).unlink(missing_ok=True)

    def sweep(self, before: float) -> int:
        swept = 0
        for part in self.root.glob(f"*/{TEMPORARY}*"):
            try:
                if part.stat().st_mtime < before:
                    part.unlink()
                    swept += 1
            except FileNotFoundError:
                continue  # its writer was alive and has just renamed it
        return swept


class _Remote:
    """Blobs in another fsspec filesystem: an upload appears whole, or is moved into place."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        import fsspec

        self.filesystem, root = fsspec.core.url_to_fs(url, **options)
        self.root = root.rstrip("/")
        protocol = self.filesystem.protocol
        self.uploads_whole = bool(WHOLE_UPLOADS & set((protocol,) if isinstance(protocol, str) else protocol))

    def _at(self, key: str) -> str:
        return f"{self.root}/{key}"

    def path(self, _: str) -> Path | None:
        return None

    def has(self, sha256: str) -> bool:
        return bool(self.filesystem.exists(self._at(_key(sha256))))

    def open(self, sha256: str) -> BinaryIO:
        return cast("BinaryIO", self.filesystem.open(self._at(_key(sha256)), "rb"))

    def write(self, contents: dict[str, bytes]) -> None:
        _each(lambda name: self._write_one(name, contents[name]), [name for name in contents if not self.has(name)])

    def _write_one(self, name: str, content: bytes) -> None:
        final = self._at(_key(name))
        if self.uploads_whole:
            self.filesystem.pipe_file(final, content)
            return
        self.filesystem.makedirs(final.rpartition("/")[0], exist_ok=True)
        part = self._at(f"{name[:2]}/{_temporary_name()}")
        self.filesystem.pipe_file(part, content)
        self.filesystem.mv(part, final)

    def remove(self, sha256: str) -> None:
        if self.has(sha256):
            self.filesystem.rm_file(self._at(_key(sha256)))

    def sweep(self, before: float) -> int:
        swept = 0
        for found in self.filesystem.glob(self._at(f"*/{TEMPORARY}*")):
            if int(found.rpartition(TEMPORARY)[2].split("-")[1]) / 1e9 < before:
                self.filesystem.rm_file(found)
                swept += 1
        return swept


def _is_whole(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except FileNotFoundError:
        return False


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _each(work: Callable[[T], None], items: Sequence[T]) -> None:
    """Run `work` on each item, side by side where there are several; the first failure is raised at the end."""
    if len(items) < 2:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(min(SYNCING, len(items))) as threads:
        for _ in threads.map(work, items):
            pass
