"""What clients see of runs and conversations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from store import presence
from store.database import Database
from store.runs import OPEN_RUN, require, require_thread
from store.tables import messages, runs, step_assets, steps, threads

HIDDEN = ("owner", "idempotency_key", "last_event", "priority", "key_id")


def get(connection: Connection, owner: str, run_id: str) -> dict[str, Any]:
    """Give a run with its steps and the ids of its assets, as clients see it.

    Raises:
        UnknownId: there is no such run of this owner.
    """
    return _views(connection, [require(connection, owner, run_id)])[0]


def list_(
    connection: Connection,
    owner: str,
    *,
    status: str | None = None,
    thread_id: str | None = None,
    before: str | None = None,
    limit: int = 20,
) -> list[dict[str, Any]]:
    """Give runs, newest first; `before` is the id of the last one of the page before."""
    query: Select[Any] = select(*runs.c).where(runs.c.owner == owner)
    if status is not None:
        query = query.where(runs.c.status == status)
    if thread_id is not None:
        query = query.where(runs.c.thread_id == thread_id)
    if before is not None:
        query = query.where(runs.c.id < before)
    return _views(connection, connection.execute(query.order_by(runs.c.id.desc()).limit(limit)).all())


def thread(connection: Connection, owner: str, thread_id: str) -> dict[str, Any]:
    """Give a conversation with its messages, oldest first.

    Raises:
        UnknownId: there is no such thread of this owner.
    """
    row = require_thread(connection, owner, thread_id)
    said = connection.execute(
        select(messages).where(messages.c.thread_id == thread_id).order_by(messages.c.created_at, messages.c.id)
    ).all()
    return {**row._asdict(), "messages": [message._asdict() for message in said]}


def threads_of(
    connection: Connection, owner: str, *, before: str | None = None, limit: int = 20
) -> list[dict[str, Any]]:
    """Give conversations, newest first."""
    query = select(*threads.c).where(threads.c.owner == owner)
    if before is not None:
        query = query.where(threads.c.id < before)
    return [row._asdict() for row in connection.execute(query.order_by(threads.c.id.desc()).limit(limit))]


def wait(database: Database, owner: str, run_id: str, timeout_s: float, poll_s: float = 0.05) -> dict[str, Any]:
    """Wait until a run has ended and give it; after `timeout_s` give it as it is then."""
    deadline = time.monotonic() + timeout_s
    while True:
        with database.read() as connection:
            row = require(connection, owner, run_id)
            if row.status not in OPEN_RUN or row.status == "waiting_approval" or time.monotonic() > deadline:
                return get(connection, owner, run_id)
        time.sleep(poll_s)


def _views(connection: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    ids = [row.id for row in rows]
    by_run: dict[str, list[dict[str, Any]]] = {id_: [] for id_ in ids}
    by_step: dict[str, list[str]] = {}
    for asset in connection.execute(
        select(step_assets.c.step_id, step_assets.c.asset_id)
        .join(steps, steps.c.id == step_assets.c.step_id)
        .where(steps.c.run_id.in_(ids))
        .order_by(step_assets.c.step_id, step_assets.c.position)
    ):
        by_step.setdefault(asset.step_id, []).append(asset.asset_id)
    unserved: dict[str, str] = {}
    for step in connection.execute(select(*steps.c).where(steps.c.run_id.in_(ids)).order_by(steps.c.position)):
        if step.status == "queued" and step.run_id not in unserved:
            why = presence.unserved(connection, step.queue, step.tool)
            unserved |= {} if why is None else {step.run_id: why}
        if step.tool.startswith("studio."):
            continue
        by_run[step.run_id].append(
            {
                "id": step.name,
                "tool": step.tool,
                "args": step.args,
                "status": step.status,
                "percent": step.percent,
                "attempts": step.attempts,
                "error": step.error,
                "assets": by_step.get(step.id, []),
                "started_at": step.started_at,
                "ended_at": step.ended_at,
            }
        )
    views = []
    for row in rows:
        view = {key: value for key, value in row._asdict().items() if key not in HIDDEN}
        view["unserved"] = unserved.get(row.id)
        view["steps"] = by_run[row.id]
        view["assets"] = [asset for step in by_run[row.id] for asset in step["assets"]]
        views.append(view)
    return views
