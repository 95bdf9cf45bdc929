"""Waiting for a run while its client is told how far it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import anyio
from anyio import to_thread

from orchestrator.api import accepting, events
from orchestrator.api.context import Context
from store.events import Event

Report = Callable[[float, float, str], Awaitable[None]]
TOLD = {"step.queued", "step.started", "step.progress", "step.retrying", "step.cached", "step.completed"}


async def wait(context: Context, owner: str, run_id: str, wait_s: float, report: Report) -> dict[str, Any]:
    """Follow a run until it has ended or a person has to approve it, at most `wait_s`, and give it as it is then.

    Raises:
        UnknownId: there is no such run of this owner.
    """
    view = await to_thread.run_sync(accepting.view, context, owner, run_id)
    progress = Progress(report)
    with anyio.move_on_after(wait_s):
        async with aclosing(events.follow(context, owner, run_id, 0)) as following:
            async for event in following:
                if event is None:
                    continue
                await progress.tell(event)
                if event.type == "approval.required":
                    view = await to_thread.run_sync(accepting.view, context, owner, run_id)
                    if view["status"] == "waiting_approval":
                        return view
    return await to_thread.run_sync(accepting.view, context, owner, run_id)


class Progress:
    """Tells of a run in per cent, which only rise, with a few words."""

    def __init__(self, report: Report) -> None:
        """Tell nothing yet."""
        self._report = report
        self._parts: dict[str, float] = {}
        self._steps = 1
        self._last = -0.01

    async def tell(self, event: Event) -> None:
        """Tell of an event, if it is one to tell of."""
        data = event.data
        step = str(data.get("step", ""))
        if event.type == "run.created":
            await self._say(f"{event.run_id} is accepted")
        elif event.type == "plan.created":
            self._steps = max(1, len(data["plan"].get("steps", ())))
            await self._say(f"the plan has {self._steps} {'step' if self._steps == 1 else 'steps'}")
        elif event.type in TOLD and step:
            if event.type == "step.progress":
                self._parts[step] = float(data.get("percent", 0)) / 100
            elif event.type in {"step.completed", "step.cached"}:
                self._parts[step] = 1.0
            await self._say(f"{step}: {event.type.removeprefix('step.')}")
        elif event.type.startswith("run."):
            await self._say(f"{event.run_id}: {event.type.removeprefix('run.')}")

    async def _say(self, words: str) -> None:
        self._last = max(self._last + 0.01, 100 * min(1.0, sum(self._parts.values()) / self._steps))
        await self._report(self._last, 100, words)
