"""The events of a run as a stream: replayed from any point, then followed until the run ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import anyio
from anyio import to_thread

from orchestrator.api.context import Context
from store import events, runs
from store.events import Event

EAGER_S = 0.01  # between two looks while a run is young: a short one has ended by then
YOUNG_S = 0.5
FASTEST_S = 0.05
SLOWEST_S = 0.2
UNTOLD_S = 1.0  # between two looks where notices come: one may be lost
HEARTBEAT_S = 15.0
PAGE = 500


async def follow(context: Context, owner: str, run_id: str, last: int) -> AsyncGenerator[Event | None, None]:
    """Give each event behind `last` once and in order, None as a heartbeat, and end when the run has ended."""
    with _noticing(context, run_id) as pause:
        async for event in _follow(context, owner, run_id, last, pause):
            yield event


Pause = Callable[[float], Awaitable[None]]


async def _follow(context: Context, owner: str, run_id: str, last: int, pause: Pause) -> AsyncIterator[Event | None]:
    began = quiet_since = time.monotonic()
    pause_s = EAGER_S
    while True:
        found, ended = await to_thread.run_sync(_look, context, owner, run_id, last)
        for event in found:
            last = event.sequence_number
            yield event
        if ended and not found:
            return
        if found:
            quiet_since = time.monotonic()
            pause_s = EAGER_S if quiet_since - began < YOUNG_S else FASTEST_S
            if len(found) == PAGE or found[-1].type in events.TERMINAL:
                continue  # there is more, or it ended: look again at once
        elif time.monotonic() - quiet_since >= HEARTBEAT_S:
            quiet_since = time.monotonic()
            yield None
        await pause(pause_s)
        pause_s = min(pause_s * 1.3, SLOWEST_S)


@contextmanager
def _noticing(context: Context, run_id: str) -> Iterator[Pause]:
    """Give what waits until there may be something new: until a notice comes, or, without notices, for a time."""
    notices = context.database.notices
    if notices is None:
        yield anyio.sleep
        return
    loop, noticed = asyncio.get_running_loop(), asyncio.Event()

    async def pause(pause_s: float) -> None:
        with anyio.move_on_after(UNTOLD_S if notices.listening.is_set() else pause_s):
            await noticed.wait()
        noticed.clear()  # what comes from here on is seen by the look that follows, or wakes the next pause

    def wake() -> None:
        with suppress(RuntimeError):  # the loop has ended, and we with it
            loop.call_soon_threadsafe(noticed.set)

    with notices.on(run_id, wake):
        yield pause


async def as_lines(following: AsyncIterator[Event | None]) -> AsyncIterator[str]:
    """Write events as server-sent events."""
    async for event in following:
        if event is None:
            yield ": still here\n\n"
        else:
            said = json.dumps(event.as_json(), ensure_ascii=False, separators=(",", ":"))
            yield f"id: {event.sequence_number}\nevent: {event.type}\ndata: {said}\n\n"


def _look(context: Context, owner: str, run_id: str, last: int) -> tuple[list[Event], bool]:
    with context.database.read() as connection:
        run = runs.require(connection, owner, run_id)
        return events.after(connection, run_id, last, PAGE), run.status not in runs.OPEN_RUN
