"""Refuses what a page of somebody else could send to a studio on this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.errors import Forbidden

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Checks the Host of each request, and the Origin where a browser sends one.

    A name that was made to point at this machine (DNS rebinding) has the wrong Host; a form or a script of another
    page has the wrong Origin.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        self.hosts = LOOPBACK | {host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or let the request through."""
        if scope["type"] == "http" and (fault := self._fault(scope["method"], Headers(scope=scope))) is not None:
            error = Forbidden(fault)
            await JSONResponse(error.envelope(), error.status)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _fault(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if _name(host) not in self.hosts:
            return f"this studio does not answer to the host {host!r}; use 127.0.0.1 or localhost"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
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
