"""The end of a run as the answer to the request that began it, without a thread that waits."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import anyio
from anyio import to_thread
from fastapi import Request
from fastapi.responses import JSONResponse

from orchestrator.api import accepting, events
from orchestrator.api.context import Context
from orchestrator.errors import NotAnswered, RunFailed, StudioError
from store import runs


class NotYet(NotAnswered):
    """The run that the request began takes longer than an answer may; it goes on."""


async def wait(request: Request, here: Context, owner: str, run_id: str) -> dict[str, Any]:
    """Wait until a run has ended, for `answer_wait_s` at most or until the client leaves, and give it.

    Raises:
        NotYet: it has not ended by then; the message names it.
        RunFailed: it failed or was cancelled; the message names it.
    """
    limit_s = here.settings.answer_wait_s
    with anyio.move_on_after(limit_s):
        async with aclosing(events.follow(here, owner, run_id, 0)) as told:
            async for _ in told:  # also a heartbeat
                if await request.is_disconnected():
                    break
    run = await to_thread.run_sync(accepting.view, here, owner, run_id)
    if run["status"] in runs.OPEN_RUN:
        why = f" ({run['unserved']})" if run["unserved"] else ""
        raise NotYet(
            f"run {run_id!r} took more than {limit_s:g} s and goes on{why}; GET /v1/runs/{run_id} says how far it is. "
            "The same request would begin another run"
        )
    if run["status"] != "completed":
        reason = (run["error"] or {}).get("message") or "somebody stopped it"
        raise RunFailed(f"run {run_id!r} {run['status']}: {reason}")
    return run


def refused(error: StudioError) -> JSONResponse:
    """Answer with an error after which the official client does not ask again: that would begin another run."""
    return JSONResponse(error.envelope(), error.status, headers={"x-should-retry": "false"})
