"""Webhooks: where owners want to hear what ended."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from store import deliveries as sent
from store.ids import new_id
from store.runs import UnknownId, WrongState
from store.tables import deliveries, webhooks
from store.transition import Transition

PREFIX = "whsec_"
SECRET_BYTES = 32  # Standard Webhooks wants 24 to 64
MOST = 20  # of one owner


@dataclass(frozen=True)
class Webhook:
    """A webhook without its secret. `created_at` is in seconds since 1970."""

    id: str
    url: str
    events: tuple[str, ...]
    active: bool
    created_at: float


def new_secret() -> str:
    """Draw a secret to sign with."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def create(connection: Connection, owner: str, url: str, events: Sequence[str], now: float) -> tuple[Webhook, str]:
    """Make a webhook; gives it, and the secret that is shown this once.

    Raises:
        WrongState: the owner has as many as one may have.
    """
    has = connection.execute(select(func.count()).where(webhooks.c.owner == owner)).scalar_one()
    if has >= MOST:
        raise WrongState(f"there are {has} webhooks, and no more than {MOST} are kept; delete one first")
    row = {"id": new_id("webhook"), "url": url, "events": list(events), "active": True, "created_at": now}
    secret = new_secret()
    connection.execute(insert(webhooks).values(owner=owner, secret=secret, **row))
    return require(connection, owner, str(row["id"])), secret


def require(connection: Connection, owner: str, webhook_id: str) -> Webhook:
    """Give a webhook.

    Raises:
        UnknownId: there is no such webhook of this owner.
    """
    row = connection.execute(select(webhooks).where(_is(owner, webhook_id))).first()
    if row is None:
        raise UnknownId(f"there is no webhook {webhook_id!r}")
    return _webhook(row)


def list_(connection: Connection, owner: str, *, before: str | None = None, limit: int = 20) -> list[Webhook]:
    """Give an owner's webhooks, newest first; `before` is the id of the last one of the page before."""
    query = select(webhooks).where(webhooks.c.owner == owner)
    if before is not None:
        query = query.where(webhooks.c.id < before)
    return [_webhook(row) for row in connection.execute(query.order_by(webhooks.c.id.desc()).limit(limit))]


def change(
    connection: Connection,
    owner: str,
    webhook_id: str,
    *,
    active: bool | None = None,
    events: Sequence[str] | None = None,
    now: float,
) -> Webhook:
    """Switch a webhook on or off, or change what it hears of; None leaves something as it is.

    Raises:
        UnknownId: there is no such webhook of this owner.
    """
    require(connection, owner, webhook_id)
    values: dict[str, Any] = {} if active is None else {"active": active}
    values |= {} if events is None else {"events": list(events)}
    if values:
        connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(**values))
    if active is False:
        sent.drop_waiting(connection, webhook_id, "the webhook was switched off", now)
    return require(connection, owner, webhook_id)


def switch_off(connection: Connection, webhook_id: str, why: str, now: float) -> None:
    """Send to a webhook no more: its receiver said that it is gone."""
    connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(active=False))
    sent.drop_waiting(connection, webhook_id, why, now)


def rotate(connection: Connection, owner: str, webhook_id: str) -> tuple[Webhook, str]:
    """Give a webhook a new secret; the old one signs nothing from here on.

    Raises:
        UnknownId: there is no such webhook of this owner.
    """
    found, secret = require(connection, owner, webhook_id), new_secret()
    connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(secret=secret))
    return found, secret


def remove(connection: Connection, owner: str, webhook_id: str) -> None:
    """Delete a webhook and the log of what it was sent.

    Raises:
        UnknownId: there is no such webhook of this owner.
    """
    if not connection.execute(delete(webhooks).where(_is(owner, webhook_id))).rowcount:
        raise UnknownId(f"there is no webhook {webhook_id!r}")


def send_test(t: Transition, owner: str, webhook_id: str) -> dict[str, Any]:
    """Have something sent at once, and give its delivery.

    Raises:
        UnknownId: there is no such webhook of this owner.
        WrongState: it is switched off.
    """
    _require_active(t.connection, owner, webhook_id)
    delivery_id = sent.note_test(t.connection, t.upsert, webhook_id, t.now)
    return require_delivery(t.connection, webhook_id, delivery_id)


def deliveries_of(
    connection: Connection, owner: str, webhook_id: str, *, before: str | None = None, limit: int = 20
) -> list[dict[str, Any]]:
    """Give what was sent or waits, newest first.

    Raises:
        UnknownId: there is no such webhook of this owner.
    """
    require(connection, owner, webhook_id)
    query = select(deliveries).where(deliveries.c.webhook_id == webhook_id)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    return [_delivery(row) for row in connection.execute(query.order_by(deliveries.c.id.desc()).limit(limit))]


def require_delivery(connection: Connection, webhook_id: str, delivery_id: str) -> dict[str, Any]:
    """Give a delivery of a webhook.

    Raises:
        UnknownId: it has no such delivery.
    """
    mine = (deliveries.c.webhook_id == webhook_id, deliveries.c.id == delivery_id)
    row = connection.execute(select(deliveries).where(*mine)).first()
    if row is None:
        raise UnknownId(f"there is no delivery {delivery_id!r} of webhook {webhook_id!r}")
    return _delivery(row)


def retry(t: Transition, owner: str, webhook_id: str, delivery_id: str) -> dict[str, Any]:
    """Send a delivery again at once, under the same id and with all its attempts before it.

    Raises:
        UnknownId: there is no such webhook of this owner, or it has no such delivery.
        WrongState: it is switched off.
    """
    _require_active(t.connection, owner, webhook_id)
    require_delivery(t.connection, webhook_id, delivery_id)
    again = {"state": sent.WAITING, "attempts": 0, "due_at": t.now, "ended_at": None}
    t.connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(**again))
    return require_delivery(t.connection, webhook_id, delivery_id)


def _require_active(connection: Connection, owner: str, webhook_id: str) -> None:
    if not require(connection, owner, webhook_id).active:
        raise WrongState(f"webhook {webhook_id!r} is switched off; switch it on first")


def _is(owner: str, webhook_id: str) -> Any:
    return (webhooks.c.owner == owner) & (webhooks.c.id == webhook_id)


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(row.id, row.url, tuple(row.events), row.active, row.created_at)


def _delivery(row: Row[Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row._asdict().items() if name != "webhook_id"}
    return shown | {"due_at": row.due_at if row.state == sent.WAITING else None}
