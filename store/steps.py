"""The way of a step: claimed with a lease and a fencing token, renewed, ended, or taken back.

Every write of a result names the token of its claim. A worker that lost its lease therefore writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, Select, Update, and_, bindparam, func, or_, select, text, update

from store import runs as run_rows
from store import steering, turns
from store.runs import PLAN
from store.tables import QUEUED, runs, shares, step_assets, step_needs, steps
from store.transition import Transition
from store.turns import Line

RETRY_BACKOFF_S = 1.0
CLOCKS_S = 0.05  # a step is due this much early: the machines' readings of the one clock differ by less


class LeaseLost(Exception):
    """Another worker has this step now, or it was ended; nothing was written."""


@dataclass(frozen=True)
class Claim:
    """A step that a worker holds, with all that it needs to run it.

    Attributes:
        token: the fence; writes with an older token are refused.
        outputs: the ids of the assets that each needed step made, by the step's name.
    """

    id: str
    run_id: str
    owner: str
    name: str
    tool: str
    args: dict[str, Any]
    token: int
    attempts: int
    max_attempts: int
    priority: int
    outputs: Mapping[str, list[str]] = field(default_factory=dict)


def _taking(ids: Select[Any]) -> Update:
    """Give the statement that claims the steps which `ids` selects."""
    # A CTE is looked up once. PostgreSQL may look up a plain subquery once a row, and its LIMIT then limits nothing.
    chosen = ids.cte("chosen")
    return (
        update(steps)
        .where(steps.c.id.in_(select(chosen.c.id)))
        .values(
            status="in_progress",
            token=steps.c.token + 1,
            attempts=steps.c.attempts + 1,
            lease_until=bindparam("of_until"),
            worker=bindparam("of_worker"),
            started_at=func.coalesce(steps.c.started_at, bindparam("of_now")),
            percent=0,
        )
        .returning(*steps.c)
    )


# Statements that every step needs are built once: building one costs as much as running it.
_CLAIMABLE = and_(steps.c.status == "queued", steps.c.available_at <= bindparam("of_due"))
_CLAIM_FIRST = _taking(
    select(steps.c.id)
    .where(
        _CLAIMABLE,
        steps.c.queue == bindparam("of_queue"),
        steps.c.tool == bindparam("of_tool"),
        steps.c.priority == bindparam("of_priority"),
        steps.c.owner == bindparam("of_owner"),
    )
    .order_by(steps.c.available_at, steps.c.position)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_CLAIM_SIBLINGS = _taking(
    select(steps.c.id)
    .where(
        _CLAIMABLE,
        steps.c.queue == bindparam("of_queue"),
        steps.c.batch_key == bindparam("of_key"),
        steps.c.attempts == 0,
    )
    .order_by(steps.c.priority, steps.c.available_at, steps.c.position)
    .limit(bindparam("of_room"))
    .with_for_update(skip_locked=True)
)


def claim(
    t: Transition,
    *,
    queues: Sequence[str],
    worker: str,
    lease_s: float,
    batch_sizes: Mapping[str, int],
    tools: Sequence[str] | None = None,
) -> list[Claim]:
    """Claim the next step, and the waiting steps that can share its call.

    The order is priority, then the owner who was served longest ago, then age; see `store.turns`. A step that died
    before runs alone, so that one that kills its process takes no other with it.

    Args:
        queues: the queues that this worker serves.
        worker: its name, for people and for `release`.
        lease_s: seconds until the lease ends unless it is renewed.
        batch_sizes: the most steps a call takes, by tool; a tool that is not named runs alone.
        tools: the tools that this worker can run; others are left to workers that can. None: all of its queues.

    Returns:
        The claimed steps, the first being the one that was next; empty if there is no work.
    """
    due = t.now + CLOCKS_S
    given = {"of_now": t.now, "of_due": due, "of_until": t.now + lease_s, "of_worker": worker}
    first = _first(t, turns.lines(t.connection, queues, due, tools), given)
    if first is None:
        return []
    rows = [first]
    room = batch_sizes.get(first.tool, 1) - 1
    if room > 0 and first.batch_key is not None and first.attempts == 1:
        like_it = {"of_queue": first.queue, "of_key": first.batch_key, "of_room": room}
        rows = [first, *t.connection.execute(_CLAIM_SIBLINGS, {**given, **like_it})]
    _served(t, {row.owner for row in rows})
    t.heard("step", [row.id for row in rows])
    _started(t, rows)
    return [_claim(t.connection, row) for row in rows]


def _first(t: Transition, lines: Iterable[Line], given: Mapping[str, Any]) -> Row[Any] | None:
    """Claim the oldest step of the first line that has one which nobody else is taking."""
    for line in lines:
        its = {
            "of_queue": line.queue,
            "of_tool": line.tool,
            "of_priority": line.priority,
            "of_owner": line.owner,
        }
        row = t.connection.execute(_CLAIM_FIRST, {**given, **its}).first()
        if row is not None:
            return row
    return None


_SERVED = (
    update(shares)
    .where(
        shares.c.owner.in_(
            select(shares.c.owner)
            .where(shares.c.owner.in_(bindparam("of_owners", expanding=True)))
            .order_by(shares.c.owner)
            .with_for_update(skip_locked=True)
        )
    )
    .values(served_at=bindparam("of_now"))
)


def _served(t: Transition, owners: set[str]) -> None:
    """Note who was served; whom another worker serves at this moment need not wait for its commit."""
    if t.connection.execute(_SERVED, {"of_owners": sorted(owners), "of_now": t.now}).rowcount < len(owners):
        known = select(shares.c.owner).where(shares.c.owner.in_(owners))
        new = owners - set(t.connection.execute(known).scalars())
        if new:
            rows = [{"owner": owner, "served_at": t.now} for owner in sorted(new)]
            t.connection.execute(t.upsert(shares).on_conflict_do_nothing(index_elements=["owner"]), rows)


_BEGIN = (
    update(runs)
    .where(runs.c.id.in_(bindparam("of_runs", expanding=True)), runs.c.status == "pending")
    .values(status=bindparam("of_status"), started_at=bindparam("of_now"))
    .returning(runs.c.id)
)


def _started(t: Transition, rows: Sequence[Row[Any]]) -> None:
    """Say that the steps of one call have begun, and their runs with them."""
    status = "planning" if rows[0].tool == PLAN else "in_progress"
    run_ids = sorted({row.run_id for row in rows})
    if len(run_ids) > 1:
        t.lock_runs(run_ids)
    given = {"of_runs": run_ids, "of_status": status, "of_now": t.now}
    begun = set(t.connection.execute(_BEGIN, given).scalars())
    for row in rows:
        if row.run_id in begun and status == "in_progress":
            t.emit(row.run_id, "run.started")
            begun.remove(row.run_id)
        if not row.tool.startswith("studio."):
            t.emit(row.run_id, "step.started", step=row.name, tool=row.tool, attempt=row.attempts)


def _claim(connection: Connection, row: Row[Any]) -> Claim:
    held = _claim_without_outputs(row)
    return replace(held, outputs=_outputs(connection, row.id)) if "$" in str(row.args) else held


def _outputs(connection: Connection, step_id: str) -> dict[str, list[str]]:
    rows = connection.execute(
        select(steps.c.name, step_assets.c.asset_id)
        .select_from(
            step_needs.join(steps, steps.c.id == step_needs.c.needs_id).outerjoin(
                step_assets, step_assets.c.step_id == steps.c.id
            )
        )
        .where(step_needs.c.step_id == step_id)
        .order_by(steps.c.position, step_assets.c.position)
    )
    found: dict[str, list[str]] = {}
    for name, asset_id in rows:
        found.setdefault(name, [])
        if asset_id is not None:
            found[name].append(asset_id)
    return found


def renew(connection: Connection, claims: Sequence[Claim], now: float, lease_s: float) -> dict[str, str]:
    """Renew the leases of the steps that a worker holds.

    Returns:
        For each step id "held", "cancelling" (still held, the run is to stop) or "lost".
    """
    standing: dict[str, str] = {}
    for claim_ in sorted(claims, key=lambda c: c.id):
        held = connection.execute(update(steps).where(_mine(claim_)).values(lease_until=now + lease_s)).rowcount
        standing[claim_.id] = "held" if held else "lost"
    for step_id, state in cancelling(connection, claims).items():
        if standing[step_id] == "held":
            standing[step_id] = state
    return standing


_STANDING = (
    select(steps.c.id, steps.c.token, steps.c.status, runs.c.status.label("of_run"))
    .join(runs, runs.c.id == steps.c.run_id)
    .where(steps.c.id.in_(bindparam("of_steps", expanding=True)))
)


def cancelling(connection: Connection, claims: Sequence[Claim]) -> dict[str, str]:
    """Give {step id: why} for those that are to stop: "cancelling" (their run is to) or "lost" (they are not ours)."""
    tokens = {claim_.id: claim_.token for claim_ in claims}
    found: dict[str, str] = {}
    for row in connection.execute(_STANDING, {"of_steps": list(tokens)}):
        if row.status != "in_progress" or row.token != tokens[row.id]:
            found[row.id] = "lost"
        elif row.of_run == "cancelling":
            found[row.id] = "cancelling"
    return found


_GUARD = (
    select(steps.c.id)
    .where(steps.c.id == bindparam("of_step"), steps.c.token == bindparam("of_token"), steps.c.status == "in_progress")
    .with_for_update()
)


def guard(t: Transition, claim_: Claim) -> None:
    """Make sure that the step is still ours, and hold its run for the rest of the transaction.

    Raises:
        LeaseLost: it is not; the transaction writes nothing.
    """
    t.lock_run(claim_.run_id)
    if t.connection.execute(_GUARD, {"of_step": claim_.id, "of_token": claim_.token}).first() is None:
        raise LeaseLost(f"step {claim_.id!r} is no longer held with token {claim_.token}")


def check_held(connection: Connection, step_id: str, token: int) -> None:
    """Make sure that a claim still stands.

    Raises:
        LeaseLost: it does not.
    """
    mine = (steps.c.id == step_id, steps.c.token == token, steps.c.status == "in_progress")
    if connection.execute(select(steps.c.id).where(*mine)).first() is None:
        raise LeaseLost(f"step {step_id!r} is no longer held with token {token}")


def fail(
    t: Transition, claim_: Claim, error: Mapping[str, Any], *, again: bool = False, after_s: float | None = None
) -> None:
    """End a step badly, or put it back for another attempt. Call `guard` first.

    Args:
        error: {"code", "message", …}; the message names the thing and the way out.
        again: try again with back-off while attempts are left.
        after_s: it was not tried at all, because its turn comes in so many seconds: this attempt does not count.
    """
    stopping = bool(cancelling(t.connection, [claim_]))  # it is ours: `guard` saw to that
    if again and stopping:
        stop(t, claim_)
        return
    if again and after_s is not None:
        t.connection.execute(update(steps).where(_mine(claim_)).values(attempts=steps.c.attempts - 1))
        _requeue(t, claim_, t.now + after_s, error)
        return
    if again and claim_.attempts < claim_.max_attempts:
        _requeue(t, claim_, t.now + RETRY_BACKOFF_S * 4 ** (claim_.attempts - 1), error)
        return
    _end(t, claim_, "failed", error=dict(error))
    if not claim_.tool.startswith("studio."):
        t.emit(claim_.run_id, "step.failed", step=claim_.name, tool=claim_.tool, error=dict(error))
    _skip_dependents(t, claim_.id, claim_.run_id)
    if claim_.tool == PLAN and not stopping:
        run_rows.finish(t, claim_.run_id, status="failed", error=dict(error))
    else:
        run_rows.advance(t, claim_.run_id)


def stop(t: Transition, claim_: Claim) -> None:
    """End a step whose run is cancelled. Call `guard` first."""
    _end(t, claim_, "cancelled")
    run_rows.advance(t, claim_.run_id)


def reap(t: Transition) -> int:
    """Take back the steps whose lease ended: queue them again, or bury them after the last attempt.

    Steps that were passed over when their run was cancelled are cancelled.

    Returns:
        How many there were.
    """
    steering.drop_left_behind(t)
    ended = and_(steps.c.status == "in_progress", steps.c.lease_until < t.now)
    seen = t.connection.execute(
        select(steps.c.id, steps.c.run_id).where(ended).order_by(steps.c.run_id, steps.c.id).limit(200)
    ).all()
    dead = 0
    for step_id, run_id in seen:
        t.lock_run(run_id)  # the run before the step, as everywhere
        row = t.connection.execute(
            select(*steps.c).where(steps.c.id == step_id, ended).with_for_update(skip_locked=True)
        ).first()
        if row is not None:
            _take_back(t, row)
            dead += 1
    return dead


def _take_back(t: Transition, row: Row[Any]) -> None:
    claim_ = _claim_without_outputs(row)
    error = {
        "code": "worker_died",
        "message": f"the worker {row.worker!r} stopped while it ran step {row.name!r} ({row.tool}), "
        f"attempt {row.attempts} of {row.max_attempts}",
        "type": "tool_failed",
        "param": None,
    }
    if cancelling(t.connection, [claim_]):
        stop(t, claim_)
    elif row.attempts < row.max_attempts:
        _requeue(t, claim_, t.now, error)
    else:
        fail(t, claim_, error)


def any_expired(connection: Connection, now: float) -> bool:
    """Say, without a lock, whether `reap` has anything to do."""
    expired = select(steps.c.id).where(steps.c.status == "in_progress", steps.c.lease_until < now).limit(1)
    return connection.execute(expired).first() is not None or bool(steering.left_behind(connection))


def any_queued(connection: Connection, queues: Sequence[str]) -> bool:
    """Say, for the price of one look at an index, whether any step of these queues waits; perhaps for later."""
    waiting = select(steps.c.id).where(text(QUEUED), steps.c.queue.in_(queues)).limit(1)  # its words: a partial index
    return connection.execute(waiting).first() is not None


def any_claimable(
    connection: Connection, queues: Sequence[str], before: float, tools: Sequence[str] | None = None
) -> bool:
    """Say, without a lock, whether a step of these queues and tools could have been claimed at the time `before`."""
    return next(turns.lines(connection, queues, before + CLOCKS_S, tools), None) is not None


def release(connection: Connection, worker: str, now: float) -> int:
    """End the leases of a worker that is known to be dead: a new process of its name has just started."""
    return connection.execute(
        update(steps).where(steps.c.status == "in_progress", steps.c.worker == worker).values(lease_until=now - 1)
    ).rowcount


def made_before(connection: Connection, owner: str, recipe_hash: str) -> list[str] | None:
    """Give the assets of an earlier step of this owner with the same recipe, or None."""
    from store.tables import assets

    step_id = connection.execute(
        select(steps.c.id)
        .where(steps.c.owner == owner, steps.c.recipe_hash == recipe_hash, steps.c.status == "completed")
        .order_by(steps.c.ended_at.desc())
        .limit(1)
    ).scalar()
    if step_id is None:
        return None
    rows = connection.execute(
        select(step_assets.c.asset_id, assets.c.deleted_at)
        .join(assets, assets.c.id == step_assets.c.asset_id)
        .where(step_assets.c.step_id == step_id)
        .order_by(step_assets.c.position)
    ).all()
    if not rows or any(row.deleted_at is not None for row in rows):
        return None
    return [row.asset_id for row in rows]


def _mine(claim_: Claim) -> Any:
    return and_(steps.c.id == claim_.id, steps.c.token == claim_.token, steps.c.status == "in_progress")


def _end(t: Transition, claim_: Claim, status: str, **values: Any) -> None:
    ended = t.connection.execute(
        update(steps).where(_mine(claim_)).values(status=status, ended_at=t.now, lease_until=None, **values)
    ).rowcount
    if not ended:
        raise LeaseLost(f"step {claim_.id!r} is no longer held with token {claim_.token}")


def _queue(t: Transition, step_id: str) -> str:
    return str(t.connection.execute(select(steps.c.queue).where(steps.c.id == step_id)).scalar_one())


def _requeue(t: Transition, claim_: Claim, available_at: float, error: Mapping[str, Any]) -> None:
    t.connection.execute(
        update(steps)
        .where(_mine(claim_))
        .values(status="queued", available_at=available_at, lease_until=None, worker=None, error=dict(error))
    )
    t.wake("step", claim_.id, _queue(t, claim_.id), claim_.priority, delay_s=available_at - t.now)
    if not claim_.tool.startswith("studio."):
        t.emit(
            claim_.run_id,
            "step.retrying",
            step=claim_.name,
            attempt=claim_.attempts,
            of=claim_.max_attempts,
            error=dict(error),
        )


def _skip_dependents(t: Transition, step_id: str, run_id: str) -> None:
    front = [step_id]
    while front:
        front = list(
            t.connection.execute(
                update(steps)
                .where(
                    steps.c.run_id == run_id,
                    steps.c.status == "waiting",
                    steps.c.id.in_(select(step_needs.c.step_id).where(step_needs.c.needs_id.in_(front))),
                )
                .values(status="skipped", ended_at=t.now)
                .returning(steps.c.id)
            ).scalars()
        )


def _claim_without_outputs(row: Row[Any]) -> Claim:
    return Claim(
        row.id,
        row.run_id,
        row.owner,
        row.name,
        row.tool,
        row.args,
        row.token,
        row.attempts,
        row.max_attempts,
        row.priority,
    )


def stuck(connection: Connection, now: float, grace_s: float) -> list[str]:
    """Give ids of open steps that nobody will ever move: for checks and benchmarks; always empty if all is well."""
    from store.tables import outbox

    orphan = and_(
        steps.c.status == "queued",
        ~select(outbox.c.id).where(outbox.c.ref_id == steps.c.id, outbox.c.task == "step").exists(),
    )
    expired = and_(steps.c.status == "in_progress", steps.c.lease_until < now - grace_s)
    return list(connection.execute(select(steps.c.id).where(or_(orphan, expired))).scalars())
