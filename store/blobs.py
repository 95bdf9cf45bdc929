"""Bytes by their sha256, in a folder or any fsspec filesystem.

A file lies under its name only when it is whole: it is written under a temporary name, fsynced, renamed, and the
directory is fsynced. A crash leaves temporary files at most; `sweep_temporary` takes those away. What lies on S3 is
reached by `store.bucket`, everything else by fsspec.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

log = logging.getLogger(__name__)

TEMPORARY_AGE_S = 3600.0  # an older temporary file belongs to nobody who still writes


class BlobError(Exception):
    """A blob could not be given."""


class BlobMissing(BlobError):
    """No blob has this sha256."""


class BlobCorrupt(BlobError):
    """The stored bytes no longer have the sha256 that they are stored under."""


class BlobsDown(Exception):  # like BlobMissing; no BlobError, because the blob may well be there
    """The store does not answer, or refuses us: what needs it is tried again later."""


@dataclass(frozen=True)
class Stored:
    """A blob as a listing shows it; `modified_at` in seconds since 1970."""

    sha256: str
    modified_at: float


@dataclass(frozen=True)
class Link:
    """What a signed link gives: for how long, as which type, under which header, at which address of the store."""

    valid_s: int
    media_type: str
    disposition: str
    endpoint: str | None = None


class Store(Protocol):
    """Where blobs lie. Missing ones raise FileNotFoundError."""

    def path(self, sha256: str, /) -> Path | None:
        """Give the file of a blob, None where blobs are no local files."""

    def has(self, sha256: str, /) -> bool:
        """Say whether a blob is there, now."""

    def read(self, sha256: str, /) -> bytes:
        """Read a blob whole."""

    def size(self, sha256: str, /) -> int:
        """Give the length of a blob in bytes."""

    def open(self, sha256: str, /) -> BinaryIO:
        """Open a blob to read and seek in."""

    def chunks(self, sha256: str, first: int, size_bytes: int, /) -> Iterator[bytes]:
        """Read a part of a blob."""

    def write(self, contents: Mapping[str, bytes], /) -> None:
        """Write blobs that may be there already."""

    def remove(self, sha256: str, /) -> None:
        """Take a blob away, if it is there."""

    def names(self, prefix: str, /) -> Iterator[Stored]:
        """List the blobs whose names begin with two hex digits."""

    def sweep(self, before: float, /) -> int:
        """Take away what writers left that began before a time."""

    def link(self, sha256: str, link: Link, /) -> str | None:
        """Sign a link, None where the store cannot."""

    def check(self) -> None:
        """Raise BlobsDown if the store cannot be used."""


class Blobs:
    """Content-addressed storage: `put` gives the sha256 that `get` takes.

    Args:
        url: a folder's path, "file://…", or any fsspec URL such as "s3://bucket/folder".
        options: passed to the fsspec filesystem. S3 takes none: it reads the AWS_* variables.
    """

    def __init__(self, url: str | Path, **options: Any) -> None:
        self.url = str(url)
        self._blobs = _store(self.url, options)

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
            BlobsDown: the store does not answer; so it is with all that reads or writes.
        """
        try:
            content = self._blobs.read(_checked(sha256))
        except FileNotFoundError as error:
            raise BlobMissing(f"no blob {sha256!r} in {self.url!r}") from error
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

    def chunks(self, sha256: str, first: int, size_bytes: int) -> Iterator[bytes]:
        """Read a part of a blob, unchecked, without reading the rest.

        Raises:
            BlobMissing: it is not there; raised at the first chunk.
        """
        try:
            yield from self._blobs.chunks(_checked(sha256), first, size_bytes)
        except FileNotFoundError as error:
            raise BlobMissing(f"no blob {sha256!r} in {self.url!r}") from error

    def size(self, sha256: str) -> int:
        """Give the length of a blob in bytes.

        Raises:
            BlobMissing: it is not there.
        """
        try:
            return self._blobs.size(_checked(sha256))
        except FileNotFoundError as error:
            raise BlobMissing(f"no blob {sha256!r} in {self.url!r}") from error

    def has(self, sha256: str) -> bool:
        """Say whether a blob is there."""
        return self._blobs.has(_checked(sha256))

    def names(self, prefix: str) -> Iterator[Stored]:
        """List the blobs whose names begin with two hex digits, "00" to "ff", in no order."""
        return (stored for stored in self._blobs.names(prefix) if _is_name(stored.sha256))

    def link(self, sha256: str, link: Link) -> str | None:
        """Give an address from which a client without a key of ours reads a blob; None where the store signs none."""
        return self._blobs.link(_checked(sha256), link)

    def check(self) -> None:
        """Make sure that the store can be used.

        Raises:
            BlobsDown: it does not answer, its bucket is missing, or it refuses us; the message says what to do.
        """
        self._blobs.check()

    def path(self, sha256: str) -> Path | None:
        """Give the file of a blob that is there, or None where blobs are not local files."""
        path = self._blobs.path(_checked(sha256))
        return path if path is not None and path.is_file() else None

    def remove(self, sha256: str) -> None:
        """Take a blob away for good, if it is there: for what only one place names, such as an old checkpoint."""
        try:
            self._blobs.remove(_checked(sha256))
        except BlobsDown as error:
            log.warning("blob %s stays until the next sweep: %s", sha256, error)

    def sweep_temporary(self, older_than_s: float = TEMPORARY_AGE_S) -> int:
        """Take away what crashed writers left, and give the number of files."""
        return self._blobs.sweep(time.time() - older_than_s)


def _is_name(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _checked(sha256: str) -> str:
    if not _is_name(sha256):
        raise BlobMissing(f"{sha256!r} is not a sha256 in lower-case hex")
    return sha256


def _store(url: str, options: Mapping[str, Any]) -> Store:
    folder = _local_folder(url)
    if folder is not None:
        from store.folder import Folder

        return Folder(folder)
    if url.startswith(("s3://", "s3a://")):
        try:
            from store.bucket import Bucket
        except ModuleNotFoundError as error:
            raise BlobError(f"{url!r} needs packages for clusters: pip install 'atelier[cluster]'") from error
        return Bucket(url)
    from store.remote import Remote

    return Remote(url, options)


def _local_folder(url: str) -> Path | None:
    if url.startswith(("file://", "local://")):
        return Path(url.partition("://")[2])
    return None if "://" in url else Path(url)
