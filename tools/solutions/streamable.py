"""An MCP server at an address (streamable HTTP): every connection goes to an address that was checked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import httpx2
from mcp.client.streamable_http import streamable_http_client

from tools.addresses import Address, Origin, checked_addresses
from tools.fetch_errors import FetchFailed, FetchRefused
from tools.solutions.base import SolutionError, SolutionFault
from tools.solutions.talk import Talk

CONNECT_S = 10.0
Check = Callable[[str, int, frozenset[Origin]], list[Address]]


@asynccontextmanager
async def reached(
    url: str,
    headers: Mapping[str, str],
    talk: Talk,
    *,
    private: bool,
    timeout_s: float,
    check: Check = checked_addresses,
) -> AsyncGenerator[tuple[Any, Any], None]:
    """Give the streams of messages with a server.

    Args:
        url: its address; redirects within its origin alone are followed.
        headers: sent with each request.
        talk: learns what is wrong.
        private: this address may lie in a private network.
        timeout_s: the longest that the server may be silent.
        check: gives the addresses of a host that may be connected to.
    """
    allowed = frozenset({Origin.of(url)}) if private else frozenset()
    wire = _Checked(talk, allowed, check)
    plain = {**headers, "accept-encoding": "identity"}  # what is packed can be a thousand times larger
    timeout = httpx2.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
    async with (
        httpx2.AsyncClient(transport=wire, headers=plain, timeout=timeout, trust_env=False) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=talk.longest_bytes) as streams,
    ):
        yield streams


def shown(url: str) -> str:
    """Give an address for messages: its scheme, host and port; paths and queries can hold secrets."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return "an address that cannot be read"
    return str(httpx2.URL(scheme=parsed.scheme, host=parsed.host, port=parsed.port))


class _Checked(httpx2.AsyncBaseTransport):
    """Connects to the address that was checked, whatever the name says a moment later."""

    def __init__(self, talk: Talk, allowed: frozenset[Origin], check: Check) -> None:
        self._talk = talk
        self._allowed = allowed
        self._check = check
        self._wire = httpx2.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; what is refused or breaks ends the connection with its reason."""
        try:
            return await self._handle(request)
        except SolutionError as error:
            self._talk.end(error)
            raise
        except FetchRefused as error:
            self._talk.end(SolutionFault(f"{self._talk.name} is refused: {error}"))
            raise
        except (FetchFailed, httpx2.TransportError) as error:
            self._talk.end(self._talk.away(f"does not answer: {str(error) or type(error).__name__}"))
            raise

    async def aclose(self) -> None:
        """Close all connections."""
        await self._wire.aclose()

    async def _handle(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await anyio.to_thread.run_sync(self._check, url.host, port, self._allowed)
        request.extensions = {**request.extensions, "sni_hostname": url.host}
        request.url = url.copy_with(host=str(addresses[0]))
        try:
            response = await self._wire.handle_async_request(request)
        finally:
            request.url = url
        self._note(request, response)
        response.stream = _Capped(response.stream, self._talk)
        return response

    def _note(self, request: httpx2.Request, response: httpx2.Response) -> None:
        """Look at an answer before its body is read."""
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise SolutionFault(f"{self._talk.name} packs its answers, which it was asked not to do")
        if request.method == "POST":  # servers may refuse the stream that GET asks for
            self._talk.status = response.status_code


class _Capped(httpx2.AsyncByteStream):
    """The body of an answer, refused as soon as it is too long."""

    def __init__(self, body: object, talk: Talk) -> None:
        assert isinstance(body, httpx2.AsyncByteStream)  # noqa: S101  # the transport is asynchronous
        self._body = body
        self._talk = talk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._body:
            size += len(chunk)
            if size > self._talk.longest_bytes:
                fault = self._talk.too_much()
                self._talk.end(fault)
                raise fault
            yield chunk

    async def aclose(self) -> None:
        """Close the connection, or give it back."""
        await self._body.aclose()
