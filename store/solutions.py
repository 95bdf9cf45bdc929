"""What a company plugged in: declared, looked at, approved, and what was asked of it.

The tools that a plan can use are those that were approved, as they were approved. What a solution says of itself today
is compared with that, and takes its tools out where it differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from store.runs import UnknownId, WrongState
from store.steps import check_held
from store.tables import model_versions, solution_calls, solutions

NEW, APPROVED, CHANGED, FAILING = "new", "approved", "changed", "failing"
ASIDE = "aside"  # no file of settings names it just now; what was approved is remembered for when one does again
USABLE = (APPROVED, FAILING)
MINUTE_S = 60.0
KEPT_S = 30 * 86400.0  # how long a call stays in the log


@dataclass(frozen=True)
class Solution:
    """A row of the table: see `store.tables.solutions`."""

    name: str
    kind: str
    owner: str | None
    declaration: Mapping[str, Any]
    source: str
    state: str
    offered: list[dict[str, Any]] | None
    approved: list[dict[str, Any]] | None
    approved_digest: str | None
    error: Mapping[str, Any] | None
    failures: int
    created_at: float
    updated_at: float
    checked_at: float | None

    @property
    def usable(self) -> bool:
        """Say whether its approved tools can be called."""
        return self.state in USABLE and self.approved is not None


def declare(
    connection: Connection,
    name: str,
    declaration: Mapping[str, Any],
    *,
    source: str,
    now: float,
    by: str | None = None,
) -> tuple[Solution, bool]:
    """Write down what was declared, and say whether that is news; a changed declaration has to be approved again.

    Args:
        by: the owner who declares it; None for the file of settings.

    Raises:
        WrongState: the name is taken by a solution that was declared elsewhere, or is somebody else's.
    """
    _hold(connection, name)
    row = connection.execute(select(solutions).where(solutions.c.name == name)).one_or_none()
    known = None if row is None else _solution(row)
    if known is not None and known.state == ASIDE:
        if known.source == source and known.declaration == declaration:
            return _back(connection, known, now), True
        remove(connection, name)
        known = None
    if known is not None and by is not None and known.owner not in {None, by}:
        raise WrongState(f"the name {name!r} is taken; take another")
    if known is not None and known.source != source:
        where = "atelier.toml" if known.source == "file" else "the API"
        raise WrongState(f"solution {name!r} was declared in {where}; take another name or remove it there")
    if known is not None and known.declaration == declaration:
        return known, False
    values = {
        "kind": declaration["kind"],
        "owner": declaration.get("owner"),
        "declaration": dict(declaration),
        "source": source,
        "state": NEW,
        "offered": None,
        "approved": None,
        "approved_digest": None,
        "error": None,
        "failures": 0,
        "updated_at": now,
        "checked_at": None,
    }
    if known is None:
        connection.execute(insert(solutions).values(name=name, created_at=now, **values))
    else:
        connection.execute(update(solutions).where(solutions.c.name == name).values(**values))
    return require(connection, name), True


def put_aside(connection: Connection, name: str, *, now: float) -> None:
    """Take a solution out that the settings no longer name; its documents and what was approved of it stay."""
    aside = update(solutions).where(solutions.c.name == name).values(state=ASIDE, updated_at=now)
    connection.execute(aside)


def _back(connection: Connection, known: Solution, now: float) -> Solution:
    """Take a solution back in as it was; the next look tells whether it still is."""
    state = NEW if known.approved_digest is None else APPROVED
    values = {"state": state, "error": None, "failures": 0, "updated_at": now, "checked_at": None}
    connection.execute(update(solutions).where(solutions.c.name == known.name).values(**values))
    return require(connection, known.name)


def remove(connection: Connection, name: str) -> bool:
    """Forget a solution, with its documents and its log, and say whether there was one."""
    return connection.execute(delete(solutions).where(solutions.c.name == name)).rowcount == 1


def find(connection: Connection, name: str, owner: str | None = None) -> Solution | None:
    """Give a solution by name; with an owner only if that one may use it."""
    row = connection.execute(select(solutions).where(solutions.c.name == name, *_visible(owner))).one_or_none()
    return None if row is None else _solution(row)


def require(connection: Connection, name: str, owner: str | None = None) -> Solution:
    """Give a solution by name.

    Raises:
        UnknownId: there is none, or it is somebody else's.
    """
    found = find(connection, name, owner)
    if found is None:
        there = ", ".join(one.name for one in list_(connection, owner)) or "none yet"
        raise UnknownId(f"there is no solution {name!r}; there are: {there}")
    return found


def list_(connection: Connection, owner: str | None = None) -> list[Solution]:
    """Give the solutions that an owner may use, or all, by name."""
    rows = connection.execute(select(solutions).where(*_visible(owner)).order_by(solutions.c.name))
    return [_solution(row) for row in rows]


def revision(connection: Connection) -> tuple[Any, ...]:
    """Give a value that differs whenever the tools or the trained weights that plans can use have changed."""
    changed = solutions.c.updated_at  # the sum too: the clock of whoever changed one last may be behind
    tools = select(func.count(), func.max(changed), func.sum(changed)).select_from(solutions)
    weights = select(func.count(), func.max(model_versions.c.created_at), func.count(model_versions.c.retired_at))
    return (*connection.execute(tools).one(), *connection.execute(weights.select_from(model_versions)).one())


def saw(
    connection: Connection,
    name: str,
    offered: Sequence[Mapping[str, Any]],
    digest: str,
    *,
    approve: bool,
    now: float,
    declaration: Mapping[str, Any] | None = None,
) -> Solution:
    """Write down what a solution offers now, and give the state that follows.

    Args:
        digest: of `offered`; compared with the one that was approved.
        approve: approve it where nothing was approved yet (a solution that the file of settings declares).
        declaration: of what was looked at; nothing is written where another is declared by now.
    """
    _hold(connection, name)
    known = require(connection, name)
    if declaration is not None and known.declaration != declaration:
        return known
    values: dict[str, Any] = {"checked_at": now, "failures": 0}
    if known.approved_digest is None:
        values |= {"offered": list(offered), "error": None, "state": NEW}
        if approve:
            values |= {"state": APPROVED, "approved": list(offered), "approved_digest": digest}
    elif known.approved_digest == digest:
        values |= {"offered": list(offered), "error": None, "state": APPROVED}
    else:
        message = f"its tools differ from those that were approved: {_difference(known.approved or [], offered)}"
        values |= {"offered": list(offered), "state": CHANGED, "error": {"message": message, "at": now}}
    if any(getattr(known, key) != value for key, value in values.items() if key != "checked_at"):
        values["updated_at"] = now
    connection.execute(update(solutions).where(solutions.c.name == name).values(**values))
    return require(connection, name)


def approve(
    connection: Connection, name: str, digest: str, digest_of: Callable[[list[dict[str, Any]]], str], *, now: float
) -> Solution:
    """Approve what a solution offers.

    Args:
        digest: of what the person saw.
        digest_of: gives the digest of what is offered; it is asked here, where nobody can change that any more.

    Raises:
        WrongState: nothing was seen yet, or something else than the person saw.
    """
    _hold(connection, name)
    known = require(connection, name)
    if known.offered is None:
        raise WrongState(f"solution {name!r} was not looked at yet; check it first")
    if digest != digest_of(known.offered):
        raise WrongState(f"solution {name!r} offers something else by now; look at it again before approving")
    values = {"state": APPROVED, "approved": known.offered, "approved_digest": digest, "error": None, "failures": 0}
    connection.execute(update(solutions).where(solutions.c.name == name).values(**values, updated_at=now))
    return require(connection, name)


def worked(connection: Connection, name: str, *, now: float) -> None:
    """Note that a solution did its part."""
    failing = solutions.c.state == FAILING
    connection.execute(
        update(solutions)
        .where(solutions.c.name == name, failing)
        .values(state=APPROVED, error=None, failures=0, updated_at=now)
    )
    connection.execute(update(solutions).where(solutions.c.name == name, solutions.c.failures > 0).values(failures=0))


def failed(connection: Connection, name: str, message: str, *, now: float) -> None:
    """Note that a solution did not do its part; its state says so until it does again."""
    connection.execute(
        update(solutions)
        .where(solutions.c.name == name)
        .values(error={"message": message[:2000], "at": now}, failures=solutions.c.failures + 1, checked_at=now)
    )
    connection.execute(
        update(solutions)
        .where(solutions.c.name == name, solutions.c.state == APPROVED)
        .values(state=FAILING, updated_at=now)
    )


def begin_call(
    connection: Connection,
    name: str,
    tool: str,
    *,
    per_minute: int,
    owner: str,
    run_id: str | None,
    step_id: str | None,
    now: float,
    token: int | None = None,
    once: bool = False,
) -> int | float | None:
    """Enter a call into the log, if there is room for one, and if who calls still holds the step.

    Args:
        token: of the claim; None where no claim has to be held.
        once: not if the step has called before.

    Returns:
        The number of the call (int); where the minute is full, the seconds until there is room (float); where the
        step has called before and must not again, None.

    Raises:
        LeaseLost: another worker has the step now.
    """
    _hold(connection, name)  # one counts at a time, and sees what the one before wrote
    if token is not None and step_id is not None:
        check_held(connection, step_id, token)
    if once and step_id is not None and _called(connection, step_id, now):
        return None
    recent = (
        select(solution_calls.c.started_at)
        .where(solution_calls.c.solution == name, solution_calls.c.started_at > now - MINUTE_S)
        .order_by(solution_calls.c.started_at.desc())
        .limit(per_minute)
    )
    started = list(connection.execute(recent).scalars())
    if len(started) >= per_minute:
        return max(0.05, float(started[-1]) + MINUTE_S - now)
    values = {"solution": name, "tool": tool, "owner": owner, "run_id": run_id, "step_id": step_id, "started_at": now}
    key = connection.execute(insert(solution_calls).values(**values)).inserted_primary_key
    assert key is not None  # noqa: S101  # the table has one
    return int(key[0])


def end_call(connection: Connection, call: int, *, size_bytes: int | None, error: str | None, now: float) -> None:
    """Write down how a call ended."""
    connection.execute(
        update(solution_calls)
        .where(solution_calls.c.id == call)
        .values(ended_at=now, size_bytes=size_bytes, error=None if error is None else error[:2000])
    )


def _called(connection: Connection, step_id: str, now: float) -> bool:
    """Say whether this step has called before, however that ended, and close what never did.

    A person who tries the step again takes it off its earlier calls (`store.steering.retry`).
    """
    mine = solution_calls.c.step_id == step_id
    closed = update(solution_calls).where(mine, solution_calls.c.ended_at.is_(None))
    connection.execute(closed.values(ended_at=now, error="the worker died while it waited"))
    return connection.execute(select(solution_calls.c.id).where(mine).limit(1)).first() is not None


def calls(
    connection: Connection, name: str, *, owner: str | None = None, before: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Give the calls of a solution, newest first; with an owner only that one's."""
    query = select(solution_calls).where(solution_calls.c.solution == name)
    if owner is not None:
        query = query.where(solution_calls.c.owner == owner)
    if before is not None:
        query = query.where(solution_calls.c.id < before)
    return [dict(row._mapping) for row in connection.execute(query.order_by(solution_calls.c.id.desc()).limit(limit))]


def forget_calls(connection: Connection, *, now: float) -> None:
    """Take calls out of the log that are older than it reaches."""
    connection.execute(delete(solution_calls).where(solution_calls.c.started_at < now - KEPT_S))


def _hold(connection: Connection, name: str) -> None:
    """Lock a solution's row until the transaction ends."""
    connection.execute(select(solutions.c.name).where(solutions.c.name == name).with_for_update())


def _visible(owner: str | None) -> list[Any]:
    there = solutions.c.state != ASIDE
    return [there] if owner is None else [there, or_(solutions.c.owner.is_(None), solutions.c.owner == owner)]


def _solution(row: Row[Any]) -> Solution:
    return Solution(**row._mapping)


def _difference(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> str:
    old, new = {tool["name"]: tool for tool in before}, {tool["name"]: tool for tool in now}
    parts = [f"{name} is new" for name in new if name not in old]
    parts += [f"{name} is gone" for name in old if name not in new]
    for name in old.keys() & new.keys():
        fields = [key for key in old[name] if old[name][key] != new[name].get(key)]
        parts += [f"{name} has other {' and '.join(fields)}"] if fields else []
    return "; ".join(sorted(parts)) or "their order"
