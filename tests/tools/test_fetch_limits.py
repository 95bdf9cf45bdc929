"""A fetch ends in time, within its bytes, and when its caller says so."""

from __future__ import annotations

import gzip
import itertools
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tools.raw_server import MEGABYTE, RawServer, dripped, fetch, said, serving, traced
from tools.fetch import Fetcher, TimedOut, TooLarge

GZIP = "Content-Encoding: gzip"


def _silent(server: list[RawServer]) -> Iterator[bytes]:
    server[0].rest()
    yield b""


def _slow(kind: str, server: list[RawServer]) -> Iterator[bytes]:
    if kind == "headers":
        yield from dripped(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, server[0].rest)
    elif kind == "body":
        yield from dripped(said(b"x" * 1000), server[0].rest)
    elif kind == "interim":
        while not server[0].over.is_set():
            yield b"HTTP/1.1 100 Continue\r\n\r\n"
            server[0].rest(0.01)
    elif kind == "half":
        yield said(b"x" * 1000)[:-1]
        server[0].rest()
    yield from _silent(server)


@pytest.mark.parametrize("kind", ["nothing", "headers", "body", "interim", "half"])
def test_a_server_that_takes_for_ever_ends_in_time(kind: str) -> None:
    servers: list[RawServer] = []
    began = time.monotonic()
    with serving(lambda request: _slow(kind, servers)) as server:
        servers.append(server)
        with pytest.raises(TimedOut, match=r"longer than 0\.5 s"):
            fetch(server, timeout_s=0.5)
        assert time.monotonic() - began < 1


def test_a_server_that_does_not_read_ends_in_time() -> None:
    servers: list[RawServer] = []
    with serving(lambda request: _silent(servers)) as server:
        servers.append(server)
        with pytest.raises(TimedOut):
            fetch(server, method="POST", content=b"x" * 50 * MEGABYTE, timeout_s=0.5)


def test_a_handshake_that_never_ends_ends_in_time() -> None:
    servers: list[RawServer] = []
    with serving(lambda request: _silent(servers)) as server:
        servers.append(server)
        server.scheme = "https"
        with pytest.raises(TimedOut):
            fetch(server, timeout_s=0.5)


def test_a_resolver_that_never_answers_ends_in_time() -> None:
    began = time.monotonic()
    with pytest.raises(TimedOut):
        Fetcher(resolve=lambda host, port: time.sleep(2) or []).fetch(
            "GET", "http://slow.test/", max_bytes=1, timeout_s=0.3
        )
    assert time.monotonic() - began < 1


class Stop(Exception):
    """What a caller raises to end a fetch."""


@pytest.mark.parametrize("kind", ["nothing", "headers", "body", "interim"])
def test_the_caller_is_asked_all_along_and_can_end_it(kind: str) -> None:
    """The best of three: a fault is there each time, a busy machine is not."""
    looked = [_asked(kind) for _ in range(3)]
    assert min(after_stop for _, after_stop in looked) < 0.1
    assert min(longest for longest, _ in looked) < 0.2


def _asked(kind: str) -> tuple[float, float]:
    """Give the longest time between two questions, and how long the fetch went on after it was to end."""
    servers: list[RawServer] = []
    times: list[float] = [time.monotonic()]

    def on_wait() -> None:
        times.append(time.monotonic())
        if len(times) > 6:
            raise Stop

    with serving(lambda request: _slow(kind, servers)) as server:
        servers.append(server)
        with pytest.raises(Stop):
            fetch(server, on_wait=on_wait)
        after_stop = time.monotonic() - times[-1]
    return max(later - earlier for earlier, later in itertools.pairwise(times)), after_stop


def test_the_caller_is_asked_while_the_name_is_looked_up() -> None:
    def on_wait() -> None:
        if time.monotonic() - began > 0.3:
            raise Stop

    began = time.monotonic()
    with pytest.raises(Stop):
        Fetcher(resolve=lambda host, port: time.sleep(2) or []).fetch(
            "GET", "http://slow.test/", max_bytes=1, timeout_s=5, on_wait=on_wait
        )
    assert time.monotonic() - began < 0.6


def peak_of(server: RawServer, **given: Any) -> int:
    """Fetch what is too large and give the most memory that Python held meanwhile, in bytes."""
    with traced() as peak, pytest.raises(TooLarge):
        fetch(server, **given)
    return peak()


BLOCK = bytes(65_536)


def _hundred_megabytes(request: bytes) -> Iterator[bytes]:
    if b"/known" in request:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
    elif b"/chunked" in request:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for _ in range(1600):
            yield b"10000\r\n" + BLOCK + b"\r\n"
    else:
        yield b"HTTP/1.1 200 OK\r\n\r\n"
    for _ in range(1600):
        yield BLOCK


@pytest.mark.parametrize("path", ["/known", "/chunked", "/unsaid"])
def test_a_hundred_megabytes_are_cut_off(path: str) -> None:
    with serving(_hundred_megabytes) as server:
        assert peak_of(server, path=path) < 4 * MEGABYTE
    assert server.sent_bytes < 20 * MEGABYTE  # what lies in the buffers between the two


def bomb(gigabytes: int) -> bytes:
    """Give a gzip stream that unpacks to zeros: one packed block after the other, each whole in itself."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(10 * MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * (gigabytes * 100)


def test_a_bomb_of_ten_gigabytes_is_stopped_on_its_way() -> None:
    answer = said(bomb(10), GZIP)
    assert len(answer) < 12 * MEGABYTE
    began = time.monotonic()
    with serving(lambda request: [answer]) as server:
        assert peak_of(server, max_bytes=20 * MEGABYTE) < 50 * MEGABYTE
        assert peak_of(server, max_bytes=MEGABYTE) < 4 * MEGABYTE
    assert time.monotonic() - began < 3


def test_packed_bytes_that_unpack_to_nothing_are_counted_too() -> None:
    empty = gzip.compress(b"") * 100_000
    with serving(lambda request: [f"HTTP/1.1 200 OK\r\n{GZIP}\r\n\r\n".encode(), empty]) as server:
        assert peak_of(server) < 4 * MEGABYTE
