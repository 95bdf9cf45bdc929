"""Many waiting steps at once, and what a claim costs among them.

The rows are written by the database itself, so that 100,000 of them take seconds. Each case is a way to wait: one owner
or many, several priorities, other tools before ours, steps that are put off, steps that share a call.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection, text

from store import steps, transition
from store.completion import Ended, complete
from store.database import Database
from store.tables import metadata
from store.transition import Transition

QUEUE = "image"
MINE, OTHER = "draw", "sculpt"  # a worker that is restricted has the first
LEASE_S = 60.0
WARM_UP = 30
DAY_S = 86_400.0
_NEW = itertools.count(10_000_000, 100)  # numbers of steps that come later


@dataclass(frozen=True)
class Case:
    """A way to wait.

    Attributes:
        owners: the steps are theirs in turns.
        priorities: these in turns.
        others: this share of the steps is for a tool that the worker has not, and they are older.
        put_off: this share of the steps is not due before tomorrow.
        batch: so many steps share a call.
    """

    name: str
    owners: int = 1
    priorities: Sequence[int] = (5,)
    queues: Sequence[str] = (QUEUE,)
    others: float = 0.0
    put_off: float = 0.0
    batch: int = 1
    batch_sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def tools(self) -> Sequence[str] | None:
        """What the worker is restricted to."""
        return (MINE,) if self.others else None


CASES = (
    Case("one owner"),
    Case("100 owners", owners=100),
    Case("three priorities, two queues", owners=10, priorities=(0, 5, 10), queues=(QUEUE, "audio")),
    Case("99 of 100 for another tool", owners=10, others=0.99),
    Case("99 of 100 put off", owners=10, put_off=0.99),
    Case("eight a call", owners=10, batch=8, batch_sizes={MINE: 8}),
)

_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT CAST(:first AS INTEGER) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :last) "
# The hash of a number, so that what is taken in turns does not follow the age.
_MIXED = "((i % 100003) * 7919 % 100003)"
_ADD_RUNS = text(
    "INSERT INTO runs (id, owner, status, priority, plan_only, needs_approval, last_event, created_at) "
    + _NUMBERS
    + f"SELECT 'run_' || i, 'owner' || ({_MIXED} % :owners), 'pending', 5, false, false, 0, :now FROM n"
)
_ADD_STEPS = text(
    "INSERT INTO steps (id, run_id, owner, name, position, tool, args, queue, batch_key, status, priority, "
    "available_at, attempts, max_attempts, token, percent, created_at) "
    + _NUMBERS
    + f"SELECT 'step_' || i, 'run_' || i, 'owner' || ({_MIXED} % :owners), 's1', 0, "
    f"CASE WHEN i < :others THEN '{OTHER}' ELSE '{MINE}' END, '{{}}', "
    f"CASE {_MIXED} % :queues WHEN 0 THEN :queue0 ELSE :queue1 END, '{MINE}', 'queued', "
    f"CASE {_MIXED} % :priorities WHEN 0 THEN CAST(:priority0 AS INTEGER) WHEN 1 THEN :priority1 ELSE :priority2 END, "
    f":now + (i - :first) * 0.000001 + CASE WHEN i < :put_off THEN {DAY_S} ELSE 0 END, "
    "0, 3, 0, 0, :now + (i - :first) * 0.000001 FROM n"
)
_ADD_CALLS = text(
    "INSERT INTO outbox (task, ref_id, queue, due_at, sends) "
    + _NUMBERS
    + "SELECT 'step', 'step_' || i, :queue0, :now + 3600, 0 FROM n"
)


def fill(connection: Connection, case: Case, first: int, last: int) -> None:
    """Let steps wait: those with the numbers from `first` to before `last`, the first of them in the way."""
    given = {
        "first": first,
        "last": last,
        "now": time.time() - 10,
        "owners": case.owners,
        "others": round(case.others * last) if first == 0 else 0,
        "put_off": round(case.put_off * last) if first == 0 else 0,
        "queues": len(case.queues),
        "queue0": case.queues[0],
        "queue1": case.queues[-1],
        "priorities": len(case.priorities),
        "priority0": case.priorities[0],
        "priority1": case.priorities[1 % len(case.priorities)],
        "priority2": case.priorities[2 % len(case.priorities)],
    }
    for statement in (_ADD_RUNS, _ADD_STEPS, _ADD_CALLS):
        connection.execute(statement, given)


def empty(database: Database) -> None:
    """Forget all rows."""
    names = [table.name for table in reversed(metadata.sorted_tables)]
    if database.is_sqlite:
        database.transact(lambda connection: [connection.execute(text(f"DELETE FROM {name}")) for name in names])
    else:
        database.transact(lambda connection: connection.execute(text(f"TRUNCATE {', '.join(names)} CASCADE")))


def measure(databases: Sequence[Database], case: Case, times: int) -> np.ndarray:
    """Claim again and again while equally many wait; what was claimed is ended, and others come, outside of the time.

    Args:
        databases: in each of them steps wait; they are asked in turns, so that all see the same weather.
        times: how many claims are measured in each.

    Returns:
        (len(databases), times) float64, seconds.
    """
    took = np.zeros((len(databases), times))
    for turn in range(WARM_UP + times):
        for row, database in enumerate(databases):
            took[row, max(0, turn - WARM_UP)] = claim_once(database, case)
    return took


def claim_once(database: Database, case: Case) -> float:
    """Claim, and give the seconds that it took; then end what was claimed, and let as many others wait."""
    began = time.perf_counter()
    claims, _ = transition.run(database, lambda t: _claim(t, case))
    took_s = time.perf_counter() - began
    assert claims, f"{case.name}: nothing was claimed"
    database.transact(lambda connection: _again(connection, case, claims))
    return took_s


def _claim(t: Transition, case: Case) -> list[steps.Claim]:
    return steps.claim(
        t, queues=case.queues, worker="w1", lease_s=LEASE_S, batch_sizes=case.batch_sizes, tools=case.tools
    )


def _again(connection: Connection, case: Case, claims: Sequence[steps.Claim]) -> None:
    t = Transition(connection, time.time())
    number = next(_NEW)
    complete(t, [Ended(claim) for claim in claims])
    t.flush()
    fill(connection, case, number, number + len(claims))
