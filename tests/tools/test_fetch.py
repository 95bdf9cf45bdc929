"""The one function that fetches, against servers that misbehave."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest

from tests.tools.raw_server import KEYS, MEGABYTE, authority, fetch, moved, said, serving
from tools.fetch import Fetcher, FetchFailed, FetchRefused, Origin, TooLarge


def test_an_answer_with_its_status_type_and_bytes() -> None:
    answer = said(b"\x00\x01", "Content-Type: Image/PNG; x=y", "X-Page: 2", status="201 Created")
    with serving(lambda request: [answer]) as server:
        fetched = fetch(server, "/a%2Fb?c=d e", method="POST", content=b"body", headers=KEYS)
    assert (fetched.status, fetched.media_type, fetched.content) == (201, "image/png", b"\x00\x01")
    assert fetched.headers["x-page"] == "2"
    assert fetched.url == f"{server.url}/a%2Fb?c=d%20e"
    head, body = server.requests[0].split(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /a%2fb?c=d%20e http/1.1"
    assert {b"authorization: bearer s3cret", b"accept-encoding: identity", b"content-length: 4"} <= set(lines)
    assert body == b"body"


def test_ipv6_and_head() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"
    with serving(lambda request: [answer], host="::1") as server:
        server.host = "[::1]"
        assert fetch(server, method="HEAD").content == b""


def test_this_machine_is_refused_without_a_declaration() -> None:
    with serving(lambda request: [said(b"inside")]) as server:
        for allowed in ([], [Origin("https", "127.0.0.1", server.port)], [Origin("http", "localhost", server.port)]):
            with pytest.raises(FetchRefused, match="private"):
                Fetcher(allowed).fetch("GET", server.url, max_bytes=MEGABYTE, timeout_s=5)
    assert server.requests == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "//127.0.0.1", "http://"]
)
def test_only_http_and_https_are_fetched(url: str) -> None:
    with pytest.raises(FetchRefused):
        Fetcher().fetch("GET", url, max_bytes=1, timeout_s=1)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(FetchRefused, match="declare it as auth") as refused:
        Fetcher().fetch("GET", "http://me:s3cret@api.test/", max_bytes=1, timeout_s=1)
    assert "s3cret" not in str(refused.value)


def test_proxies_of_the_environment_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda request: [said(b"proxy")]) as proxy, serving(lambda request: [said(b"direct")]) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert fetch(server).content == b"direct"
    assert proxy.requests == []


PLAIN = b"colours of the house " * 10_000


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(PLAIN)),
        ("x-gzip", gzip.compress(PLAIN[:9]) + gzip.compress(PLAIN[9:])),
        ("deflate", zlib.compress(PLAIN)),
        ("deflate", zlib.compress(PLAIN, wbits=-15)),
        ("identity", PLAIN),
    ],
)
def test_what_came_packed_unasked_is_unpacked(encoding: str, packed: bytes) -> None:
    answer = said(packed, f"Content-Encoding: {encoding}")
    with serving(lambda request: [answer[:80], answer[80:]]) as server:
        assert fetch(server).content == PLAIN


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress(PLAIN)[:-9]), ("gzip", b"not packed"), ("br", b"x"), ("gzip, gzip", b"x")],
)
def test_what_cannot_be_unpacked(encoding: str, packed: bytes) -> None:
    answer = said(packed, f"Content-Encoding: {encoding}")
    with serving(lambda request: [answer]) as server, pytest.raises(FetchFailed, match="packed"):
        fetch(server)


def test_a_length_that_is_too_long_and_one_that_is_too_short() -> None:
    too_long, too_short = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!", said(b"four") + b" and more"
    with serving(lambda request: [too_long]) as server, pytest.raises(FetchFailed, match="breaks off"):
        fetch(server)
    with serving(lambda request: [too_short]) as server:
        assert fetch(server).content == b"four"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff\xfe garbage",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nfive!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 2_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000 + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[bad\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\x01://\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_garbage_is_a_failure_and_not_a_crash(answer: bytes) -> None:
    with serving(lambda request: [answer]) as server, pytest.raises((FetchFailed, FetchRefused, TooLarge)):
        fetch(server)


def test_a_server_that_sends_our_key_back_as_garbage_does_not_get_it_into_a_message() -> None:
    with serving(lambda request: [request]) as server, pytest.raises(FetchFailed) as failed:
        fetch(server, headers=KEYS)
    assert "s3cret" in server.requests[0].decode()
    assert "s3cret" not in str(failed.value)
    assert failed.value.__cause__ is None


@pytest.mark.parametrize("value", ["s3cret\r\nX-Injected: 1", "s3cret\n", "s3cret\x00"])
def test_a_header_cannot_be_split(value: str) -> None:
    with pytest.raises(FetchRefused, match="'x-key'") as refused:
        Fetcher().fetch("GET", "http://api.test/", headers={"X-Key": value}, max_bytes=1, timeout_s=1)
    assert "s3cret" not in str(refused.value)


def test_the_caller_cannot_change_who_is_asked() -> None:
    with serving(lambda request: [said(b"")]) as server:
        fetch(server, headers={"Host": "other.test", "Content-Length": "99", "Transfer-Encoding": "chunked"})
    assert b"other.test" not in server.requests[0]
    assert b"chunked" not in server.requests[0]


def test_a_line_break_in_a_path_does_not_reach_the_wire() -> None:
    with serving(lambda request: [said(b"")]) as server, pytest.raises(FetchRefused):
        fetch(server, "/a\r\nX-Injected: 1")
    assert server.requests == []


def test_a_port_where_nobody_listens() -> None:
    with serving(lambda request: []) as server:
        pass
    with pytest.raises(FetchFailed, match="does not answer"):
        fetch(server)


class Names:
    """Answers each time what comes next, and the last one from then on."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]]


def test_a_name_that_changes_its_address_is_asked_once_and_the_checked_address_is_used() -> None:
    names = Names("127.0.0.1", "169.254.169.254")
    with serving(lambda request: [said(request)]) as server:
        server.host = "moving.test"
        content = fetch(server, fetcher={"resolve": names}).content
    assert names.asked == 1
    assert f"host: moving.test:{server.port}".encode() in content.lower()


def test_a_name_that_changes_its_address_between_redirects_is_refused() -> None:
    with serving(lambda request: [moved("/again")]) as server:
        server.host = "moving.test"
        with pytest.raises(FetchRefused, match=r"169\.254\.169\.254"):
            fetch(server, fetcher={"resolve": Names("127.0.0.1", "169.254.169.254")})
    assert len(server.requests) == 1


def test_a_name_that_is_both_global_and_private_is_not_asked() -> None:
    with serving(lambda request: [said(b"inside")]) as server:
        fetcher = Fetcher(resolve=lambda host, port: ["127.0.0.1", "8.8.8.8"])
        with pytest.raises(FetchRefused):
            fetcher.fetch("GET", f"http://both.test:{server.port}/", max_bytes=1, timeout_s=5)
    assert server.requests == []


def test_https_checks_the_hosts_name_and_is_not_left_for_http(tmp_path: Path) -> None:
    theirs, ours = authority(tmp_path, "good.test")
    given = {"resolve": Names("127.0.0.1"), "ssl_context": ours}
    with serving(
        lambda request: [moved("http://good.test/") if b"/down" in request else said(b"safe")], tls=theirs
    ) as server:
        server.host = "good.test"
        assert fetch(server, fetcher=given).content == b"safe"
        with pytest.raises(FetchRefused, match="https to http"):
            fetch(server, "/down", fetcher=given)
        server.host = "bad.test"
        with pytest.raises(FetchFailed, match="certificate"):
            fetch(server, fetcher=given)


def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    theirs, _ = authority(tmp_path, "localhost")
    with (
        serving(lambda request: [said(b"")], tls=theirs, host="localhost") as server,
        pytest.raises(FetchFailed, match="certificate"),
    ):
        fetch(server)


def test_megabytes_pass_through_tls_in_both_directions(tmp_path: Path) -> None:
    theirs, ours = authority(tmp_path, "good.test")
    content = bytes(range(256)) * 3_500
    with serving(lambda request: [said(content)], tls=theirs) as server:
        server.host = "good.test"
        given = {"resolve": Names("127.0.0.1"), "ssl_context": ours}
        assert fetch(server, method="POST", content=content, fetcher=given).content == content
    assert server.requests[0].endswith(content)
