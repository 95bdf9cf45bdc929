"""Blobs on S3, or a store that speaks like it, by botocore.

The endpoint and the credentials are botocore's own: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_DEFAULT_REGION, a profile, or the role of the machine. An upload appears whole, and only where nothing was before
(`If-None-Match`), so two writers of one blob are harmless. A call ends within seconds; the long wait belongs to the
worker, which puts its step back.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from store.blobs import BlobsDown, Link, Stored
from store.folder import CHUNK_BYTES, SIDE_BY_SIDE, each, key

CONNECT_S, READ_S, ATTEMPTS = 2, 8, 3
SMALL_BYTES = 1 << 16  # up to here an upload that proves needless costs less than asking first
BUFFER_BYTES = 1 << 20  # what a reader that seeks fetches at once
MISSING = {"NoSuchKey", "404", "NotFound"}
THERE = {"PreconditionFailed", "412"}
RACING = {"ConditionalRequestConflict", "409"}  # another upload of this name is under way
UNKNOWN_CONDITION = {"NotImplemented", "501", "InvalidArgument", "InvalidRequest"}


class _BrokenOff(BlobsDown):
    """The connection broke in the middle of a blob."""


class Bucket:
    """Blobs below a prefix of a bucket."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name, _, prefix = url.partition("://")[2].partition("/")
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._clients: dict[tuple[int, str | None], Any] = {}  # by process, because a fork must not share sockets
        self._opening = threading.Lock()
        self._conditional = True

    def _client(self, endpoint: str | None = None) -> Any:
        which = (os.getpid(), endpoint)
        if which not in self._clients:
            with self._opening:
                if which not in self._clients:
                    self._clients[which] = _client(endpoint)
        return self._clients[which]

    def _at(self, sha256: str) -> dict[str, str]:
        return {"Bucket": self.name, "Key": self.prefix + key(sha256)}

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._refused(error) from error
        except (BotoCoreError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise BlobsDown(f"the blob store {self.url!r} does not answer: {error}") from error

    def _refused(self, error: ClientError) -> Exception:
        code, message = _code(error), error.response.get("Error", {}).get("Message", "")
        if code in MISSING:
            return FileNotFoundError(code)
        if code == "NoSuchBucket":
            return self._no_bucket()
        if _status(error) in {301, 400, 401, 403}:
            return BlobsDown(
                f"the blob store refuses us at bucket {self.name!r} ({code}: {message}); look at AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL, the clock and the bucket's policy"
            )
        return BlobsDown(f"the blob store {self.url!r} answered {code}: {message}")

    def _no_bucket(self) -> BlobsDown:
        ways = "ATELIER_BLOBS_URL, or `--to-blobs` of a move"
        return BlobsDown(f"there is no bucket {self.name!r}; create it, or name another ({ways})")

    def path(self, _: str) -> Path | None:
        """See `store.blobs.Store.path`."""
        return None

    def has(self, sha256: str) -> bool:
        """See `store.blobs.Store.has`."""
        try:
            self.size(sha256)
        except FileNotFoundError:
            return False
        return True

    def size(self, sha256: str) -> int:
        """See `store.blobs.Store.size`."""
        with self._reached():
            return int(self._client().head_object(**self._at(sha256))["ContentLength"])

    def open(self, sha256: str) -> BinaryIO:
        """See `store.blobs.Store.open`."""
        fetch = partial(self._fetch, sha256)
        return cast("BinaryIO", io.BufferedReader(_Object(fetch, self.size(sha256)), BUFFER_BYTES))

    def read(self, sha256: str) -> bytes:
        """See `store.blobs.Store.read`."""
        return self._fetch(sha256, "bytes=0-")

    def _fetch(self, sha256: str, wanted: str) -> bytes:
        """Read a range whole; a connection that breaks in the middle is tried again."""
        for _ in range(ATTEMPTS - 1):
            with suppress(_BrokenOff):
                return b"".join(self._stream(sha256, wanted))
        return b"".join(self._stream(sha256, wanted))

    def chunks(self, sha256: str, first: int, size_bytes: int) -> Iterator[bytes]:
        """See `store.blobs.Store.chunks`."""
        return self._stream(sha256, _range(first, size_bytes)) if size_bytes > 0 else iter(())

    def _stream(self, sha256: str, wanted: str) -> Iterator[bytes]:
        with self._reached():
            try:
                body = self._client().get_object(**self._at(sha256), Range=wanted)["Body"]
            except ClientError as error:
                if _status(error) == 416:  # an empty blob has no range
                    return
                raise
        try:
            with body:
                yield from body.iter_chunks(CHUNK_BYTES)
        except (BotoCoreError, OSError) as error:
            raise _BrokenOff(f"the blob store {self.url!r} broke off: {error}") from error

    def write(self, contents: Mapping[str, bytes]) -> None:
        """See `store.blobs.Store.write`."""
        each(lambda name: self._write_one(name, contents[name]), list(contents))

    def _write_one(self, sha256: str, content: bytes) -> None:
        if (len(content) > SMALL_BYTES or not self._conditional) and self._is_there(sha256, len(content)):
            return
        with self._reached():
            for attempt in range(1, ATTEMPTS + 1):
                conditional = self._conditional
                try:
                    self._put(sha256, content, conditional)
                    break
                except ClientError as error:
                    code = _code(error)
                    if code in THERE and self._is_there(sha256, len(content)):
                        break
                    if code in THERE:  # something else lies under our name
                        self._put(sha256, content, conditional=False)
                        break
                    if conditional and code in UNKNOWN_CONDITION:
                        self._conditional = False
                    elif code not in RACING or attempt == ATTEMPTS:
                        raise

    def _is_there(self, sha256: str, size_bytes: int) -> bool:
        try:
            return self.size(sha256) == size_bytes
        except FileNotFoundError:
            return False

    def _put(self, sha256: str, content: bytes, conditional: bool) -> None:
        only_new = {"IfNoneMatch": "*"} if conditional else {}
        self._client().put_object(**self._at(sha256), Body=content, **only_new)

    def remove(self, sha256: str) -> None:
        """See `store.blobs.Store.remove`."""
        with self._reached():
            self._client().delete_object(**self._at(sha256))

    def names(self, prefix: str) -> Iterator[Stored]:
        """See `store.blobs.Store.names`."""
        with self._reached():
            pages = self._client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.name, Prefix=f"{self.prefix}{prefix}/"):
                for found in page.get("Contents", ()):
                    yield Stored(prefix + found["Key"].rpartition("/")[2], found["LastModified"].timestamp())

    def link(self, sha256: str, link: Link) -> str | None:
        """See `store.blobs.Store.link`."""
        asked = {"ResponseContentType": link.media_type, "ResponseContentDisposition": link.disposition}
        with self._reached():
            signed: str = self._client(link.endpoint).generate_presigned_url(
                "get_object", Params={**self._at(sha256), **asked}, ExpiresIn=link.valid_s
            )
        return signed

    def check(self) -> None:
        """See `store.blobs.Store.check`."""
        try:
            with self._reached():
                self._client().head_bucket(Bucket=self.name)
        except FileNotFoundError:
            raise self._no_bucket() from None

    def sweep(self, _: float) -> int:
        """See `store.blobs.Store.sweep`."""
        return 0  # an upload that was broken off leaves nothing


class _Object(io.RawIOBase):
    """An object that is read in ranges, so that a reader can seek in it."""

    def __init__(self, fetch: Callable[[str], bytes], size_bytes: int) -> None:
        self._fetch, self._size, self._at = fetch, size_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, into: Any) -> int:
        content = self._take(len(into))
        into[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        return self._take(self._size)

    def _take(self, size_bytes: int) -> bytes:
        wanted = min(size_bytes, self._size - self._at)
        content = self._fetch(_range(self._at, wanted)) if wanted > 0 else b""
        self._at += len(content)
        return content


def _range(first: int, size_bytes: int) -> str:
    return f"bytes={first}-{first + size_bytes - 1}"


def _client(endpoint: str | None) -> Any:
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=4 * SIDE_BY_SIDE,
        signature_version="s3v4",
        # Other stores than Amazon's do not know its newer checksums; the signature covers the bytes instead.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"payload_signing_enabled": True},
    )
    try:
        return Session().create_client("s3", endpoint_url=endpoint, config=config)
    except ValueError as error:  # botocore's word for an address that is none
        raise BlobsDown(f"{error}; set AWS_ENDPOINT_URL, or ATELIER_BLOBS_PUBLIC_URL for links") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", _status(error)))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
