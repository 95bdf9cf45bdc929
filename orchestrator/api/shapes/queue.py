"""What runs and what waits, as clients see it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from orchestrator.api.shapes.base import CreatedAt, Shown
from orchestrator.api.shapes.work import RunStatus


class QueueShape(Shown):
    """Work of one kind, and how quickly it was done over the last five minutes."""

    id: str = Field(description="its name: `planner`, `image`, …")
    waiting: int = Field(description="steps that could be begun now, of everybody")
    running: int = Field(description="steps that workers hold, of everybody")
    oldest_s: float | None = Field(description="seconds for which the oldest of them waits; null where none does")
    workers: int = Field(description="worker processes that take this work; 0: it waits for one")
    slots: int = Field(description="steps that they can hold at once")
    per_minute: float | None = Field(description="steps that ended a minute; null where none did")
    call_s: dict[str, float] = Field(description="seconds that a call of each tool took; only tools that were measured")


class CurrentStep(Shown):
    """The step that a run is at."""

    id: str = Field(description="its name in the plan: `s1`")
    tool: str = Field(description="what it calls; `studio.plan` and `studio.reply` are the planner's own")
    args: dict[str, Any] | None = Field(description="with which arguments; null for the planner's own")
    queue: str = Field(description="the queue that it is in")
    status: str = Field(description="`in_progress` or `queued`")
    percent: int = Field(description="how much of it is done, 0 to 100")
    started_at: float | None = Field(description="when it was begun, seconds since 1970; null before")


class OpenRun(Shown):
    """A run that has not ended."""

    id: str = Field(description="`run_…`")
    owner: str = Field(description="for whom it is")
    mine: bool = Field(description="whether that is who asks; only one's own can be cancelled")
    status: RunStatus = Field(description="how far it is")
    request: str | None = Field(description="what was said; null where a plan came ready")
    thread_id: str | None = Field(description="the conversation that it belongs to, if it does")
    batch_id: str | None = Field(description="the batch that it is a line of, if it is")
    created_at: CreatedAt
    is_running: bool = Field(description="whether a worker is at it now")
    step: CurrentStep | None = Field(description="the step that it is at; null where it waits for a person")
    steps_done: int = Field(description="steps of its plan that have ended")
    steps: int = Field(description="steps of its plan; 0 before it is planned")
    ahead: int | None = Field(description="steps of its queue that will be begun before; null where a worker is at it")
    start_s: float | None = Field(
        description="seconds until a worker is expected to begin it, 0 where one is at it; null where it cannot be told"
    )
    end_s: float | None = Field(
        description="seconds until it is expected to have ended, from the measured times of such steps; null before it "
        "is planned and where one of its steps was not measured"
    )
    unserved: str | None = Field(description="why nobody can work on it just now, in words; null where somebody can")


class OthersWork(Shown):
    """How much there is of others, without saying what it is."""

    running: int = Field(description="runs that workers are at")
    open: int = Field(description="runs that have not ended, with those")


class QueueAnswer(Shown):
    """What runs now, and what waits."""

    queues: list[QueueShape] = Field(description="each queue, by name")
    data: list[OpenRun] = Field(description="the open runs, those that workers are at first; 100 at most")
    has_more: bool = Field(description="whether more runs are open than are shown")
    others: OthersWork = Field(description="runs that are not shown because they are somebody else's")
    sees_all: bool = Field(description="whether the runs of all owners are shown")
    now: float = Field(description="when this was, seconds since 1970")
