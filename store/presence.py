"""Which workers are there, what each of them can do, and what nobody can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from time import monotonic
from typing import Any

from sqlalchemy import Connection, and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store import clock
from store.tables import workers
from store.turns import OF_SOLUTIONS

FRESH_S = 5.0  # a worker writes its row every second
GONE_S = 10.0  # unseen for so long, it counts as dead for those who would wait for it
FORGET_S = 3600.0
ROSTER_S = 1.0  # how old the list may be that `unserved` goes by


@dataclass(frozen=True)
class Worker:
    """What a worker says of itself.

    Attributes:
        name: no two live workers share one.
        tools: the tools that it runs; None: all of its queues.
        families: the nets that it may load; None: all.
        models: how often it loaded each family.
        slots: steps at once. busy: steps that it holds.
        draining: it was asked to end and takes nothing new.
    """

    name: str
    queues: Sequence[str]
    pid: int
    started_at: float
    models: Mapping[str, int] = field(default_factory=dict)
    host: str | None = None
    version: str | None = None
    device: Mapping[str, Any] | None = None
    tools: Sequence[str] | None = None
    families: Sequence[str] | None = None
    slots: int | None = None
    busy: int | None = None
    draining: bool | None = None


def here(connection: Connection, worker: Worker) -> bool:
    """Say that a worker is there; forget those long gone.

    Returns:
        False where another process has this name by now: this one was thought dead.
    """
    row = {**asdict(worker), "seen_at": clock.now(connection)}
    mine = and_(workers.c.name == worker.name, workers.c.pid == worker.pid, workers.c.started_at == worker.started_at)
    if not connection.execute(update(workers).where(mine).values(**row)).rowcount and not _add(connection, row):
        return False
    connection.execute(delete(workers).where(workers.c.seen_at < clock.now(connection) - FORGET_S))
    return True


def take(connection: Connection, worker: Worker, seen: Mapping[str, Any] | None) -> bool:
    """Take a name that is free, or whose owner was found dead.

    Args:
        seen: the row of the dead one, as it was looked at; None where there was none.

    Returns:
        False where somebody else was quicker, or the dead one lives.
    """
    row = {**asdict(worker), "seen_at": clock.now(connection)}
    if seen is None:
        return _add(connection, row)
    same = and_(workers.c.name == worker.name, workers.c.seen_at == seen["seen_at"])
    return bool(connection.execute(update(workers).where(same).values(**row)).rowcount)


def _add(connection: Connection, row: Mapping[str, Any]) -> bool:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(workers).values(**row).on_conflict_do_nothing(index_elements=["name"])
    return connection.execute(statement.returning(workers.c.name)).first() is not None


def gone(connection: Connection, name: str, started_at: float) -> None:
    """Take away the row of a worker that ends in order."""
    connection.execute(delete(workers).where(workers.c.name == name, workers.c.started_at == started_at))


def get(connection: Connection, name: str) -> dict[str, Any] | None:
    """Give the row of a worker, None where there is none of this name."""
    row = connection.execute(select(*workers.c).where(workers.c.name == name)).first()
    return None if row is None else row._asdict()


def fresh(connection: Connection, within_s: float = FRESH_S) -> list[dict[str, Any]]:
    """Give the workers that were seen within the last seconds."""
    query = select(*workers.c).where(workers.c.seen_at > clock.now(connection) - within_s).order_by(workers.c.name)
    return [row._asdict() for row in connection.execute(query)]


def unserved(connection: Connection, queue: str, tool: str) -> str | None:
    """Say in words why no worker that is there now will run a step; None where one will.

    The step waits for one all the same.
    """
    there = [row for row in _roster(connection) if queue in row["queues"]]
    if not there:
        return f"no worker serves the queue {queue!r} now; this one would: atelier worker --queues {queue}"
    if not any(_runs(row["tools"], tool) for row in there):
        return (
            f"the workers of the queue {queue!r} cannot run {tool!r}, for want of its nets or its release; "
            f"one with all nets would: atelier worker --queues {queue}"
        )
    return None


def _roster(connection: Connection) -> list[dict[str, Any]]:
    """Give the workers that take steps; read anew once a second, so that it costs a transition next to nothing."""
    kept: tuple[float, list[dict[str, Any]]] | None = connection.info.get("roster")
    if kept is None or monotonic() - kept[0] > ROSTER_S:
        kept = (monotonic(), [row for row in fresh(connection, GONE_S) if not row["draining"]])
        connection.info["roster"] = kept
    return kept[1]


def _runs(tools: Sequence[str] | None, tool: str) -> bool:
    if tools is None or tool in tools:
        return True
    return OF_SOLUTIONS in tools and "." in tool and not tool.startswith("studio.")
