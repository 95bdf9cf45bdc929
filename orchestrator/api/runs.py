"""Runs: what was asked, how far it is, and what came of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.api import accepting, events
from orchestrator.api.context import Here, Owner
from orchestrator.api.lists import Before, Limit, page
from orchestrator.errors import BadRequest, Conflict
from store import runs, views

router = APIRouter(prefix="/v1/runs", tags=["runs"])
Key = Annotated[str | None, Header(max_length=200, description="the same key gives the same run again")]


class NewRun(BaseModel):
    """A request in words, or a plan that is ready."""

    model_config = ConfigDict(extra="forbid")
    say: str | None = Field(None, min_length=1, max_length=8000)
    plan: dict[str, Any] | None = None
    thread_id: str | None = None
    needs_approval: bool = False

    @model_validator(mode="after")
    def _one_of_two(self) -> NewRun:
        if (self.say is None) == (self.plan is None):
            raise ValueError("give either say (words) or plan (steps)")
        return self


class Approval(BaseModel):
    """An approval; `plan` replaces the plan where it was edited."""

    model_config = ConfigDict(extra="forbid")
    plan: dict[str, Any] | None = None


class Again(BaseModel):
    """What to try again: one failed step by its name, or all."""

    model_config = ConfigDict(extra="forbid")
    step: str | None = None


@router.post("", status_code=202)
def start(new: NewRun, here: Here, owner: Owner, response: Response, idempotency_key: Key = None) -> dict[str, Any]:
    """Accept a request or a plan; it is stored when this answers, and will be carried out."""
    run = accepting.accept(
        here,
        owner,
        request=new.say,
        plan=new.plan,
        thread_id=new.thread_id,
        needs_approval=new.needs_approval,
        idempotency_key=idempotency_key,
    )
    response.headers["location"] = f"/v1/runs/{run['id']}"
    return run


@router.get("")
def list_runs(
    here: Here, owner: Owner, status: str | None = None, before: Before = None, limit: Limit = 20
) -> dict[str, Any]:
    """List runs, newest first."""
    with here.database.read() as connection:
        return page(lambda n: views.list_(connection, owner, status=status, before=before, limit=n), limit)


@router.get("/{run_id}")
def get_run(run_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give a run with its steps and the ids of its assets."""
    return accepting.view(here, owner, run_id)


@router.get("/{run_id}/events")
def follow(
    run_id: str,
    here: Here,
    owner: Owner,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[int | None, Query(ge=0, description="like Last-Event-ID, for clients that cannot set it")] = None,
) -> StreamingResponse:
    """Stream what happens in a run, from the first event or from behind `Last-Event-ID`, until it has ended."""
    with here.database.read() as connection:
        runs.require(connection, owner, run_id)
    last = after or 0
    if last_event_id is not None:
        if not last_event_id.isdecimal():
            raise BadRequest(f"Last-Event-ID is the number of an event, not {last_event_id!r}", param="Last-Event-ID")
        last = int(last_event_id)
    lines = events.as_lines(events.follow(here, owner, run_id, last))
    return StreamingResponse(
        lines, media_type="text/event-stream", headers={"cache-control": "no-store", "x-accel-buffering": "no"}
    )


@router.get("/{run_id}/plan")
def get_plan(run_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give the plan of a run."""
    run = accepting.view(here, owner, run_id)
    if run["plan"] is None:
        raise Conflict(f"run {run_id!r} has no plan yet; it is {run['status']}")
    plan: dict[str, Any] = run["plan"]
    return plan


@router.post("/{run_id}/approve", status_code=202)
def approve(run_id: str, here: Here, owner: Owner, approval: Approval | None = None) -> dict[str, Any]:
    """Start a run that waits for approval, with its plan or an edited one."""
    return accepting.approve(here, owner, run_id, approval.plan if approval else None)


@router.post("/{run_id}/cancel", status_code=202)
def cancel(run_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Stop a run; it says `cancelling` until its last step has stopped. An ended run stays as it is."""
    here.commit(lambda t: runs.cancel(t, owner, run_id))
    return accepting.view(here, owner, run_id)


@router.post("/{run_id}/retry", status_code=202)
def retry(run_id: str, here: Here, owner: Owner, again: Again | None = None) -> dict[str, Any]:
    """Try failed steps again, and what was skipped because of them."""
    here.commit(lambda t: runs.retry(t, owner, run_id, again.step if again else None))
    return accepting.view(here, owner, run_id)


@router.post("/{run_id}/rerun", status_code=202)
def rerun(run_id: str, here: Here, owner: Owner, idempotency_key: Key = None) -> dict[str, Any]:
    """Run the same plan again as a new run; where there was no plan, the same words."""
    return accepting.rerun(here, owner, run_id, idempotency_key)
