"""What a user of blobs on S3 relies on: nothing is uploaded twice, a short fault is not seen, a long one is said."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from store import bucket as module
from store.blobs import BlobMissing, Blobs, BlobsDown, Link
from tests.conftest import S3Server

PICTURE = b"\x89PNG" + bytes(100_000)


@pytest.fixture
def blobs(s3_url: str) -> Blobs:
    return Blobs(s3_url)


def uploads(server: S3Server) -> int:
    return sum(method == "PUT" and path.count("/") > 2 for method, path in server.asked)


def test_what_is_there_is_not_uploaded_again(blobs: Blobs, s3_server: S3Server) -> None:
    name = blobs.put(PICTURE)
    assert blobs.put(PICTURE) == name
    assert uploads(s3_server) == 1
    sent = [headers for headers in s3_server.headers if headers.get("HTTP_IF_NONE_MATCH") == "*"]
    assert len(sent) == 1


@pytest.mark.parametrize("content", [b"small", PICTURE])
def test_many_writers_at_once_are_harmless(s3_url: str, content: bytes) -> None:
    both = [Blobs(s3_url), Blobs(s3_url)]
    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(lambda number: both[number % 2].put(content), range(24)))
    assert len(names) == 1
    assert both[0].get(names.pop()) == content


def test_an_object_that_was_damaged_is_written_again(blobs: Blobs) -> None:
    name = blobs.put(b"small")
    store: Any = blobs._blobs
    store._put(name, b"cut", False)
    assert blobs.put(b"small") == name
    assert blobs.get(name) == b"small"


def test_a_store_without_conditional_writes_works_too(blobs: Blobs, s3_server: S3Server) -> None:
    s3_server.fault = lambda request: (501, "NotImplemented") if "HTTP_IF_NONE_MATCH" in request else None
    names = blobs.put_many([b"one", b"two", PICTURE])
    assert [blobs.get(name) for name in names] == [b"one", b"two", PICTURE]
    assert blobs.put(b"one") == names[0]


def test_a_short_fault_is_not_seen(blobs: Blobs, s3_server: S3Server) -> None:
    faults = iter([(500, "InternalError"), (503, "SlowDown")])
    s3_server.fault = lambda _: next(faults, None)
    assert blobs.get(blobs.put(b"through")) == b"through"


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (403, "AccessDenied")])
def test_a_long_fault_is_said_within_seconds(blobs: Blobs, s3_server: S3Server, status: int, code: str) -> None:
    name = blobs.put(b"there")
    s3_server.fault = lambda _: (status, code)
    for ask in (lambda: blobs.get(name), lambda: blobs.put(b"new"), blobs.check):
        began = time.monotonic()
        with pytest.raises(BlobsDown, match=f"{code}|{status}"):
            ask()
        assert time.monotonic() - began < 10
    s3_server.fault = lambda _: None
    assert blobs.get(name) == b"there"


def test_a_store_that_is_not_there_is_said_within_seconds(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    began = time.monotonic()
    with pytest.raises(BlobsDown, match="does not answer"):
        Blobs(s3_url).put(b"lost?")
    assert time.monotonic() - began < 10


def test_an_address_that_is_none_is_said(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nowhere")
    with pytest.raises(BlobsDown, match="nowhere"):
        Blobs(s3_url).check()


def test_a_missing_bucket_is_named(s3_url: str) -> None:
    blobs = Blobs("s3://no-such-bucket/blobs")
    for ask in (blobs.check, lambda: blobs.put(b"x"), lambda: blobs.get("0" * 64)):
        with pytest.raises(BlobsDown, match="no bucket 'no-such-bucket'"):
            ask()


def test_no_credentials_is_said(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(BlobsDown, match="credentials"):
        Blobs(s3_url).put(b"x")


def test_an_answer_that_breaks_off_is_read_again(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    name, broken = blobs.put(PICTURE), iter([True, True])
    whole = module.Bucket._stream

    def breaking(self: Any, *asked: Any) -> Any:
        yield from whole(self, *asked)
        if next(broken, False):
            raise module._BrokenOff("the connection broke")

    monkeypatch.setattr(module.Bucket, "_stream", breaking)
    assert blobs.get(name) == PICTURE


def test_only_the_part_that_is_wanted_crosses_the_network(blobs: Blobs, s3_server: S3Server) -> None:
    name = blobs.put(b"\n".join(b"line %d" % number for number in range(500_000)))
    s3_server.headers.clear()
    assert len(b"".join(blobs.chunks(name, 1000, 10))) == 10
    assert s3_server.headers[-1]["HTTP_RANGE"] == "bytes=1000-1009"
    with blobs.open(name) as stream:
        stream.seek(-6, os.SEEK_END)
        assert stream.read() == b"499999"
        stream.seek(0)
        assert stream.readline() == b"line 0\n"
    assert s3_server.headers[-1]["HTTP_RANGE"] == f"bytes=0-{module.BUFFER_BYTES - 1}"


def test_an_empty_blob(blobs: Blobs) -> None:
    name = blobs.put(b"")
    with blobs.open(name) as stream:
        assert stream.read() == b""
    assert list(blobs.chunks(name, 0, 0)) == []


def test_a_forked_process_opens_connections_of_its_own(blobs: Blobs) -> None:
    name = blobs.put(b"shared")
    child = os.fork()
    if child == 0:
        os._exit(0 if blobs.get(name) == b"shared" and len(blobs._blobs._clients) == 2 else 1)  # type: ignore[attr-defined]
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert blobs.get(name) == b"shared"


def test_a_signed_link_gives_the_bytes_as_we_would_have_sent_them(blobs: Blobs) -> None:
    name = blobs.put(PICTURE)
    link = Link(60, "image/png", 'inline; filename="cat.png"')
    signed = blobs.link(name, link)
    assert signed is not None
    answer = httpx.get(signed, headers={"range": "bytes=1-3"}, trust_env=False)
    assert answer.content == b"PNG"
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == 'inline; filename="cat.png"'
    public = Link(60, "image/png", "inline", "https://files.example.com")
    elsewhere = blobs.link(name, public)
    assert elsewhere is not None
    assert elsewhere.startswith("https://files.example.com/atelier-")
    assert "X-Amz-Signature=" in elsewhere
    assert "X-Amz-Expires=60" in elsewhere


def test_what_is_not_there_is_missing(blobs: Blobs) -> None:
    with pytest.raises(BlobMissing):
        blobs.get("0" * 64)
