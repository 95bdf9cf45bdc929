"""The route of MCP. It holds no sessions: any API process answers any request, also after a restart.

What speaks the protocol is loaded with the first request, so that a studio without such clients starts as before.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio
from anyio import to_thread
from fastapi import APIRouter, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from orchestrator.api.context import Context, Known, Reader
from orchestrator.api.mcp import cancelling
from orchestrator.api.mcp.turn import Turn
from orchestrator.errors import StudioNotReady

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

router = APIRouter(tags=["mcp"])
SESSION = "mcp-session-id"
SESSION_ID = re.compile(r"[0-9a-f]{32}")


@router.post("/mcp", include_in_schema=False)
async def talk(request: Request, caller: Known, _: Reader) -> Response:
    """Answer a message of the Model Context Protocol (streamable HTTP)."""
    front: Front = request.app.state.mcp
    return await front.answer(request, Turn(caller))


class Front:
    """Takes messages at the door: knows who asks, gives sessions their names, and hears of cancelled calls."""

    def __init__(self, context: Context) -> None:
        """Stand before the protocol; `run` before the first message."""
        self._context = context
        self._manager: StreamableHTTPSessionManager | None = None
        self._wanted = anyio.Event()
        self._ready = anyio.Event()
        self._runs = False

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Answer for as long as this lasts."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep)
            self._runs = True
            yield
            tasks.cancel_scope.cancel()

    async def _keep(self) -> None:
        await self._wanted.wait()
        manager = await to_thread.run_sync(_manager, self._context)
        async with manager.run():
            self._manager = manager
            self._ready.set()
            await anyio.sleep_forever()

    async def answer(self, request: Request, turn: Turn) -> Response:
        """Give the answer to one message.

        A session is only a name that its client sends along with each request: with the number of a call it names the
        run that the call made, so whichever process hears that the call is cancelled can cancel that run.
        """
        if not self._runs:
            raise StudioNotReady("this studio is just starting or ending; ask again in a moment")
        body = await request.body()
        said = _read(body)
        given = request.headers.get(SESSION, "")
        turn.session = given if SESSION_ID.fullmatch(given) else None
        method = said.get("method")
        if method == "notifications/cancelled" and turn.session is not None:
            await to_thread.run_sync(cancelling.of_call, self._context, turn, said.get("params"))
            return Response(status_code=202)
        self._wanted.set()
        await self._ready.wait()
        assert self._manager is not None  # noqa: S101  # it is ready
        return _Answer(self._manager, turn, body, names=method == "initialize")


def _manager(context: Context) -> StreamableHTTPSessionManager:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from orchestrator.api.mcp import server

    return StreamableHTTPSessionManager(server.build(context), stateless=True)


def _read(body: bytes) -> dict[str, Any]:
    """Give a message as far as it is one; what is wrong with it the protocol says."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


class _Answer(Response):
    """Lets the protocol write the answer itself, as JSON or as a stream."""

    def __init__(self, manager: StreamableHTTPSessionManager, turn: Turn, body: bytes, *, names: bool) -> None:
        super().__init__()
        self._manager, self._turn, self._message, self._names = manager, turn, body, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and note when the client goes away."""
        is_read = False

        async def heard() -> Message:
            nonlocal is_read
            if not is_read:
                is_read = True
                return {"type": "http.request", "body": self._message, "more_body": False}
            message = await receive()
            self._turn.is_left |= message["type"] == "http.disconnect"
            return message

        async def said(message: Message) -> None:
            if self._names and message["type"] == "http.response.start" and message["status"] == 200:
                MutableHeaders(scope=message)[SESSION] = uuid4().hex
            await send(message)

        await self._manager.handle_request({**scope, Turn.KEY: self._turn}, heard, said)
