"""Runs: what was asked, how far it is, and what came of it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.api import accepting, events
from orchestrator.api.context import Here, Owner
from orchestrator.api.described import EVENTS
from orchestrator.api.lists import Before, Limit, page
from orchestrator.api.shapes.base import Page
from orchestrator.api.shapes.work import PlanShape, Run, RunStatus
from orchestrator.api.streams import Followed
from orchestrator.errors import BadRequest, Conflict
from store import runs, steering, views

router = APIRouter(prefix="/v1/runs", tags=["runs"])
MOST = 999_999_999  # events of a run, far more than one has
Key = Annotated[str | None, Header(max_length=200, description="the same key gives the same run again")]


Status = Annotated[RunStatus | None, Query(description="only runs that are so far")]


class NewRun(BaseModel):
    """A request in words, or a plan that is ready."""

    model_config = ConfigDict(extra="forbid")
    say: str | None = Field(None, min_length=1, max_length=8000, description="what is wanted, in words")
    plan: dict[str, Any] | None = Field(None, description='a plan: {"steps": [{"id", "tool", "args"}], "reply"}')
    thread_id: str | None = Field(None, max_length=40, description="the conversation that it belongs to")
    needs_approval: bool = Field(default=False, description="show the plan and wait for a yes before it is carried out")

    @model_validator(mode="after")
    def _one_of_two(self) -> NewRun:
        if (self.say is None) == (self.plan is None):
            raise ValueError("give either say (words) or plan (steps)")
        return self


class PlanApproval(BaseModel):
    """An approval; `plan` replaces the plan where it was edited."""

    model_config = ConfigDict(extra="forbid")
    plan: dict[str, Any] | None = Field(None, description="carried out in place of the plan; none: as it is")


class Which(BaseModel):
    """What to stop: one step by its name, or the run."""

    model_config = ConfigDict(extra="forbid")
    step: str | None = Field(None, max_length=40, description="its name in the plan; none: the whole run")


class Again(BaseModel):
    """What to try again: one step by its name, or all that failed."""

    model_config = ConfigDict(extra="forbid")
    step: str | None = Field(None, max_length=40, description="its name in the plan; none: all that failed")


@router.post("", status_code=202, response_model=Run)
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


@router.get("", response_model=Page[Run])
def list_runs(
    here: Here, owner: Owner, status: Status = None, before: Before = None, limit: Limit = 20
) -> dict[str, Any]:
    """List runs, newest first."""
    with here.database.read() as connection:
        return page(lambda n: views.list_(connection, owner, status=status, before=before, limit=n), limit)


@router.get("/{run_id}", response_model=Run)
def get_run(run_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give a run with its steps and the ids of its assets."""
    return accepting.view(here, owner, run_id)


@router.get("/{run_id}/events", response_class=StreamingResponse, responses=EVENTS)
def follow(
    run_id: str,
    request: Request,
    here: Here,
    owner: Owner,
    last_event_id: Annotated[
        str | None,
        Header(max_length=9000, description="number of the last event seen; those behind it follow"),
    ] = None,
    starting_after: Annotated[
        int | None, Query(ge=0, le=MOST, description="like Last-Event-ID, for clients that cannot set it")
    ] = None,
    after: Annotated[
        int | None, Query(ge=0, le=MOST, deprecated=True, description="an earlier name of starting_after")
    ] = None,
) -> StreamingResponse:
    """Stream what happens in a run, from the first event or from behind `Last-Event-ID`, until it has ended."""
    with here.database.read() as connection:
        runs.require(connection, owner, run_id)
    last = starting_after or after or 0
    if last_event_id is not None:
        if not re.fullmatch(r"[0-9]{1,9}", last_event_id):
            raise BadRequest(f"Last-Event-ID is the number of an event, not {last_event_id!r}", param="Last-Event-ID")
        last = int(last_event_id)
    return Followed(request, events.as_lines(events.follow(here, owner, run_id, last)))


@router.get("/{run_id}/plan", response_model=PlanShape)
def get_plan(run_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give the plan of a run."""
    run = accepting.view(here, owner, run_id)
    if run["plan"] is None:
        raise Conflict(f"run {run_id!r} has no plan yet; it is {run['status']}")
    plan: dict[str, Any] = run["plan"]
    return plan


@router.post("/{run_id}/approve", status_code=202, response_model=Run)
def approve(run_id: str, here: Here, owner: Owner, approval: PlanApproval | None = None) -> dict[str, Any]:
    """Start a run that waits for approval, with its plan or an edited one."""
    return accepting.approve(here, owner, run_id, approval.plan if approval else None)


@router.post("/{run_id}/cancel", status_code=202, response_model=Run)
def cancel(run_id: str, here: Here, owner: Owner, which: Which | None = None) -> dict[str, Any]:
    """Stop a run, or one step of it and what needs that step; what has ended stays as it is.

    A run says `cancelling` until its last step has stopped. A step ends at once, and the rest of its run goes on.
    """
    if which is not None and which.step is not None:
        step = which.step
        here.commit(lambda t: steering.stop_step(t, owner, run_id, step))
    else:
        here.commit(lambda t: steering.cancel(t, owner, run_id))
    return accepting.view(here, owner, run_id)


@router.post("/{run_id}/retry", status_code=202, response_model=Run)
def retry(run_id: str, here: Here, owner: Owner, again: Again | None = None) -> dict[str, Any]:
    """Try failed steps again, or one that was stopped, and what was skipped because of them."""
    here.commit(lambda t: steering.retry(t, owner, run_id, again.step if again else None))
    return accepting.view(here, owner, run_id)


@router.post("/{run_id}/rerun", status_code=202, response_model=Run)
def rerun(run_id: str, here: Here, owner: Owner, idempotency_key: Key = None) -> dict[str, Any]:
    """Run the same plan again as a new run; where there was no plan, the same words."""
    return accepting.rerun(here, owner, run_id, idempotency_key)
