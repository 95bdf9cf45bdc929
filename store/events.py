"""What happened in a run, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from store.tables import events

TERMINAL = frozenset({"run.completed", "run.failed", "run.cancelled"})
DROPPABLE = frozenset({"step.progress", "step.preview", "text.delta"})


@dataclass(frozen=True)
class Event:
    """One event; `sequence_number` counts from 1 in each run, without a gap."""

    run_id: str
    sequence_number: int
    type: str
    data: dict[str, Any]
    created_at: float

    def as_json(self) -> dict[str, Any]:
        """Give the event as clients see it."""
        return {
            "type": self.type,
            "run_id": self.run_id,
            "sequence_number": self.sequence_number,
            "created_at": self.created_at,
            **self.data,
        }


def after(connection: Connection, run_id: str, sequence_number: int, limit: int = 500) -> list[Event]:
    """Give the events of a run behind `sequence_number` (0: from the first), oldest first."""
    rows = connection.execute(
        select(events)
        .where(events.c.run_id == run_id, events.c.sequence_number > sequence_number)
        .order_by(events.c.sequence_number)
        .limit(limit)
    )
    return [Event(r.run_id, r.sequence_number, r.type, r.data, r.created_at) for r in rows]
