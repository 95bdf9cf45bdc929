"""The page: static files, which ask the same API as everyone else."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

WEB = Path(__file__).parent.parent / "web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",  # asked for again by ETag, so that a new release shows at once
}
router = APIRouter(include_in_schema=False)


@router.get("/")
def page(request: Request) -> Response:
    """Give the page, or say that it is as it was."""
    path = WEB / "index.html"
    answer = StaticFiles(directory=WEB).file_response(path, path.stat(), request.scope)
    answer.headers.update(HEADERS)
    return answer


class WebFiles:
    """The page's scripts, styles and pictures, below `/web`."""

    def __init__(self) -> None:
        self._files = StaticFiles(directory=WEB)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with the headers of the page."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        await self._files(scope, receive, told)
