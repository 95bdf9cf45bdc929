"""What is to be sent to webhooks, and what came of it.

A delivery is written in the transaction in which its event happens, so none is lost. Whoever takes it moves its time on
and says in the end what came of it. A worker that dies in between leaves a delivery that is due again, with the same
id, by which the receiver knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, delete, select, text, update

from store.database import Database
from store.ids import floor_id, new_id
from store.tables import DUE, batches, deliveries, runs, webhooks

OF_RUNS = ("run.completed", "run.failed", "run.cancelled", "approval.required")
OF_BATCHES = ("batch.completed", "batch.cancelled")
EVENTS = (*OF_RUNS, *OF_BATCHES)
TEST = "webhook.test"
WAITING, DELIVERED, FAILED = "waiting", "delivered", "failed"
LEASE_S = 60.0  # a delivery that was taken is due again after this, unless it is known what came of it
BACK_OFF_S = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)  # the waits that Standard Webhooks advises
KEPT_S = 30 * 86400.0
ERROR_CHARACTERS = 500
NULL_FIELDS = ("status_code", "error", "ended_at")

Upsert = Callable[[Any], Any]


@dataclass(frozen=True)
class Taken:
    """A delivery that somebody sends now.

    Attributes:
        attempt: from 1; also the fence: what came of it counts only while this is the last attempt.
        secret: what the webhook signs with now.
    """

    id: str
    webhook_id: str
    owner: str
    event: str
    subject_id: str
    attempt: int
    created_at: float
    url: str
    secret: str


def _hearing(subjects: Any) -> Select[Any]:
    """Who wants to hear of these; a webhook cannot be deleted between this look and the row that follows."""
    return (
        select(webhooks.c.id, webhooks.c.events, subjects.c.id.label("subject_id"))
        .join(webhooks, webhooks.c.owner == subjects.c.owner)
        .where(subjects.c.id.in_(bindparam("of_subjects", expanding=True)), webhooks.c.active)
        .with_for_update(read=True, key_share=True, of=webhooks)
    )


_HEARING = {OF_RUNS: _hearing(runs), OF_BATCHES: _hearing(batches)}


def note(connection: Connection, upsert: Upsert, happened: Sequence[tuple[str, str]], now: float) -> None:
    """Write what is to be sent of what happened: pairs of an event's name and the id of its run or batch.

    Something that ends a second time, after a person tried it again, is said again and as a new message.
    """
    for events, hearing in _HEARING.items():
        told = [pair for pair in happened if pair[0] in events]
        if not told:
            continue
        found = connection.execute(hearing, {"of_subjects": [subject for _, subject in told]}).all()
        new = [
            _row(one.id, event, subject, now)
            for event, subject in told
            for one in found
            if one.subject_id == subject and event in one.events
        ]
        if new:
            _write(connection, upsert, new)


def _row(webhook_id: str, event: str, subject_id: str, now: float) -> dict[str, Any]:
    return {
        "id": new_id("delivery"),
        "webhook_id": webhook_id,
        "event": event,
        "subject_id": subject_id,
        "state": WAITING,
        "attempts": 0,
        "due_at": now,
        "created_at": now,
    }


def _write(connection: Connection, upsert: Upsert, new: Sequence[dict[str, Any]]) -> None:
    statement = upsert(deliveries)
    again = {name: statement.excluded[name] for name in ("id", "state", "attempts", "due_at", "created_at")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["webhook_id", "subject_id", "event"], set_=again | dict.fromkeys(NULL_FIELDS)
        ),
        sorted(new, key=itemgetter("webhook_id", "subject_id", "event")),  # always in the same order
    )


def note_test(connection: Connection, upsert: Upsert, webhook_id: str, now: float) -> str:
    """Write a delivery that says nothing but that it came, and give its id."""
    row = _row(webhook_id, TEST, webhook_id, now)
    _write(connection, upsert, [row])
    return str(row["id"])


def take(database: Database, limit: int, *, but: Collection[str] = (), each: int = 2) -> list[Taken]:
    """Take deliveries that are due, the oldest first.

    Args:
        but: webhooks that are not to be served now.
        each: at most so many of one webhook, so that one that hangs does not hold up the others.
    """
    now = database.clock.now()
    due = and_(text(DUE), deliveries.c.due_at <= now, deliveries.c.webhook_id.not_in(list(but)))
    with database.read() as connection:  # a look without a lock: most of the time nothing is due
        if connection.execute(select(deliveries.c.id).where(due).limit(1)).first() is None:
            return []

    def change(connection: Connection) -> list[Taken]:
        rows = connection.execute(
            select(deliveries, webhooks.c.owner, webhooks.c.url, webhooks.c.secret)
            .join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
            .where(due)
            .order_by(deliveries.c.due_at)
            .limit(limit * each)
            .with_for_update(skip_locked=True, of=deliveries)
        ).all()
        kept = _spread(rows, limit, each)
        ids = [row.id for row in kept]
        taken = update(deliveries).where(deliveries.c.id.in_(ids))
        connection.execute(taken.values(attempts=deliveries.c.attempts + 1, due_at=now + LEASE_S))
        return [_taken(row) for row in kept]

    return database.transact(change)


def _spread(rows: Sequence[Row[Any]], limit: int, each: int) -> list[Row[Any]]:
    kept: list[Row[Any]] = []
    for row in rows:
        if len(kept) < limit and sum(one.webhook_id == row.webhook_id for one in kept) < each:
            kept.append(row)
    return kept


def _taken(row: Row[Any]) -> Taken:
    same = {name: getattr(row, name) for name in Taken.__dataclass_fields__ if name != "attempt"}
    return Taken(**same, attempt=row.attempts + 1)


def delivered(connection: Connection, taken: Taken, status_code: int, now: float) -> bool:
    """Write down that the receiver has it; False if that is no longer ours to say."""
    return _settle(connection, taken, state=DELIVERED, status_code=status_code, error=None, ended_at=now)


def failed(connection: Connection, taken: Taken, status_code: int | None, error: str, now: float) -> bool:
    """Write down why an attempt failed; there is another one later, up to the last. False if it is not ours to say."""
    said: dict[str, Any] = {"status_code": status_code, "error": error[:ERROR_CHARACTERS]}
    if taken.attempt > len(BACK_OFF_S):
        return _settle(connection, taken, state=FAILED, ended_at=now, **said)
    return _settle(connection, taken, due_at=now + BACK_OFF_S[taken.attempt - 1], **said)


def given_up(connection: Connection, taken: Taken, status_code: int | None, error: str, now: float) -> bool:
    """Write down that no attempt will help. False if it is not ours to say."""
    said = {"status_code": status_code, "error": error[:ERROR_CHARACTERS]}
    return _settle(connection, taken, state=FAILED, ended_at=now, **said)


def _settle(connection: Connection, taken: Taken, **values: Any) -> bool:
    held = (deliveries.c.id == taken.id, deliveries.c.attempts == taken.attempt, text(DUE))
    return connection.execute(update(deliveries).where(*held).values(**values)).rowcount == 1


def drop_waiting(connection: Connection, webhook_id: str, why: str, now: float) -> None:
    """Give up what waits for a webhook that is switched off."""
    waiting = (deliveries.c.webhook_id == webhook_id, text(DUE))
    connection.execute(update(deliveries).where(*waiting).values(state=FAILED, error=why, ended_at=now))


def forget(connection: Connection, now: float) -> int:
    """Remove what ended long ago, and say how much that was."""
    old = (deliveries.c.id < floor_id("delivery", now - KEPT_S), deliveries.c.state != WAITING)
    return connection.execute(delete(deliveries).where(*old)).rowcount
