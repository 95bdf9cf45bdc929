"""The one function of the studio that fetches addresses.

It reaches only global addresses, and private ones that a declaration names; it connects to the address that it
checked; it checks again at each redirect; it follows no proxy of the environment; and it ends in time, with no more
bytes than it may have, whatever the other side does.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO

import httpcore
import httpx

from tools.addresses import PORTS, Resolver, resolved
from tools.addresses import Address as Address
from tools.addresses import Origin as Origin
from tools.addresses import checked_addresses as checked_addresses
from tools.fetch_errors import FetchError as FetchError
from tools.fetch_errors import FetchFailed as FetchFailed
from tools.fetch_errors import FetchRefused as FetchRefused
from tools.fetch_errors import TimedOut as TimedOut
from tools.fetch_errors import TooLarge as TooLarge
from tools.sockets import CheckedNetwork, Watch
from tools.unpacking import Unpacker

MAX_REDIRECTS = 3
# Bytes that a packed answer may have over the unpacked limit: what packing adds to what cannot be packed.
PACKING_BYTES = 65_536

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
# Ours to say: they frame the message, or name who is asked.
_OWN_HEADERS = {
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "accept-encoding",
    "expect",
    "upgrade",
    "te",
}
# All that another origin learns after a redirect; a key can be in any other header.
_HARMLESS_HEADERS = {"accept", "accept-language", "user-agent"}
_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True)
class Fetched:
    """An answer.

    Attributes:
        headers: as they came; names in any case.
        media_type: in lower case, without parameters; empty where none was said.
        content: the body, unpacked.
        url: where it came from, after redirects.
    """

    status: int
    headers: Mapping[str, str]
    media_type: str
    content: bytes
    url: str


@dataclass(frozen=True)
class _Ask:
    """What is asked of one origin."""

    method: str
    url: httpx.URL
    headers: Mapping[str, str]
    content: bytes

    @property
    def origin(self) -> Origin:
        return Origin(self.url.scheme, self.url.raw_host.decode("ascii"), self.url.port or PORTS[self.url.scheme])


class Fetcher:
    """Fetches; safe to use from several threads at once.

    Args:
        allowed_private: origins that may lie in a private network, because their owner declared them.
        resolve: gives the addresses of a name.
        ssl_context: whom to trust; the public authorities, and those of SSL_CERT_FILE, where none is given.
    """

    def __init__(
        self,
        allowed_private: Collection[Origin] = frozenset(),
        *,
        resolve: Resolver = resolved,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = frozenset(allowed_private)
        self._resolve = resolve
        self._ssl_context = ssl_context

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return self._ssl_context or httpx.create_ssl_context()

    def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        max_bytes: int,
        timeout_s: float,
        follow: bool = True,
        on_wait: Callable[[], None] = lambda: None,
    ) -> Fetched:
        """Ask for an address.

        GET and HEAD follow redirects, but not from https to http. Another method is sent again only within its
        origin (307, 308), or becomes a GET (303).

        Args:
            headers: sent to the origin of `url`; after a redirect to another origin only what is harmless.
            max_bytes: the most that the answer may have, unpacked.
            timeout_s: for all of it, redirects and the name's resolution too.
            follow: False gives a redirect as the answer.
            on_wait: called at least every 0.2 s from the calling thread; what it raises ends the fetch at once and is
                let through.

        Raises:
            FetchRefused: an address may not be reached, or a redirect may not be followed.
            FetchFailed: nobody answers, or not in HTTP.
            TimedOut: it took too long.
            TooLarge: the answer is too long.
        """
        watch = Watch(timeout_s, on_wait)
        ask = _Ask(method.upper(), readable(url), _sendable(headers or {}), content)
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._once(ask, max_bytes, watch)
            where = answer.headers.get("location")
            if not follow or answer.status not in _REDIRECTS or where is None:
                return answer
            ask = _redirected(ask, answer.status, where)
        raise FetchFailed(f"{shown(url)} redirects more than {MAX_REDIRECTS} times")

    def _once(self, ask: _Ask, max_bytes: int, watch: Watch) -> Fetched:
        allowed = self._allowed & {ask.origin}
        connection = httpcore.HTTPConnection(
            httpcore.Origin(ask.url.raw_scheme, ask.url.raw_host, ask.origin.port),
            ssl_context=self._trust if ask.url.scheme == "https" else None,
            network_backend=CheckedNetwork(watch, allowed, self._resolve),
        )
        try:
            response = connection.handle_request(_request(ask))
            return _answer(ask, response, max_bytes, watch)
        except httpcore.NetworkError as error:
            raise FetchFailed(f"the connection to {shown(str(ask.url))} broke: {error}") from error
        except httpcore.ProtocolError:
            # The cause quotes what was received, which can be our own key sent back.
            raise FetchFailed(f"{shown(str(ask.url))} does not answer in HTTP, or breaks off") from None
        except (TimedOut, TooLarge) as error:
            raise type(error)(f"{shown(str(ask.url))}: {error}") from error
        finally:
            connection.close()


def shown(url: str) -> str:
    """Give an address for messages: its scheme, host and port; paths and queries can hold secrets."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "an address that cannot be read"
    return str(httpx.URL(scheme=parsed.scheme, host=parsed.host, port=parsed.port))


def readable(url: str) -> httpx.URL:
    """Give an address in its parts, without a fragment.

    Raises:
        FetchRefused: it cannot be read, is not http or https, or holds a name or password.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise FetchRefused("an address cannot be read as a URL") from error
    if parsed.scheme not in PORTS or not parsed.raw_host:
        raise FetchRefused(f"an address of the scheme {parsed.scheme!r} is not fetched, only http and https are")
    if parsed.userinfo:
        raise FetchRefused(f"the address of {shown(url)} holds a name or password; declare it as auth instead")
    return parsed.copy_with(fragment=None)


def _sendable(headers: Mapping[str, str]) -> dict[str, str]:
    kept = {name.lower(): value.strip(" \t") for name, value in headers.items()}
    for name, value in kept.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise FetchRefused(f"the header {name!r} holds a character that no header can have")
    return {name: value for name, value in kept.items() if name not in _OWN_HEADERS}


def _redirected(ask: _Ask, status: int, where: str) -> _Ask:
    try:
        url = readable(str(ask.url.join(where)))
    except httpx.InvalidURL as error:
        raise FetchFailed(f"{shown(str(ask.url))} redirects to what is no address") from error
    moved = replace(ask, url=url)
    if ask.url.scheme == "https" and url.scheme != "https":
        raise FetchRefused(f"{shown(str(ask.url))} redirects from https to http")
    if status == 303 and ask.method != "HEAD":
        moved = replace(moved, method="GET", content=b"")
    if moved.origin != ask.origin:
        kept = {name: value for name, value in ask.headers.items() if name in _HARMLESS_HEADERS}
        moved = replace(moved, headers=kept)
    if moved.method not in {"GET", "HEAD"} and (status not in {307, 308} or moved.origin != ask.origin):
        raise FetchRefused(f"{shown(str(ask.url))} redirects a {ask.method} to {shown(str(url))}; declare that address")
    return moved


def _request(ask: _Ask) -> httpcore.Request:
    headers = [(b"host", ask.url.netloc), (b"accept-encoding", b"identity"), (b"connection", b"close")]
    if ask.content or ask.method in {"POST", "PUT", "PATCH"}:
        headers.append((b"content-length", str(len(ask.content)).encode()))
    given = {"user-agent": "atelier", "accept": "*/*"} | dict(ask.headers)
    headers += [(name.encode("ascii"), value.encode()) for name, value in given.items()]
    target = httpcore.URL(scheme=ask.url.raw_scheme, host=ask.url.raw_host, port=ask.url.port, target=ask.url.raw_path)
    return httpcore.Request(ask.method, target, headers=headers, content=ask.content)


def _answer(ask: _Ask, response: httpcore.Response, max_bytes: int, watch: Watch) -> Fetched:
    headers = httpx.Headers(response.headers)
    length = headers.get("content-length", "")
    if ask.method != "HEAD" and length.isdigit() and int(length) > max_bytes + PACKING_BYTES:
        raise TooLarge(f"the answer has more than {max_bytes} bytes")
    content = _content(response, Unpacker(headers.get("content-encoding", "")), max_bytes, watch)
    media_type = headers.get("content-type", "").split(";")[0].strip().lower()
    return Fetched(response.status, headers, media_type, content, str(ask.url))


def _content(response: httpcore.Response, unpacker: Unpacker, max_bytes: int, watch: Watch) -> bytes:
    received, content = 0, BytesIO()
    for chunk in response.iter_stream():
        received += len(chunk)
        for piece in unpacker.pieces(chunk):
            watch.look()
            content.write(piece)
            if content.tell() > max_bytes:
                raise TooLarge(f"the answer has more than {max_bytes} bytes")
        if received > max_bytes + PACKING_BYTES:
            raise TooLarge(f"the answer has more than {max_bytes} bytes")
    if received:
        unpacker.finish()
    return content.getvalue()
