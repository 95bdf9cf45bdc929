"""Which workers are there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from store.tables import workers

FRESH_S = 5.0
FORGET_S = 3600.0


def here(
    connection: Connection,
    *,
    name: str,
    queues: Sequence[str],
    pid: int,
    started_at: float,
    models: Mapping[str, int],
) -> None:
    """Say that a worker is there, and which models it has loaded how often; forget those long gone."""
    now = time.time()
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(workers)
    row = {
        "name": name,
        "queues": list(queues),
        "pid": pid,
        "started_at": started_at,
        "seen_at": now,
        "models": dict(models),
    }
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=row), row)
    connection.execute(delete(workers).where(workers.c.seen_at < now - FORGET_S))


def fresh(connection: Connection, within_s: float = FRESH_S) -> list[dict[str, Any]]:
    """Give the workers that were seen within the last seconds."""
    query = select(workers).where(workers.c.seen_at > time.time() - within_s).order_by(workers.c.name)
    return [row._asdict() for row in connection.execute(query)]
