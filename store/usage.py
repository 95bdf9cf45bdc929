"""What was used, computed from the rows themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Integer, Select, case, cast, func, null, select

from store.ids import floor_id
from store.tables import assets, runs, steps

DAY_S = 86400
SLACK_S = 3600.0  # ids carry the clock of whoever made them, rows that of the database
WAYS = ("key", "day", "tool", "owner")
COUNTED = ("runs", "steps", "busy_s", "assets", "bytes")


def used(
    connection: Connection, *, owner: str | None, since: float, until: float, group_by: str | None = None
) -> dict[Any, dict[str, float]]:
    """Count what was asked for and made.

    Args:
        owner: whose; None: everybody's.
        since, until: when, in seconds since 1970; the first is in, the second is not.
        group_by: one of `WAYS`; None: all in one.

    Returns:
        By the id of a key (None: without a key, in a batch or by upload), the number of a day since 1970 in UTC, the
        name of a tool (None: uploads), or an owner: runs, steps, seconds that workers were busy with them, assets and
        their bytes. A run that has no steps yet counts in no tool. With `None` alone as the key where nothing groups.

    Raises:
        ValueError: `group_by` is none of these.
    """
    if group_by not in {None, *WAYS}:
        raise ValueError(f"usage is grouped by {', '.join(WAYS)}, not by {group_by!r}")
    counted: dict[Any, dict[str, float]] = defaultdict(lambda: dict.fromkeys(COUNTED, 0))
    for query in _queries(connection, owner, since, until, group_by):
        for row in connection.execute(query):
            said = row._asdict()
            group = said.pop("of")
            counted[group] = counted[group] | {name: value or 0 for name, value in said.items()}
    return dict(counted)


def _queries(
    connection: Connection, owner: str | None, since: float, until: float, group_by: str | None
) -> Iterator[Select[Any]]:
    of_steps = runs.join(steps, steps.c.run_id == runs.c.id)
    of_assets = assets.outerjoin(runs, runs.c.id == assets.c.run_id).outerjoin(steps, steps.c.id == assets.c.step_id)
    busy = func.sum(case((steps.c.ended_at.is_not(None), steps.c.ended_at - steps.c.started_at), else_=0.0))
    asked: list[tuple[Any, FromClause, list[ColumnElement[Any]]]] = [
        (runs, of_steps if group_by == "tool" else runs, [func.count(runs.c.id.distinct()).label("runs")]),
        (runs, of_steps, [func.count().label("steps"), busy.label("busy_s")]),
        (assets, of_assets, [func.count().label("assets"), func.sum(assets.c.size_bytes).label("bytes")]),
    ]
    for timed, source, columns in asked:
        of = _group(connection, group_by, timed)
        query = select(*columns, of.label("of")).select_from(source)
        query = query.where(timed.c.created_at >= since, timed.c.created_at < until)
        if timed is runs:
            query = query.where(runs.c.id >= floor_id("run", since - SLACK_S))
        if owner is not None:
            query = query.where(timed.c.owner == owner)
        yield query if group_by is None else query.group_by(of)


def _group(connection: Connection, group_by: str | None, timed: Any) -> ColumnElement[Any]:
    if group_by == "key":
        return runs.c.key_id
    if group_by == "tool":
        return steps.c.tool
    if group_by == "owner":
        of: ColumnElement[Any] = timed.c.owner
        return of
    if group_by == "day":
        days = timed.c.created_at / DAY_S
        return cast(
            func.floor(days) if connection.dialect.name == "postgresql" else days, Integer
        )  # a cast rounds there
    return null()
