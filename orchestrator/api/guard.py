"""Refuses what a page of somebody else could send to a studio that its browser reaches."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from anyio import to_thread
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.errors import Forbidden, StudioError, StudioNotReady

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Checks the Host of each request, and the Origin where a browser sends one.

    A name that was made to point at this machine (DNS rebinding) has the wrong Host, and finds nothing where everybody
    needs a key; a form or a script of another page has the wrong Origin.
    """

    def __init__(self, app: ASGIApp, host: str, is_locked: Callable[[], bool]) -> None:
        """Stand before an application.

        Args:
            host: the address that it listens on.
            is_locked: says whether everybody needs a key; then it may be called by any name.
        """
        self.app = app
        self.hosts = LOOPBACK | {host}
        self.is_locked = is_locked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or let the request through."""
        if scope["type"] == "http" and (error := await self._error(scope["method"], Headers(scope=scope))) is not None:
            await JSONResponse(error.envelope(), error.status)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _error(self, method: str, headers: Headers) -> StudioError | None:
        try:
            fault = await self._fault(method, headers)
        except SQLAlchemyError:
            return StudioNotReady("the database does not answer; ask again in a moment")
        return None if fault is None else Forbidden(fault)

    async def _fault(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if _name(host) not in self.hosts and not await to_thread.run_sync(self.is_locked):
            return f"this studio does not answer to the host {host!r}; use 127.0.0.1 or localhost"
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host:
            return f"requests from the origin {origin!r} are not allowed"
        is_link = method in {"GET", "HEAD"} and headers.get("sec-fetch-mode") == "navigate"
        if origin is None and headers.get("sec-fetch-site") == "cross-site" and not is_link:
            return "requests from another site are not allowed"
        return None


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
