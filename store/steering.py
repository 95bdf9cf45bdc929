"""What a person says of a run that is there: stop it or a step of it, let it run, try again what went wrong.

Each function takes a `Transition`, changes rows and says what happened; nothing is sent before the commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select, text, update

from store.runs import (
    OPEN_RUN,
    OPEN_STEP,
    PLAN,
    REPLY,
    NewStep,
    UnknownId,
    WrongState,
    advance,
    queue_step,
    require,
    save_plan,
)
from store.tables import runs, solution_calls, step_needs, steps
from store.transition import Transition


def cancel(t: Transition, owner: str, run_id: str) -> str:
    """Stop a run: what waits is cancelled now, what runs is told to stop. Ended runs stay as they are.

    Returns:
        The run's status afterwards.

    Raises:
        UnknownId: there is no such run of this owner.
    """
    t.lock_run(run_id)
    run = require(t.connection, owner, run_id)
    if run.status not in OPEN_RUN or run.status == "cancelling":
        return str(run.status)
    t.connection.execute(update(runs).where(runs.c.id == run_id).values(status="cancelling"))
    _drop_idle(t, run_id)
    return str(require(t.connection, owner, run_id).status)


def stop_step(t: Transition, owner: str, run_id: str, step_name: str) -> None:
    """Stop one step of a run that goes on; what needs it is left out, and the rest is done. An ended step stays.

    One that is worked on ends here and now: its fence is raised, so what its worker brings is not taken.

    Raises:
        UnknownId: there is no such run of this owner, or no such step.
        WrongState: the run has ended, is being stopped, or has not begun.
    """
    t.lock_run(run_id)
    run = require(t.connection, owner, run_id)
    of_it = (steps.c.run_id == run_id, steps.c.name == step_name, steps.c.tool.not_in((PLAN, REPLY)))
    row = t.connection.execute(select(*steps.c).where(*of_it)).first()
    if row is None:
        raise UnknownId(f"run {run_id!r} has no step {step_name!r}")
    if run.status not in {"pending", "in_progress"}:
        raise WrongState(f"run {run_id!r} is {run.status}; a step is stopped while its run goes on")
    # A claim that is just being made holds its step and wants the run: of the two, the database lets one begin again.
    ended = t.connection.execute(
        update(steps)
        .where(*of_it, steps.c.status.in_(OPEN_STEP))
        .values(status="cancelled", ended_at=t.now, lease_until=None, token=steps.c.token + 1)
    ).rowcount
    if ended:
        t.heard("step", [row.id])
        t.emit(run_id, "step.cancelled", step=row.name, tool=row.tool)
        _skip_behind(t, run_id)
        advance(t, run_id)


def _drop_idle(t: Transition, run_id: str) -> None:
    """Cancel the steps of a cancelling run that nobody works on, and end the run if that was all. Hold it before."""
    # A claim holds its step and then wants the run, which is held here: who is claimed just now is not waited for.
    idle = select(steps.c.id).where(steps.c.run_id == run_id, steps.c.status.in_(("waiting", "queued")))
    dropped = list(
        t.connection.execute(
            update(steps)
            .where(steps.c.id.in_(idle.with_for_update(skip_locked=True)))
            .values(status="cancelled", ended_at=t.now)
            .returning(steps.c.id)
        ).scalars()
    )
    if dropped:
        t.heard("step", dropped)
    advance(t, run_id)


# The status stands in the text, as in the index of open runs.
_LEFT = (
    select(runs.c.id)
    .where(
        text("runs.status = 'cancelling'"),
        select(steps.c.id).where(steps.c.run_id == runs.c.id, steps.c.status.in_(("waiting", "queued"))).exists(),
    )
    .order_by(runs.c.id)
    .limit(100)
)


def left_behind(connection: Connection) -> list[str]:
    """Give runs that are cancelled and have steps that `cancel` passed over, because a claim held them and gave up."""
    return list(connection.execute(_LEFT).scalars())


def drop_left_behind(t: Transition) -> None:
    """Cancel what `left_behind` gives."""
    for run_id in left_behind(t.connection):
        t.lock_run(run_id)
        _drop_idle(t, run_id)


def approve(t: Transition, owner: str, run_id: str, plan: Mapping[str, Any], new: Sequence[NewStep]) -> None:
    """Start a plan that waited for it, as it was stored or as it was edited.

    Raises:
        UnknownId: there is no such run of this owner.
        WrongState: the run does not wait for approval.
    """
    t.lock_run(run_id)
    run = require(t.connection, owner, run_id)
    if run.status != "waiting_approval":
        raise WrongState(f"run {run_id!r} is {run.status}; only a run that waits for approval can be approved")
    save_plan(t, run_id, plan, new, approved=True)


def retry(t: Transition, owner: str, run_id: str, step_name: str | None = None) -> list[str]:
    """Try steps again, all that failed or one by name that failed or was stopped; what was skipped waits again.

    The answer in words is made anew after them.

    Returns:
        The names of the steps that are tried again.

    Raises:
        UnknownId: there is no such run or step.
        WrongState: the run goes on, was cancelled, or has no such step to try again.
    """
    t.lock_run(run_id)
    run = require(t.connection, owner, run_id)
    if run.status not in {"failed", "completed"}:
        raise WrongState(f"run {run_id!r} is {run.status}; only an ended run with failed steps can be tried again")
    rows = t.connection.execute(select(*steps.c).where(steps.c.run_id == run_id)).all()
    if step_name is not None and step_name not in {row.name for row in rows}:
        raise UnknownId(f"run {run_id!r} has no step {step_name!r}")
    ended_badly = {"failed"} if step_name is None else {"failed", "cancelled"}
    again = [row for row in rows if row.status in ended_badly and step_name in {None, row.name}]
    if not again:
        raise WrongState(f"run {run_id!r} has no failed step" + (f" {step_name!r}" if step_name else ""))
    t.connection.execute(delete(steps).where(steps.c.run_id == run_id, steps.c.tool == REPLY))
    t.connection.execute(
        update(runs).where(runs.c.id == run_id).values(status="pending", error=None, ended_at=None, reply=None)
    )
    t.connection.execute(
        update(steps)
        .where(steps.c.run_id == run_id, steps.c.status == "skipped")
        .values(status="waiting", ended_at=None)
    )
    t.connection.execute(
        update(steps).where(steps.c.id.in_([row.id for row in again])).values(attempts=0, error=None, ended_at=None)
    )
    t.connection.execute(  # a person wants it again: what it sent before holds nothing back
        update(solution_calls).where(solution_calls.c.step_id.in_([row.id for row in again])).values(step_id=None)
    )
    for row in again:
        if row.tool != REPLY:
            queue_step(t, run_id, row)
    _skip_behind(t, run_id)
    advance(t, run_id)  # where only the answer failed, there is nothing else to wait for
    return [row.name for row in again]


def _skip_behind(t: Transition, run_id: str) -> None:
    """Skip what stands behind a step that failed or was stopped, and is not tried again."""
    while True:
        stopped = select(step_needs.c.step_id).where(
            step_needs.c.needs_id.in_(
                select(steps.c.id).where(
                    steps.c.run_id == run_id, steps.c.status.in_(("failed", "cancelled", "skipped"))
                )
            )
        )
        changed = t.connection.execute(
            update(steps)
            .where(steps.c.run_id == run_id, steps.c.status == "waiting", steps.c.id.in_(stopped))
            .values(status="skipped", ended_at=t.now)
        ).rowcount
        if not changed:
            return
