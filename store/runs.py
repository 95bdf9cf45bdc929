"""The way of a run: accepted, planned, worked on, ended. What a person says of it meanwhile is in `steering`.

Each function takes a `Transition`, changes rows and says what happened; nothing is sent before the commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, select, update

from store import presence
from store.ids import new_id
from store.tables import messages, runs, step_needs, steps, threads
from store.transition import Transition

CHAT, DIRECT, BATCH = 0, 5, 10  # priorities: lower goes first
PLAN, REPLY = "studio.plan", "studio.reply"  # the planner's own steps; plans cannot name them
PLANNER_QUEUE = "planner"
OPEN_RUN = ("pending", "planning", "waiting_approval", "in_progress", "cancelling")
OPEN_STEP = ("waiting", "queued", "in_progress")


class UnknownId(LookupError):
    """There is no such thing, or it belongs to somebody else."""


class WrongState(Exception):
    """The run is in a state in which this cannot be done."""


@dataclass(frozen=True)
class NewStep:
    """A step of a checked plan, ready to be stored. `needs` names earlier steps."""

    name: str
    tool: str
    args: Mapping[str, Any]
    queue: str
    needs: tuple[str, ...] = ()
    batch_key: str | None = None
    max_attempts: int = 3


class Opening(Protocol):
    """Gives a new run the thread that it belongs to, in the transaction in which the run is stored."""

    def open(self, t: Transition, owner: str, run_id: str, request: str) -> str:
        """Give the thread's id."""


@dataclass(frozen=True)
class NewRun:
    """What a client asks for: words (`request`), or a plan that came ready with its `steps`.

    Attributes:
        before: where the thread is not there yet: makes it.
    """

    owner: str
    request: str | None = None
    plan: Mapping[str, Any] | None = None
    steps: Sequence[NewStep] = ()
    thread_id: str | None = None
    batch_id: str | None = None
    priority: int = CHAT
    needs_approval: bool = False
    plan_only: bool = False
    idempotency_key: str | None = None
    max_attempts: int = 3
    traceparent: str | None = None
    before: Opening | None = None
    key_id: str | None = None


@dataclass(frozen=True)
class Accepted:
    """The run's id; `created` is False where an idempotency key was seen before."""

    run_id: str
    created: bool = True


def accept(t: Transition, new: NewRun) -> Accepted:
    """Store a request so that it will be carried out. Commit it durably.

    Raises:
        UnknownId: the thread is not there.
    """
    seen = seen_before(t, new)
    if seen is not None:
        return Accepted(seen, created=False)
    if new.thread_id is not None:
        require_thread(t.connection, new.owner, new.thread_id)
    run_id = new_id("run")
    stored = t.connection.execute(
        t.upsert(runs)
        .values(
            id=run_id,
            owner=new.owner,
            thread_id=new.thread_id,
            batch_id=new.batch_id,
            status="pending",
            priority=new.priority,
            request=new.request,
            plan=dict(new.plan) if new.plan is not None else None,
            plan_only=new.plan_only,
            needs_approval=new.needs_approval,
            idempotency_key=new.idempotency_key,
            traceparent=new.traceparent,
            key_id=new.key_id,
            last_event=0,
            created_at=t.now,
        )
        .on_conflict_do_nothing(index_elements=["owner", "idempotency_key"])
        .returning(runs.c.id)
    ).first()
    if stored is None:  # the same key came in twice at once
        return Accepted(str(seen_before(t, new)), created=False)
    t.emit(run_id, "run.created", request=new.request)
    thread_id = new.thread_id
    if new.before is not None:
        thread_id = new.before.open(t, new.owner, run_id, new.request or "")
        t.connection.execute(update(runs).where(runs.c.id == run_id).values(thread_id=thread_id))
    if thread_id is not None and new.request is not None:
        add_message(t, thread_id, "user", new.request, run_id)
    if new.plan is None:
        step = NewStep("plan", PLAN, {}, PLANNER_QUEUE, max_attempts=new.max_attempts)
        add_steps(t, run_id, new.owner, new.priority, [step], first_position=-1)
    else:
        t.emit(run_id, "plan.created", plan=dict(new.plan))
        if not new.steps:
            finish(t, run_id, status="completed")
        elif new.needs_approval:
            _wait(t, run_id, new.plan, why=None)
        else:
            add_steps(t, run_id, new.owner, new.priority, new.steps)
    return Accepted(run_id)


def _wait(t: Transition, run_id: str, plan: Mapping[str, Any], *, why: str | None) -> None:
    """Let a run wait until a person approves its plan."""
    t.connection.execute(update(runs).where(runs.c.id == run_id).values(status="waiting_approval"))
    t.emit(run_id, "approval.required", plan=dict(plan), why=why)


def seen_before(t: Transition, new: NewRun) -> str | None:
    """Give the run that the same idempotency key was used for."""
    if new.idempotency_key is None:
        return None
    return t.connection.execute(
        select(runs.c.id).where(runs.c.owner == new.owner, runs.c.idempotency_key == new.idempotency_key)
    ).scalar()


def add_steps(
    t: Transition, run_id: str, owner: str, priority: int, new: Sequence[NewStep], first_position: int = 0
) -> None:
    """Store the steps of a run; those that need nothing are queued at once."""
    if not new:
        return
    ids = {step.name: new_id("step") for step in new}
    t.connection.execute(
        insert(steps),
        [
            {
                "id": ids[step.name],
                "run_id": run_id,
                "owner": owner,
                "name": step.name,
                "position": first_position + offset,
                "tool": step.tool,
                "args": dict(step.args),
                "queue": step.queue,
                "batch_key": step.batch_key,
                "status": "waiting" if step.needs else "queued",
                "priority": priority,
                "available_at": t.now,
                "attempts": 0,
                "max_attempts": step.max_attempts,
                "token": 0,
                "percent": 0,
                "created_at": t.now,
            }
            for offset, step in enumerate(new)
        ],
    )
    needs = [{"step_id": ids[s.name], "needs_id": ids[need]} for s in new for need in dict.fromkeys(s.needs)]
    if needs:
        t.connection.execute(insert(step_needs), needs)
    for step in new:
        if not step.needs:
            _tell_queued(t, run_id, step)
            t.wake("step", ids[step.name], step.queue, priority)


def _tell_queued(t: Transition, run_id: str, step: Any) -> None:
    """Say that a step is queued, and at once whether nobody is there to run it. `step`: name, tool, queue."""
    if step.tool.startswith("studio."):
        return
    why = presence.unserved(t.connection, step.queue, step.tool)
    t.emit(run_id, "step.queued", step=step.name, tool=step.tool, **({} if why is None else {"unserved": why}))


def save_plan(
    t: Transition,
    run_id: str,
    plan: Mapping[str, Any],
    new: Sequence[NewStep],
    *,
    approved: bool = False,
    risk: str | None = None,
) -> None:
    """Store a checked plan and start its steps, unless it is to be looked at first or only to be shown.

    A plan without steps is an answer in words: the run ends with its reply.

    Args:
        risk: why a person has to look at it before it runs, in words.
    """
    run = _row(t.connection, run_id)
    if run.status == "cancelling":
        return
    if not approved:
        t.emit(run_id, "plan.created", plan=dict(plan))
    t.connection.execute(update(runs).where(runs.c.id == run_id).values(plan=dict(plan)))
    if run.plan_only or not new:
        finish(t, run_id, status="completed", reply=str(plan.get("reply") or ""))
    elif (run.needs_approval or risk is not None) and not approved:
        _wait(t, run_id, plan, why=risk)
    else:
        t.connection.execute(
            update(runs)
            .where(runs.c.id == run_id)
            .values(status="in_progress", started_at=func.coalesce(runs.c.started_at, t.now))
        )
        t.emit(run_id, "run.started")
        add_steps(t, run_id, run.owner, run.priority, new)


_STEPS_OF = (
    select(steps.c.run_id, steps.c.tool, steps.c.status, steps.c.error)
    .where(steps.c.run_id.in_(bindparam("of_runs", expanding=True)))
    .order_by(steps.c.run_id, steps.c.position)
)
_RUNS = select(*runs.c).where(runs.c.id.in_(bindparam("of_runs", expanding=True))).order_by(runs.c.id)


def advance(t: Transition, *run_ids: str) -> None:
    """Move runs on after steps of theirs have ended. Hold the runs (`lock_run`) before."""
    steps_of: dict[str, list[Any]] = {run_id: [] for run_id in run_ids}
    for step in t.connection.execute(_STEPS_OF, {"of_runs": list(run_ids)}):
        steps_of[step.run_id].append(step)
    ended = [run_id for run_id, done in steps_of.items() if not any(step.status in OPEN_STEP for step in done)]
    if not ended:
        return
    well: list[str] = []
    for run in t.connection.execute(_RUNS, {"of_runs": ended}).all():
        if run.status in OPEN_RUN and run.status != "waiting_approval" and _went_well(t, run, steps_of[run.id]):
            well.append(run.id)
    finish(t, *well, status="completed")


def _went_well(t: Transition, run: Row[Any], done: Sequence[Any]) -> bool:
    """Say whether a run whose steps have ended is completed; else do what comes next."""
    if run.status == "cancelling":
        finish(t, run.id, status="cancelled")
        return False
    if run.request is not None and REPLY not in {step.tool for step in done} and not run.plan_only:
        reply = NewStep("reply", REPLY, {}, PLANNER_QUEUE)
        add_steps(t, run.id, run.owner, run.priority, [reply], first_position=10_000)
        return False
    failed = next((step for step in done if step.status == "failed" and step.tool != REPLY), None)
    if failed is not None:
        finish(t, run.id, status="failed", error=failed.error)
    return failed is None


def finish(
    t: Transition, *run_ids: str, status: str, reply: str | None = None, error: Mapping[str, Any] | None = None
) -> None:
    """End runs: "completed", "failed" or "cancelled"."""
    if not run_ids:
        return
    values: dict[str, Any] = {"status": status, "ended_at": t.now}
    if reply is not None:
        values["reply"] = reply
    if error is not None:
        values["error"] = dict(error)
    rows = t.connection.execute(
        update(runs)
        .where(runs.c.id.in_(run_ids), runs.c.status.in_(OPEN_RUN))
        .values(**values)
        .returning(runs.c.id, runs.c.thread_id, runs.c.batch_id, runs.c.reply, runs.c.error)
    ).all()
    for row in rows:
        if row.thread_id is not None and (row.reply or row.error):
            add_message(t, row.thread_id, "assistant", row.reply or str(row.error["message"]), row.id)
        t.emit(row.id, f"run.{status}", reply=row.reply, error=row.error)
    for batch_id in dict.fromkeys(row.batch_id for row in rows if row.batch_id is not None):
        t.wake("feed", batch_id, PLANNER_QUEUE, BATCH)


def set_reply(t: Transition, run_id: str, reply: str) -> None:
    """Store what is said at the end, before the run ends."""
    t.connection.execute(update(runs).where(runs.c.id == run_id).values(reply=reply))


def queue_step(t: Transition, run_id: str, row: Any) -> None:
    """Make a step claimable and call a worker. `row`: id, name, tool, queue, priority.

    It is as old as its run: a run that was begun is ended before those that came later.
    """
    t.connection.execute(
        update(steps).where(steps.c.id == row.id).values(status="queued", available_at=steps.c.created_at)
    )
    _tell_queued(t, run_id, row)
    t.wake("step", row.id, row.queue, row.priority)


def new_thread(t: Transition, owner: str, title: str = "") -> str:
    """Begin a conversation and give its id."""
    thread_id = new_id("thread")
    t.connection.execute(insert(threads).values(id=thread_id, owner=owner, title=title, created_at=t.now))
    return thread_id


def add_message(t: Transition, thread_id: str, role: str, content: str, run_id: str | None) -> None:
    """Add what was said, by "user" or "assistant"."""
    t.connection.execute(
        insert(messages).values(
            id=new_id("message"), thread_id=thread_id, run_id=run_id, role=role, content=content, created_at=t.now
        )
    )


def require(connection: Connection, owner: str, run_id: str) -> Row[Any]:
    """Give the run's row.

    Raises:
        UnknownId: there is no such run of this owner.
    """
    row = connection.execute(select(*runs.c).where(runs.c.id == run_id, runs.c.owner == owner)).first()
    if row is None:
        raise UnknownId(f"there is no run {run_id!r}")
    return row


def traceparents(connection: Connection, run_ids: Sequence[str]) -> dict[str, str]:
    """Give the trace contexts of the requests that runs came with, where there were any."""
    known = select(runs.c.id, runs.c.traceparent).where(runs.c.id.in_(run_ids), runs.c.traceparent.is_not(None))
    return {row.id: row.traceparent for row in connection.execute(known)}


def open_in_batch(connection: Connection, batch_id: str) -> int:
    """Count the runs of a batch that have not ended."""
    return connection.execute(
        select(func.count()).where(and_(runs.c.batch_id == batch_id, runs.c.status.in_(OPEN_RUN)))
    ).scalar_one()


def _row(connection: Connection, run_id: str) -> Row[Any]:
    return connection.execute(select(*runs.c).where(runs.c.id == run_id)).one()


def require_thread(connection: Connection, owner: str, thread_id: str) -> Row[Any]:
    """Give the thread's row.

    Raises:
        UnknownId: there is no such thread of this owner.
    """
    row = connection.execute(select(*threads.c).where(threads.c.id == thread_id, threads.c.owner == owner)).first()
    if row is None:
        raise UnknownId(f"there is no thread {thread_id!r}")
    return row
