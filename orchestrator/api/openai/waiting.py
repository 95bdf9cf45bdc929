"""Following a run for a client of OpenAI's: to its end, for as long as the client is there and has patience."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any, TypeVar

import anyio
from anyio import CancelScope, to_thread
from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from orchestrator.api import events
from orchestrator.api.context import Context
from orchestrator.api.openai.telling import End, Piece, Telling
from orchestrator.api.streams import Followed
from orchestrator.errors import Conflict, Invalid, NotAnswered, RunFailed, StudioError
from store import steering

T = TypeVar("T")
LOOK_S = 1.0  # between two looks whether the client is still there
QUICK = frozenset({"text.delta", "step.progress"})  # events for which nothing is looked up
FINAL = {"x-should-retry": "false"}  # the official client would ask again, and a new run would begin


async def pieces(here: Context, owner: str, run_id: str, telling: Telling) -> AsyncIterator[Piece | None]:
    """Give what a run says until it has ended, None as a heartbeat."""
    async with aclosing(events.follow(here, owner, run_id, 0)) as following:
        async for event in following:
            if event is None:
                yield None
                continue
            told = telling.take(event) if event.type in QUICK else await to_thread.run_sync(telling.take, event)
            for piece in told:
                yield piece
            if any(isinstance(piece, End) for piece in told):
                return


async def with_patience(request: Request, work: Awaitable[T], limit_s: float) -> T | None:
    """Wait for something; None where the client has left or the time is over before it came."""
    result: T | None = None
    fault: Exception | None = None
    with anyio.move_on_after(limit_s):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch, request, tasks.cancel_scope)
            try:
                result = await work
            except Exception as error:  # noqa: BLE001  # raised below as itself: a group would wrap it
                fault = error
            tasks.cancel_scope.cancel()
    if fault is not None:
        raise fault
    return result


async def _watch(request: Request, scope: CancelScope) -> None:
    while not await request.is_disconnected():
        await anyio.sleep(LOOK_S)
    scope.cancel()


async def cancel(here: Context, owner: str, run_id: str) -> None:
    """Stop a run; one that has ended stays as it is."""
    await to_thread.run_sync(here.commit, lambda t: steering.cancel(t, owner, run_id))


class Told(Followed):
    """A stream whose client may want that the run ends when it leaves."""

    def __init__(
        self, request: Request, lines: AsyncIterator[str], on_leave: Callable[[], Awaitable[None]] | None
    ) -> None:
        super().__init__(request, lines)
        self._on_leave = on_leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; a server that is stopped is no client that leaves."""
        with suppress(ClientDisconnect):
            await super().__call__(scope, receive, send)
        if self._on_leave is not None:
            with CancelScope(shield=True):
                await self._on_leave()


def failure(run_id: str, end: End) -> StudioError:
    """Give the error that a run ended with."""
    error: Mapping[str, Any] = end.error or {}
    if end.status == "cancelled":
        return Conflict(f"run {run_id!r} was cancelled")
    kind = Invalid if error.get("code") == "invalid_input" else RunFailed
    return kind(f"{error.get('message') or 'the run failed'} (run {run_id!r})")


def too_slow(run_id: str, limit_s: float) -> StudioError:
    """Give the error of an answer that did not come in time."""
    return NotAnswered(
        f"run {run_id!r} goes on; it took more than {limit_s:g} s, so see /v1/runs/{run_id}, or ask with `stream`"
    )


def refused(error: StudioError) -> JSONResponse:
    """Answer with an error that asking again does not mend."""
    return JSONResponse(error.envelope(), error.status, headers=FINAL)
