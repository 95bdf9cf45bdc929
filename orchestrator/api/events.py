"""The events of a run as a stream: replayed from any point, then followed until the run ends."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator

import anyio
from anyio import to_thread

from orchestrator.api.context import Context
from store import events, runs
from store.events import Event

EAGER_S = 0.01  # between two looks while a run is young: a short one has ended by then
YOUNG_S = 0.5
FASTEST_S = 0.05
SLOWEST_S = 0.2
HEARTBEAT_S = 15.0
PAGE = 500


async def follow(context: Context, owner: str, run_id: str, last: int) -> AsyncIterator[Event | None]:
    """Give each event behind `last` once and in order, None as a heartbeat, and end when the run has ended."""
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
        await anyio.sleep(pause_s)
        pause_s = min(pause_s * 1.3, SLOWEST_S)


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
