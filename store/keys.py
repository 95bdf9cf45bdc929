"""Keys: who may ask, as whom, and for what.

A key is shown once, when it is made; kept is its hash. A key is 160 random bits, so a plain hash cannot be reversed by
trying, and looking it up by the hash tells an attacker nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, null, or_, select, update

from store.ids import new_id
from store.tables import keys

READ, MAKE, ADMIN = "read", "make", "admin"
SCOPES = (READ, MAKE, ADMIN)
PREFIX = "atl_"
SECRET_BYTES = 20
HINT_CHARACTERS = 8
MINUTE_S = 60.0


@dataclass(frozen=True)
class Key:
    """A key without its secret. Times are seconds since 1970."""

    id: str
    owner: str
    name: str
    scopes: tuple[str, ...]
    hint: str
    created_at: float
    expires_at: float | None
    used_at: float | None
    revoked_at: float | None
    limits: Mapping[str, int] | None = None  # see `store.limits`

    def is_valid(self, now: float) -> bool:
        """Say whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def new_secret() -> str:
    """Draw a key."""
    return PREFIX + secrets.token_hex(SECRET_BYTES)


def digest(secret: str) -> str:
    """Give the sha256 by which a key is known."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create(
    connection: Connection,
    *,
    name: str,
    owner: str,
    scopes: Sequence[str],
    now: float,
    expires_at: float | None = None,
    limits: Mapping[str, int] | None = None,
) -> tuple[Key, str]:
    """Make a key; gives what is kept of it, and the key itself, which nothing can show again.

    Raises:
        ValueError: there are no scopes, or an unknown one.
    """
    if not scopes or set(scopes) - set(SCOPES):
        raise ValueError(f"a key has some of the scopes {', '.join(SCOPES)}")
    id_, secret = new_id("key"), new_secret()
    row = {
        "id": id_,
        "owner": owner,
        "name": name,
        "scopes": [scope for scope in SCOPES if scope in scopes],
        "sha256": digest(secret),
        "hint": secret[:HINT_CHARACTERS],
        "created_at": now,
        "expires_at": expires_at,
        "limits": dict(limits) if limits else null(),
    }
    connection.execute(insert(keys), row)
    made = get(connection, id_)
    assert made is not None  # noqa: S101  # by the line above
    return made, secret


def get(connection: Connection, id_: str) -> Key | None:
    """Give a key by its id, also one that was revoked."""
    return _key(connection.execute(select(keys).where(keys.c.id == id_)).one_or_none())


def by_digest(connection: Connection, sha256: str) -> Key | None:
    """Give the key of this hash, also one that was revoked."""
    return _key(connection.execute(select(keys).where(keys.c.sha256 == sha256)).one_or_none())


def list_(connection: Connection, *, name: str | None = None, before: str | None = None, limit: int = 200) -> list[Key]:
    """Give all owners' keys, newest first; `before` is the id of the last one of the page before."""
    query = select(keys).order_by(keys.c.id.desc()).limit(limit)
    if name is not None:
        query = query.where(keys.c.name == name)
    if before is not None:
        query = query.where(keys.c.id < before)
    return [key for row in connection.execute(query) if (key := _key(row)) is not None]


def are_there(connection: Connection) -> bool:
    """Say whether a key was ever made; a revoked one counts, so that revoking the last opens nothing."""
    return connection.execute(select(keys.c.id).limit(1)).first() is not None


def limit(connection: Connection, id_: str, limits: Mapping[str, int]) -> Key | None:
    """Replace the limits of a key that is in use, and give it; None if there is none."""
    mine = update(keys).where(keys.c.id == id_, keys.c.revoked_at.is_(None))
    changed = connection.execute(mine.values(limits=dict(limits) if limits else null()))
    return get(connection, id_) if changed.rowcount else None


def revoke(connection: Connection, id_: str, *, now: float) -> bool:
    """Take a key out of use, and say whether it was in use."""
    mine = update(keys).where(keys.c.id == id_, keys.c.revoked_at.is_(None))
    return connection.execute(mine.values(revoked_at=now)).rowcount == 1


def is_due(key: Key, now: float) -> bool:
    """Say whether it is to be written down that a key was used: to the minute, so that few requests write."""
    return key.used_at is None or now - key.used_at >= MINUTE_S


def touch(connection: Connection, id_: str, *, now: float) -> None:
    """Write down that a key was used, unless another process just did."""
    old = or_(keys.c.used_at.is_(None), keys.c.used_at <= now - MINUTE_S)
    connection.execute(update(keys).where(keys.c.id == id_, old).values(used_at=now))


def _key(row: Row[Any] | None) -> Key | None:
    if row is None:
        return None
    fields = {name: getattr(row, name) for name in Key.__dataclass_fields__}
    return Key(**{**fields, "scopes": tuple(row.scopes)})
