"""An answer that goes on for long, for as long as the key that asked for it is valid."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
from anyio import CancelScope
from fastapi import Request
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Send

from orchestrator.api.context import identify
from orchestrator.errors import Unauthorized

LOOK_S = 2.0
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Followed(StreamingResponse):
    """Server-sent events that end when the key is revoked; a client that comes back is told why."""

    def __init__(self, request: Request, lines: AsyncIterator[str]) -> None:
        super().__init__(lines, media_type="text/event-stream", headers=HEADERS)
        self._request = request

    async def stream_response(self, send: Send) -> None:
        """Send what comes, and look from time to time whether who asked may still."""
        fault: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, tasks.cancel_scope, send)
            try:
                await super().stream_response(send)
            except Exception as error:  # noqa: BLE001  # raised below as itself: a group would wrap it
                fault = error
            tasks.cancel_scope.cancel()
        if fault is not None:
            raise fault

    async def _watch(self, scope: CancelScope, send: Send) -> None:
        while True:
            await anyio.sleep(LOOK_S)
            try:
                await identify(self._request, None)
            except Unauthorized:
                break
            except SQLAlchemyError:  # nobody can be asked just now, and there are no events either
                continue
        scope.cancel()
        with CancelScope(shield=True):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
