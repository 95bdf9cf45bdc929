"""Open work as clients see it: each queue with its speed, each run with its place and when it is expected to end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select, text

from store import presence
from store.load import Load, load
from store.queueing import Forecast, Pace, Standing, standing
from store.runs import PLAN
from store.tables import OPEN_RUNS, runs, steps

MOST_RUNS = 100  # that are shown


def open_work(connection: Connection, now: float, *, asks: str, sees_all: bool) -> dict[str, Any]:
    """Give the queues, and the open runs of `asks`, those that are worked on first.

    Args:
        sees_all: give the runs of all owners; others are counted otherwise.
    """
    seen = load(connection, now)
    slots = {queue: max(count, seen.slots.get(queue, 0)) for queue, count in seen.workers.items()}
    line = standing(connection, now, slots)
    shown = _shown(connection, None if sees_all else asks, line)
    by_run = _steps_of(connection, [row.id for row in shown])
    views = [_run(connection, row, by_run[row.id], line, asks) for row in shown]
    own = _count(connection, None if sees_all else asks)
    return {
        "queues": _queues(seen, line.paces),
        "data": sorted(views, key=_soonest),
        "has_more": own > len(shown),
        "others": {
            "running": len({row.run_id for row in line.held if not sees_all and row.owner != asks}),
            "open": _count(connection, None) - own,
        },
        "sees_all": sees_all,
        "now": now,
    }


def _count(connection: Connection, owner: str | None) -> int:
    query = select(func.count()).select_from(runs).where(text(OPEN_RUNS))
    return int(connection.execute(query if owner is None else query.where(runs.c.owner == owner)).scalar_one())


def _shown(connection: Connection, owner: str | None, line: Standing) -> Sequence[Row[Any]]:
    """Give the runs that are worked on, then those that wait, by priority and age."""
    query = select(*runs.c).where(text(OPEN_RUNS)).order_by(runs.c.priority, runs.c.id).limit(MOST_RUNS)
    mine = query if owner is None else query.where(runs.c.owner == owner)
    held = list({row.run_id for row in line.held if owner in {None, row.owner}})[:MOST_RUNS]
    working = connection.execute(mine.where(runs.c.id.in_(held))).all()
    waiting = connection.execute(mine.where(runs.c.id.notin_(held))).all()
    return [*working, *waiting][:MOST_RUNS]


def _steps_of(connection: Connection, run_ids: Sequence[str]) -> Mapping[str, list[Row[Any]]]:
    query = select(*steps.c).where(steps.c.run_id.in_(run_ids)).order_by(steps.c.position)
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.run_id].append(row)
    return found


def _run(connection: Connection, run: Row[Any], own: Sequence[Row[Any]], line: Standing, asks: str) -> dict[str, Any]:
    now = next((step for wanted in ("in_progress", "queued") for step in own if step.status == wanted), None)
    forecast = None if now is None else line.forecasts.get(now.id)
    planned = [step for step in own if not step.tool.startswith("studio.")]
    return {
        "id": run.id,
        "owner": run.owner,
        "mine": run.owner == asks,
        "status": run.status,
        "request": run.request,
        "thread_id": run.thread_id,
        "batch_id": run.batch_id,
        "created_at": run.created_at,
        "is_running": now is not None and now.status == "in_progress",
        "step": None if now is None else _step(now),
        "steps_done": sum(step.status in {"completed", "skipped"} for step in planned),
        "steps": len(planned),
        "ahead": forecast.ahead if forecast and now is not None and now.status == "queued" else None,
        "start_s": forecast.start_s if forecast else None,
        "end_s": _end(own, line.forecasts, line.paces),
        "unserved": presence.unserved(connection, now.queue, now.tool) if now and now.status == "queued" else None,
    }


def _step(step: Row[Any]) -> dict[str, Any]:
    shown = ("name", "tool", "queue", "status", "percent", "started_at")
    args = None if step.tool.startswith("studio.") else step.args
    return {"id" if name == "name" else name: getattr(step, name) for name in shown} | {"args": args}


def _end(own: Sequence[Row[Any]], forecasts: Mapping[str, Forecast], paces: Mapping[str, Pace]) -> float | None:
    """Give the seconds until a run has ended: its open steps side by side, then those that wait for others in a row.

    Nothing is told before there is a plan, and where a step was not measured.
    """
    active = [step for step in own if step.status in {"in_progress", "queued"}]
    later = [step for step in own if step.status == "waiting"]
    ends = [forecasts[step.id].end_s if step.id in forecasts else None for step in active]
    usual = [paces.get(step.queue, Pace()).call_s.get(step.tool) for step in later]
    if not ends or any(step.tool == PLAN for step in active):
        return None
    known = [value for value in (*ends, *usual) if value is not None]
    if len(known) < len(ends) + len(usual):
        return None
    return max(known[: len(ends)]) + sum(known[len(ends) :])


def _soonest(run: Mapping[str, Any]) -> tuple[bool, bool, float, str]:
    start_s = run["start_s"]
    return (not run["is_running"], start_s is None, start_s or 0.0, run["id"])


def _queues(seen: Load, paces: Mapping[str, Pace]) -> list[dict[str, Any]]:
    names = {*seen.waiting, *seen.running, *seen.workers, *paces}
    return [
        {
            "id": queue,
            "waiting": seen.waiting.get(queue, 0),
            "running": seen.running.get(queue, 0),
            "oldest_s": seen.oldest_s.get(queue),
            "workers": seen.workers.get(queue, 0),
            "slots": seen.slots.get(queue, 0),
            "per_minute": paces[queue].per_minute if queue in paces else None,
            "call_s": dict(paces[queue].call_s) if queue in paces else {},
        }
        for queue in sorted(names)
    ]
