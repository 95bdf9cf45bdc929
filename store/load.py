"""How much waits, runs and is late: counts for those outside, each one statement over an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, case, func, select, text

from store import presence
from store.tables import HELD, OPEN_RUNS, PENDING, QUEUED, outbox, runs, steps, vectors


@dataclass(frozen=True)
class Load:
    """The state of a studio in numbers.

    Attributes:
        waiting: steps that could be claimed now, by queue.
        oldest_s: how long the one of them waits that waits longest, by queue.
        running: steps that workers hold, by queue.
        expired: of those, whose lease has ended and that were not taken back yet, by queue.
        runs: runs that have not ended, by status.
        calls_due: wake-up calls that wait to be sent again.
        vectors_pending: vectors that the search index does not have yet.
        workers: workers that are there, by queue; `slots` and `busy` are theirs.
    """

    waiting: Mapping[str, int]
    oldest_s: Mapping[str, float]
    running: Mapping[str, int]
    expired: Mapping[str, int]
    runs: Mapping[str, int]
    calls_due: int
    vectors_pending: int
    workers: Mapping[str, int] = field(default_factory=dict)
    slots: Mapping[str, int] = field(default_factory=dict)
    busy: Mapping[str, int] = field(default_factory=dict)


def load(connection: Connection, now: float) -> Load:
    """Count."""
    waiting = connection.execute(
        select(steps.c.queue, func.count(), func.min(steps.c.available_at))
        .where(text(QUEUED), steps.c.available_at <= now)
        .group_by(steps.c.queue)
    ).all()
    late = func.sum(case((steps.c.lease_until < now, 1), else_=0))
    running = connection.execute(
        select(steps.c.queue, func.count(), late).where(text(HELD)).group_by(steps.c.queue)
    ).all()
    open_runs = select(runs.c.status, func.count()).where(text(OPEN_RUNS)).group_by(runs.c.status)
    return Load(
        waiting={queue: count for queue, count, _ in waiting},
        oldest_s={queue: max(0.0, now - since) for queue, _, since in waiting},
        running={queue: count for queue, count, _ in running},
        expired={queue: count for queue, _, count in running},
        runs={status: int(number) for status, number in connection.execute(open_runs)},
        calls_due=connection.execute(select(func.count()).where(outbox.c.due_at <= now)).scalar_one(),
        vectors_pending=connection.execute(select(func.count()).select_from(vectors).where(text(PENDING))).scalar_one(),
        **_workers(connection),
    )


def _workers(connection: Connection) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {"workers": {}, "slots": {}, "busy": {}}
    for worker in presence.fresh(connection):
        if worker["draining"]:
            continue
        for queue in worker["queues"]:
            for what, count in (("workers", 1), ("slots", worker["slots"] or 0), ("busy", worker["busy"] or 0)):
                found[what][queue] = found[what].get(queue, 0) + count
    return found
