"""When what waits will be served: the order of service, and the time that steps take by what was measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

from sqlalchemy import Connection, Row, func, select, text
from ulid import ULID

from store.tables import HELD, QUEUED, shares, steps

WINDOW_S = 300.0  # over which the speed is measured
MOST_MEASURED = 5_000  # steps that are looked at for it, the newest
MOST_AHEAD = 5_000  # waiting steps that are looked at; of those behind nothing is foretold
SURE_PERCENT = 10  # of a step from which on its own progress tells when it ends


@dataclass(frozen=True)
class Pace:
    """How quickly a queue was served in the last WINDOW_S seconds.

    Attributes:
        ended: steps that ended.
        call_s: seconds that a call of a tool took. step_s: the same for a step; steps of one call share its time.
    """

    ended: int = 0
    call_s: Mapping[str, float] = field(default_factory=dict)
    step_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def per_minute(self) -> float | None:
        """Give the steps a minute; None where none ended."""
        return self.ended * 60 / WINDOW_S if self.ended else None


@dataclass(frozen=True)
class Forecast:
    """What is expected of a step that is queued or held.

    Attributes:
        ahead: steps that will be begun before it.
        start_s: seconds until it is begun, 0 for a held one; None where it cannot be told.
        end_s: seconds until it has ended; None where it cannot be told.
    """

    ahead: int
    start_s: float | None
    end_s: float | None


@dataclass(frozen=True)
class Standing:
    """What is queued and held, by the ids of the steps, and how quickly the queues were served."""

    held: Sequence[Row[Any]]
    queued: Sequence[Row[Any]]
    paces: Mapping[str, Pace]
    forecasts: Mapping[str, Forecast]


def standing(connection: Connection, now: float, slots: Mapping[str, int]) -> Standing:
    """Look at everything that is queued or held.

    Args:
        slots: steps that the workers of a queue hold at once; a queue that is not named is not served.
    """
    of = ("id", "run_id", "owner", "queue", "tool", "priority", "available_at", "created_at", "started_at", "percent")
    columns = [steps.c[name] for name in of]
    held = connection.execute(select(*columns).where(text(HELD)).order_by(steps.c.started_at)).all()
    by_age = (steps.c.priority, steps.c.available_at, steps.c.position)
    queued = connection.execute(select(*columns).where(text(QUEUED)).order_by(*by_age).limit(MOST_AHEAD)).all()
    measured = paces(connection, now, min((row.created_at for row in chain(held, queued)), default=now))
    served = {row.owner: row.served_at for row in connection.execute(select(shares.c.owner, shares.c.served_at))}
    forecasts: dict[str, Forecast] = {}
    for queue in {row.queue for row in chain(held, queued)}:
        line = list(in_turn([row for row in queued if row.queue == queue], served))
        working = [row for row in held if row.queue == queue]
        forecasts |= foretell(working, line, measured.get(queue, Pace()), slots.get(queue, 0), now)
    return Standing(held, queued, measured, forecasts)


def paces(connection: Connection, now: float, oldest: float) -> dict[str, Pace]:
    """Measure each queue.

    Args:
        oldest: when the oldest open step was made. Ids sort by time, so only steps are read that were made since
            shortly before it: those are the ones that were served.
    """
    since = ULID.from_timestamp(max(0.0, min(now, oldest) - 2 * WINDOW_S))
    columns = [steps.c[name] for name in ("queue", "tool", "worker", "started_at")]
    newest = (
        select(*columns, steps.c.ended_at)
        .where(steps.c.id >= f"step_{since}", steps.c.status == "completed")
        .where(steps.c.ended_at > now - WINDOW_S, steps.c.started_at.isnot(None))
        .order_by(steps.c.id.desc())
        .limit(MOST_MEASURED)
        .subquery()
    )
    call = [newest.c[column.name] for column in columns]
    calls = connection.execute(
        select(*call, func.max(newest.c.ended_at).label("until"), func.count().label("steps")).group_by(*call)
    )
    found: dict[str, dict[str, list[tuple[float, int]]]] = defaultdict(lambda: defaultdict(list))
    for row in calls:
        found[row.queue][row.tool].append((max(0.0, row.until - row.started_at), row.steps))
    return {queue: _pace(tools) for queue, tools in found.items()}


def _pace(tools: Mapping[str, Sequence[tuple[float, int]]]) -> Pace:
    took_s = {tool: sum(seconds for seconds, _ in calls) for tool, calls in tools.items()}
    counts = {tool: sum(count for _, count in calls) for tool, calls in tools.items()}
    return Pace(
        ended=sum(counts.values()),
        call_s={tool: took_s[tool] / len(calls) for tool, calls in tools.items()},
        step_s={tool: took_s[tool] / counts[tool] for tool in tools},
    )


def in_turn(queued: Sequence[Row[Any]], served: Mapping[str, float]) -> Iterator[Row[Any]]:
    """Give the steps of a queue as they will be begun: by priority, then owner by owner in turn, each by age.

    Args:
        queued: by priority and age.
        served: when each owner was served last.
    """
    by_priority: dict[int, dict[str, list[Row[Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in queued:
        by_priority[row.priority][row.owner].append(row)
    for _, owners in sorted(by_priority.items()):
        turns = sorted(owners, key=lambda owner: served.get(owner, 0.0))
        for turn in zip_longest(*(owners[owner] for owner in turns)):
            yield from (row for row in turn if row is not None)


def foretell(
    held: Iterable[Row[Any]], line: Iterable[Row[Any]], pace: Pace, slots: int, now: float
) -> Iterator[tuple[str, Forecast]]:
    """Say of each step of a queue when it will be begun and when it will have ended, by its id.

    The work ahead is spread over the slots of the queue's workers. From the first tool on that was not measured,
    nothing is told.
    """
    busy = 0
    left_s: float | None = 0.0  # of work for all slots together
    for row in held:
        end_s = _left(row, pace, now)
        yield row.id, Forecast(0, 0.0, end_s)
        left_s = _plus(left_s, end_s)
        busy += 1
    for ahead, row in enumerate(line):
        start_s = None if slots == 0 else 0.0 if busy + ahead < slots else left_s and left_s / slots
        yield row.id, Forecast(ahead, start_s, _plus(start_s, pace.call_s.get(row.tool)))
        left_s = _plus(left_s, pace.step_s.get(row.tool))


def _left(row: Row[Any], pace: Pace, now: float) -> float | None:
    """Give the seconds that a held step will still take, by its own progress or by the steps before it."""
    since_s = max(0.0, now - row.started_at)
    if row.percent >= SURE_PERCENT:
        return float(since_s * (100 - row.percent) / row.percent)
    usual_s = pace.call_s.get(row.tool)
    return None if usual_s is None else max(0.0, usual_s - since_s)


def _plus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
