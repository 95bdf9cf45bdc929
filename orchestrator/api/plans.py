"""Plans without running them."""

from __future__ import annotations

import time
from typing import Any

import anyio
from anyio import to_thread
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api import accepting
from orchestrator.api.context import Context, Here, Owner
from orchestrator.api.shapes.work import Planned
from orchestrator.errors import Invalid
from store import runs

router = APIRouter(prefix="/v1/plans", tags=["plans"])
WAIT_S = 60.0
POLL_S = 0.05


class ToPlan(BaseModel):
    """What to plan."""

    model_config = ConfigDict(extra="forbid")
    say: str = Field(min_length=1, max_length=8000, description="what is wanted, in words")


@router.post(
    "",
    response_model=Planned,
    responses={202: {"model": Planned, "description": "Planning goes on; ask for the run."}},
)
async def make_plan(wanted: ToPlan, here: Here, owner: Owner, response: Response) -> dict[str, Any]:
    """Plan a request and run nothing; 202 with the run to look at where planning takes more than a minute."""
    run = await to_thread.run_sync(lambda: accepting.accept(here, owner, request=wanted.say, plan_only=True))
    run = await _ended(here, owner, run["id"])
    if run["status"] == "failed":
        raise Invalid(run["error"]["message"])
    if run["plan"] is None:
        response.status_code = 202
    return {"run": {"id": run["id"], "status": run["status"]}, "plan": run["plan"]}


async def _ended(here: Context, owner: str, run_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_S
    while True:
        run = await to_thread.run_sync(accepting.view, here, owner, run_id)
        if run["status"] not in runs.OPEN_RUN or time.monotonic() > deadline:
            return run
        await anyio.sleep(POLL_S)
