"""Blobs in a local folder, and what all kinds of blob stores share."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar

from store.blobs import BlobsDown, Link, Stored

T = TypeVar("T")
TEMPORARY = ".part-"  # files whose name begins so are not whole
SIDE_BY_SIDE = 8  # fsyncs or requests in flight; the disk merges them
CHUNK_BYTES = 1 << 18

_numbers = itertools.count()


class Folder:
    """Blobs in a local folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        for number in range(256):
            (self.root / f"{number:02x}").mkdir(parents=True, exist_ok=True)
        _sync_folder(self.root)

    def path(self, sha256: str) -> Path:
        """See `store.blobs.Store.path`."""
        return self.root / key(sha256)

    def has(self, sha256: str) -> bool:
        """See `store.blobs.Store.has`."""
        return self.path(sha256).is_file()

    def read(self, sha256: str) -> bytes:
        """See `store.blobs.Store.read`."""
        return self.path(sha256).read_bytes()

    def size(self, sha256: str) -> int:
        """See `store.blobs.Store.size`."""
        return self.path(sha256).stat().st_size

    def open(self, sha256: str) -> BinaryIO:
        """See `store.blobs.Store.open`."""
        return self.path(sha256).open("rb")

    def chunks(self, sha256: str, first: int, size_bytes: int) -> Iterator[bytes]:
        """See `store.blobs.Store.chunks`."""
        with self.open(sha256) as stream:
            yield from part_of(stream, first, size_bytes)

    def write(self, contents: Mapping[str, bytes]) -> None:
        """See `store.blobs.Store.write`."""
        parts = {
            self.path(name).parent / temporary_name(): name
            for name, content in contents.items()
            if not _is_whole(self.path(name), len(content))
        }
        try:
            each(lambda part: _write_synced(part, contents[parts[part]]), list(parts))
            for part, name in parts.items():
                part.replace(self.path(name))
        except BaseException:
            for part in parts:
                part.unlink(missing_ok=True)
            raise
        # Also the folders of what was there already: another writer may have renamed it a moment ago.
        each(_sync_folder, sorted({self.path(name).parent for name in contents}))

    def remove(self, sha256: str) -> None:
        """See `store.blobs.Store.remove`."""
        self.path(sha256).unlink(missing_ok=True)

    def names(self, prefix: str) -> Iterator[Stored]:
        """See `store.blobs.Store.names`."""
        for entry in os.scandir(self.root / prefix):
            if not entry.name.startswith(TEMPORARY):
                yield Stored(prefix + entry.name, entry.stat().st_mtime)

    def link(self, _sha256: str, _link: Link) -> str | None:
        """See `store.blobs.Store.link`."""
        return None

    def check(self) -> None:
        """See `store.blobs.Store.check`."""
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise BlobsDown(f"the folder of the blobs {str(self.root)!r} is not there or cannot be written")

    def sweep(self, before: float) -> int:
        """See `store.blobs.Store.sweep`."""
        swept = 0
        for part in self.root.glob(f"*/{TEMPORARY}*"):
            try:
                if part.stat().st_mtime < before:
                    part.unlink()
                    swept += 1
            except FileNotFoundError:
                continue  # its writer was alive and has just renamed it
        return swept


def key(sha256: str) -> str:
    """Give where a blob lies below the root."""
    return f"{sha256[:2]}/{sha256[2:]}"


def temporary_name() -> str:
    """Give a name that no other writer has; it tells when it was begun."""
    return f"{TEMPORARY}{os.getpid()}-{time.time_ns()}-{next(_numbers)}"


def part_of(stream: BinaryIO, first: int, size_bytes: int) -> Iterator[bytes]:
    """Read a part of a stream in chunks."""
    stream.seek(first)
    while size_bytes > 0 and (chunk := stream.read(min(CHUNK_BYTES, size_bytes))):
        size_bytes -= len(chunk)
        yield chunk


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


def each(work: Callable[[T], None], items: Sequence[T]) -> None:
    """Run `work` on each item, side by side where there are several; the first failure is raised at the end."""
    if len(items) < 2:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(items))) as threads:
        for _ in threads.map(work, items):
            pass
