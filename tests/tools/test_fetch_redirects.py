"""Where a fetch lets itself be led, and what it takes there."""

from __future__ import annotations

import pytest

from tests.tools.raw_server import KEYS, fetch, moved, said, serving
from tools.fetch import FetchFailed, FetchRefused


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_private_address_is_not_followed(status: int) -> None:
    with serving(lambda request: [said(b"inside")]) as inside:
        for where in (inside.url, f"//localhost:{inside.port}/", f"http://[::ffff:127.0.0.1]:{inside.port}/"):
            with (
                serving(lambda request, where=where: [moved(where, status)]) as server,
                pytest.raises(FetchRefused, match="private"),
            ):
                fetch(server)
    assert inside.requests == []


@pytest.mark.parametrize(
    "where", ["http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "http://a:b@127.0.0.1/", "gopher://x/"]
)
def test_a_redirect_to_what_is_never_fetched(where: str) -> None:
    with serving(lambda request: [moved(where)]) as server, pytest.raises(FetchRefused):
        fetch(server)


def test_another_origin_gets_no_keys() -> None:
    with (
        serving(lambda request: [said(b"there")]) as other,
        serving(lambda request: [moved(f"{other.url}/there")]) as server,
    ):
        assert fetch(server, headers=KEYS, also=(other.url,)).url == f"{other.url}/there"
    assert b"s3cret" in server.requests[0]
    assert b"s3cret" not in other.requests[0]
    assert b"text/x-test" in other.requests[0]


def test_the_same_origin_keeps_its_keys() -> None:
    answers = iter([moved("/b"), said(b"there")])
    with serving(lambda request: [next(answers)]) as server:
        assert fetch(server, "/a", headers=KEYS).url == f"{server.url}/b"
    assert b"s3cret" in server.requests[1]


def test_redirects_end() -> None:
    with serving(lambda request: [moved("/again")]) as server, pytest.raises(FetchFailed, match="more than 3 times"):
        fetch(server)
    assert len(server.requests) == 4


def test_what_a_post_becomes_when_it_is_redirected() -> None:
    answers = iter([moved("/b", 307), said(b"there"), moved("/b", 303), said(b"there"), moved("/b", 302)])
    with serving(lambda request: [next(answers)]) as server:
        fetch(server, method="POST", content=b"body")
        fetch(server, method="POST", content=b"body")
        with pytest.raises(FetchRefused, match="declare that address"):
            fetch(server, method="POST", content=b"body")
    firsts = [request.split(b" ", 1)[0] for request in server.requests]
    assert firsts == [b"POST", b"POST", b"POST", b"GET", b"POST"]
    assert server.requests[1].endswith(b"body")
    assert not server.requests[3].endswith(b"body")


def test_a_post_is_not_sent_to_another_origin() -> None:
    with (
        serving(lambda request: [said(b"there")]) as other,
        serving(lambda request: [moved(other.url, 307)]) as server,
        pytest.raises(FetchRefused, match="POST"),
    ):
        fetch(server, method="POST", content=b"body", also=(other.url,))
    assert other.requests == []
