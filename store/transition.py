"""One change of state: rows, events and wake-up calls that are committed together.

A transition is a function of a `Transition`. Its events and its outbox rows are written with it in one transaction;
the wake-up calls it asked for are handed back for sending after the commit. A message that is lost after that is
sent again, because its outbox row stays until the work is claimed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store import deliveries
from store.database import Database
from store.tables import events, outbox, runs, steps

T = TypeVar("T")
RESEND_S = 3.0  # a wake-up call that nobody answered is sent again after this, then after twice this, …
RESEND_MAX_S = 60.0


# Statements that every transition runs are built once: building one costs as much as running it.
_COUNT_EVENTS = (
    update(runs)
    .where(runs.c.id.in_(bindparam("of_runs", expanding=True)))
    .values(last_event=runs.c.last_event + bindparam("more"))
    .returning(runs.c.id, runs.c.last_event)
)
_LOCK = (
    select(runs.c.id).where(runs.c.id.in_(bindparam("of_runs", expanding=True))).order_by(runs.c.id).with_for_update()
)
_ADD_EVENTS = insert(events)
_HEARD = delete(outbox).where(
    outbox.c.task == bindparam("of_task"), outbox.c.ref_id.in_(bindparam("of_refs", expanding=True))
)
# A step that was put off and is due is as old as it was before.
_PUT_OFF = (
    select(steps.c.id)
    .where(
        steps.c.id.in_(bindparam("of_steps", expanding=True)),
        steps.c.status == "queued",
        steps.c.available_at > steps.c.created_at,
        steps.c.available_at <= bindparam("of_now"),
    )
    .with_for_update(skip_locked=True)
)
_AGED = update(steps).where(steps.c.id.in_(_PUT_OFF)).values(available_at=steps.c.created_at)


@dataclass(frozen=True)
class Wake:
    """A message to send: "there is work in `queue`", with the id that it is about."""

    task: str
    ref_id: str
    queue: str
    priority: int = 0


class Transition:
    """What a change of state may do besides SQL: say what happened, and call a worker."""

    def __init__(self, connection: Connection, now: float) -> None:
        self.connection = connection
        self.now = now
        self.wakes: list[Wake] = []
        self.told: set[str] = set()  # the runs of which something was said
        self._outbox: list[dict[str, Any]] = []
        self._events: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        self._for_webhooks: list[tuple[str, str]] = []

    def emit(self, run_id: str, event: str, **fields: Any) -> None:
        """Add an event to a run; it gets its sequence number when the transition is flushed."""
        self._events[run_id].append((event, fields))
        if event in deliveries.OF_RUNS:
            self.announce(event, run_id)

    def announce(self, event: str, subject_id: str) -> None:
        """Let the webhooks of its owner hear of a run or a batch."""
        self._for_webhooks.append((event, subject_id))

    def wake(self, task: str, ref_id: str, queue: str, priority: int = 0, *, delay_s: float = 0) -> None:
        """Call a worker after the commit (or after `delay_s`), again and again until `heard`."""
        if delay_s <= 0:
            self.wakes.append(Wake(task, ref_id, queue, priority))
        due_at = self.now + (delay_s if delay_s > 0 else RESEND_S)
        self._outbox.append({"task": task, "ref_id": ref_id, "queue": queue, "due_at": due_at, "sends": 0})

    def heard(self, task: str, ref_ids: Sequence[str]) -> None:
        """Stop calling about these: the work was claimed, or needs no worker any more."""
        self.connection.execute(_HEARD, {"of_task": task, "of_refs": list(ref_ids)})

    def lock_run(self, run_id: str) -> None:
        """Hold the run's row, so that two steps that end at once see each other (PostgreSQL)."""
        self.lock_runs([run_id])

    def lock_runs(self, run_ids: Sequence[str]) -> None:
        """Hold the rows of runs, always in the same order, so that two transitions never wait for each other."""
        if self.connection.dialect.name == "postgresql":
            self.connection.execute(_LOCK, {"of_runs": list(run_ids)})

    def upsert(self, table: Any) -> Any:
        """Give an INSERT of this dialect that knows ON CONFLICT."""
        return (postgresql if self.connection.dialect.name == "postgresql" else sqlite).insert(table)

    def flush(self) -> None:
        """Write the events, what webhooks are to hear of them, and the outbox rows."""
        if self._events:
            self.connection.execute(_ADD_EVENTS, self._numbered())
            self.told.update(self._events)
        self._events.clear()
        if self._for_webhooks:
            deliveries.note(self.connection, self.upsert, self._for_webhooks, self.now)
        self._for_webhooks.clear()
        if self._outbox:
            statement = self.upsert(outbox)
            self.connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["task", "ref_id"],
                    set_={"due_at": statement.excluded.due_at, "queue": statement.excluded.queue, "sends": 0},
                ),
                sorted(self._outbox, key=itemgetter("task", "ref_id")),  # always in the same order, as runs are held
            )

    def _numbered(self) -> list[dict[str, Any]]:
        """Give the rows of the events, with numbers that no other transition gives."""
        if len(self._events) > 1:
            self.lock_runs(list(self._events))
        alike: dict[int, list[str]] = defaultdict(list)  # runs that get equally many
        for run_id, new in self._events.items():
            alike[len(new)].append(run_id)
        first: dict[str, int] = {}
        for more, run_ids in alike.items():
            for row in self.connection.execute(_COUNT_EVENTS, {"of_runs": run_ids, "more": more}):
                first[row.id] = row.last_event - more + 1
        return [
            {"run_id": run_id, "sequence_number": number, "type": event, "data": fields, "created_at": self.now}
            for run_id in sorted(self._events)
            for number, (event, fields) in enumerate(self._events[run_id], first[run_id])
        ]


def run(
    database: Database, change: Callable[[Transition], T], *, durable: bool = False, patience_s: float = 0
) -> tuple[T, list[Wake]]:
    """Commit one change of state.

    Args:
        change: the transition; may run again after a deadlock.
        durable: survives a loss of power; for what was promised to a client.
        patience_s: how long to wait for a database that is away; see `Database.transact`.

    Returns:
        What the change gave, and the wake-up calls to send now.
    """

    def once(connection: Connection) -> tuple[T, Transition]:
        transition = Transition(connection, database.clock.now())  # not before the lock: others wrote meanwhile
        result = change(transition)
        transition.flush()
        return result, transition

    result, made = database.transact(once, durable=durable, patience_s=patience_s)
    if database.notices is not None and made.told:
        database.notices.tell(made.told)
    return result, made.wakes


def due(database: Database, limit: int = 200) -> list[Wake]:
    """Give the wake-up calls that must be sent again, and put off their next sending."""
    now = database.clock.now()
    with database.read() as connection:  # a look without a lock: most of the time nothing is due
        if connection.execute(select(outbox.c.id).where(outbox.c.due_at <= now).limit(1)).first() is None:
            return []

    def take(connection: Connection) -> list[Wake]:
        rows = connection.execute(
            select(outbox)
            .where(outbox.c.due_at <= now)
            .order_by(outbox.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            wait = min(RESEND_MAX_S, RESEND_S * 2 ** min(row.sends + 1, 10))
            connection.execute(
                update(outbox).where(outbox.c.id == row.id).values(due_at=now + wait, sends=row.sends + 1)
            )
        connection.execute(_AGED, {"of_steps": [row.ref_id for row in rows if row.task == "step"], "of_now": now})
        return [Wake(row.task, row.ref_id, row.queue) for row in rows]

    return database.transact(take)


def not_sent(database: Database, wakes: Sequence[Wake]) -> None:
    """Note that the broker did not take these: they are due again at once, and not later each time."""

    now = database.clock.now()

    def put_back(connection: Connection) -> None:
        for wake in sorted(wakes, key=lambda wake: (wake.task, wake.ref_id)):
            mine = (outbox.c.task == wake.task) & (outbox.c.ref_id == wake.ref_id)
            connection.execute(update(outbox).where(mine).values(due_at=now, sends=0))

    if wakes:
        database.transact(put_back)
