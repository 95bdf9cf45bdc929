"""How much may be asked: limits of a key, and of how much may wait.

`admit` is called in the transaction that accepts a run. It holds the row of a limited key, so that of two requests that
come at once the second sees the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, text

from store.ids import floor_id
from store.runs import PLAN, REPLY
from store.tables import OPEN_RUNS, assets, keys, runs, steps

DAY_S = 86400.0
RUNS, STEPS, OPEN, BYTES = "runs_per_day", "steps_per_day", "open_runs", "bytes_per_day"
NAMES = (RUNS, STEPS, OPEN, BYTES)
MOST = 1 << 53  # what JSON holds exactly
SHORTEST_S, LONGEST_S = 1.0, 3600.0  # to wait for room
MEASURED_S = 300.0  # the ended runs of so long say how quick the studio is
BEGUN_S = 3600.0  # … those that were accepted in so long: who waits for longer is told the longest wait anyway


class OverLimit(Exception):
    """More was asked than may be; the message is for people.

    Attributes:
        retry_after_s: when it may be asked again.
        of_key: it is the key's own limit, not that of the studio.
    """

    def __init__(self, message: str, retry_after_s: float, *, of_key: bool) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.of_key = of_key


class NeverFits(ValueError):
    """One request asks for more than the key may in a whole day."""


@dataclass(frozen=True)
class Bounds:
    """How many runs may be open, those of batches not counted; a few more where many are accepted at once."""

    of_owner: int
    of_all: int


def admit(
    connection: Connection, *, owner: str, key_id: str | None, steps_wanted: int, bounds: Bounds, now: float
) -> None:
    """Let a run in, or refuse it.

    Args:
        key_id: of the key that it is asked with; None: nobody's limits.
        steps_wanted: of its plan; 0 where it is not planned yet.

    Raises:
        OverLimit: a limit is reached.
        NeverFits: it has more steps than the key may ask for in a day.
    """
    _room(connection, owner, bounds, now)
    limits = of_key(connection, key_id, hold=True)
    if RUNS in limits:
        made = select(runs.c.created_at).where(*_today(key_id, now)).order_by(runs.c.created_at.desc())
        _full(connection, RUNS, limits[RUNS], made, 1, now)
    if STEPS in limits:
        made = select(runs.c.created_at).join(steps, steps.c.run_id == runs.c.id)
        made = made.where(*_today(key_id, now), steps.c.tool.not_in((PLAN, REPLY))).order_by(runs.c.created_at.desc())
        _full(connection, STEPS, limits[STEPS], made, max(1, steps_wanted), now)
    if BYTES in limits:
        _stored(connection, key_id, limits[BYTES], now)
    if OPEN in limits:
        waiting = connection.execute(select(func.count()).where(runs.c.key_id == key_id, text(OPEN_RUNS))).scalar_one()
        if waiting >= limits[OPEN]:
            wait_s = _wait_s(connection, waiting - limits[OPEN] + 1, runs.c.key_id == key_id, now)
            raise OverLimit(f"{waiting} runs of this key are open; its limit is {limits[OPEN]}", wait_s, of_key=True)


def of_key(connection: Connection, key_id: str | None, *, hold: bool = False) -> Mapping[str, int]:
    """Give the limits of a key; `hold` keeps its row where it has any, so that others wait."""
    if key_id is None:
        return {}
    asked = select(keys.c.limits).where(keys.c.id == key_id)
    found = connection.execute(asked).scalar_one_or_none() or {}
    if not found or not hold:
        return found
    return connection.execute(asked.with_for_update()).scalar_one_or_none() or {}


def _today(key_id: str | None, now: float) -> tuple[ColumnElement[bool], ...]:
    return runs.c.key_id == key_id, runs.c.created_at > now - DAY_S


def _full(connection: Connection, name: str, limit: int, made: Select[Any], wanted: int, now: float) -> None:
    """Refuse what would be more than `limit` in a day. `made`: when each one was, the newest first."""
    if wanted > limit:
        raise NeverFits(f"it has {wanted} steps, and this key may ask for {limit} a day ({name})")
    in_the_way = connection.execute(made.offset(limit - wanted).limit(1)).scalar()
    if in_the_way is not None:
        wait_s = max(SHORTEST_S, in_the_way + DAY_S - now)
        raise OverLimit(f"this key's limit is reached: {name} is {limit}", wait_s, of_key=True)


def _stored(connection: Connection, key_id: str | None, limit: int, now: float) -> None:
    made = (
        select(runs.c.created_at, assets.c.size_bytes)
        .join(assets, assets.c.run_id == runs.c.id)
        .where(*_today(key_id, now))
        .order_by(runs.c.created_at.desc())
    )
    total = 0
    for row in connection.execute(made):
        total += row.size_bytes
        if total >= limit:
            wait_s = max(SHORTEST_S, row.created_at + DAY_S - now)
            raise OverLimit(f"this key's limit is reached: {BYTES} is {limit}", wait_s, of_key=True)


def _room(connection: Connection, owner: str, bounds: Bounds, now: float) -> None:
    fewest = min(bounds.of_owner, bounds.of_all)
    some = select(runs.c.id).where(text(OPEN_RUNS)).limit(fewest).subquery()  # the index of open runs alone says it
    if connection.execute(select(func.count()).select_from(some)).scalar_one() < fewest:
        return
    for bound, mine, whose in (
        (bounds.of_owner, runs.c.owner == owner, "of yours "),
        (bounds.of_all, runs.c.id.is_not(None), ""),
    ):
        waiting = connection.execute(
            select(func.count()).where(text(OPEN_RUNS), runs.c.batch_id.is_(None), mine)
        ).scalar_one()
        if waiting >= bound:
            wait_s = _wait_s(connection, waiting - bound + 1, mine, now)
            raise OverLimit(f"{waiting} runs {whose}wait or are worked on, and no more are taken", wait_s, of_key=False)


def _wait_s(connection: Connection, too_many: int, mine: ColumnElement[bool], now: float) -> float:
    """Say when so many runs will have ended, by how many did lately."""
    lately = (runs.c.id > floor_id("run", now - BEGUN_S), runs.c.ended_at > now - MEASURED_S)
    ended = connection.execute(select(func.count()).where(mine, *lately)).scalar_one()
    wait_s = too_many * MEASURED_S / ended if ended else MEASURED_S
    return min(LONGEST_S, max(SHORTEST_S, wait_s))
