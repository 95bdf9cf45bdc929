"""Runs, conversations and batches as clients see them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from orchestrator.api.shapes.base import CreatedAt, EndedAt, Shown, Trouble

RunStatus = Literal[
    "pending", "planning", "waiting_approval", "in_progress", "cancelling", "completed", "failed", "cancelled"
]
StepStatus = Literal["waiting", "queued", "in_progress", "completed", "failed", "skipped", "cancelled"]


class PlannedStep(Shown):
    """A step of a plan."""

    id: str = Field(description="its name in this plan, `s1`, `s2`, …")
    tool: str = Field(description="the tool that it calls")
    args: dict[str, Any] = Field(
        description='its arguments; "$s1" or "$s1[0]" is what a step gave, "@asset_…" an asset'
    )


class PlanShape(Shown):
    """What is to be done, as data."""

    steps: list[PlannedStep] = Field(description="in the order in which they were planned; 16 at most")
    reply: str = Field("", description="what is said about them, in words")


class StepShape(Shown):
    """A step of a run."""

    id: str = Field(description="its name in the plan")
    tool: str = Field(description="the tool that it calls")
    args: dict[str, Any] = Field(description="the arguments that it was given; a seed that was not given is drawn")
    status: StepStatus = Field(description="how far it is")
    percent: int = Field(description="how much of it is done, 0 to 100")
    attempts: int = Field(description="how often it was begun")
    error: Trouble | None = Field(description="why it failed, or is tried again; null where it did not")
    assets: list[str] = Field(description="ids of what it made")
    started_at: float | None = Field(description="when it was begun, seconds since 1970; null before")
    ended_at: EndedAt


class Run(Shown):
    """A request and what came of it."""

    id: str = Field(description="`run_…`; ids sort by time")
    thread_id: str | None = Field(description="the conversation that it belongs to, if it does")
    batch_id: str | None = Field(description="the batch that it is a line of, if it is")
    status: RunStatus = Field(description="how far it is; the last three are final")
    request: str | None = Field(description="what was said; null where a plan came ready")
    plan: PlanShape | None = Field(description="null until it was planned")
    plan_only: bool = Field(description="it is planned and not carried out")
    needs_approval: bool = Field(description="it waits for a yes before its plan is carried out")
    reply: str | None = Field(description="the answer in words; null until there is one")
    error: Trouble | None = Field(description="why it failed; null where it did not")
    traceparent: str | None = Field(None, description="the trace that it belongs to (W3C Trace Context)")
    created_at: CreatedAt
    started_at: float | None = Field(description="when its steps were begun, seconds since 1970; null before")
    ended_at: EndedAt
    unserved: str | None = Field(description="why nobody can work on it just now, in words; null where somebody can")
    steps: list[StepShape] = Field(description="its steps, in the order of the plan")
    assets: list[str] = Field(description="ids of all that its steps made")


class RunRef(Shown):
    """Which run, and how far it is."""

    id: str = Field(description="`run_…`")
    status: RunStatus = Field(description="how far it is")


class Planned(Shown):
    """A plan that was made and not carried out."""

    run: RunRef = Field(description="the run that planned it")
    plan: PlanShape | None = Field(description="null where planning goes on; ask for the run")


class Message(Shown):
    """Something that was said in a conversation."""

    id: str = Field(description="`message_…`")
    run_id: str | None = Field(description="the run that it began or that answered, if one did")
    role: str = Field(description="who said it: `user` or `assistant`")
    content: str = Field(description="the words")
    created_at: CreatedAt


class Thread(Shown):
    """A conversation."""

    id: str = Field(description="`thread_…`; ids sort by time")
    title: str = Field(description="for people; empty where none was given")
    created_at: CreatedAt


class Conversation(Thread):
    """A conversation with what was said in it."""

    messages: list[Message] = Field(description="oldest first")
