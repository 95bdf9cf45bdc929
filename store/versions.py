"""Weights that were trained here, and where a training goes on after a crash.

The newest version of a name that an owner may see is the one that is used; an older one stays for what it made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from store.ids import new_id
from store.tables import checkpoints, model_versions, steps
from store.transition import Transition

STYLE = "style"
KEPT_S = 7 * 86400.0  # how long a failed step can go on from its checkpoint


@dataclass(frozen=True)
class NewVersion:
    """Weights before they are registered; their blob is stored already."""

    family: str
    name: str
    owner: str | None
    sha256: str
    licence: str | None
    card: Mapping[str, Any]
    run_id: str | None = None


@dataclass(frozen=True)
class Version:
    """Registered weights. `owner` None: everyone may use them. Times are seconds since 1970."""

    id: str
    family: str
    name: str
    owner: str | None
    sha256: str
    licence: str | None
    card: dict[str, Any]
    run_id: str | None
    created_at: float
    retired_at: float | None

    @property
    def weights(self) -> str:
        """How recipes and workshops call these weights: "style/acme"."""
        return f"{self.family}/{self.name}"


def register(connection: Connection, new: NewVersion, *, now: float) -> str:
    """Add a version; from now on it is the one that its name means. Gives its id."""
    id_ = new_id("model")
    row = {**vars(new), "card": dict(new.card), "id": id_, "created_at": now}
    connection.execute(insert(model_versions), row)
    return id_


def newest(connection: Connection, owner: str, family: str, name: str) -> Version | None:
    """Give the version that a name means for an owner, None where it means none."""
    rows = connection.execute(_visible(owner, family).where(model_versions.c.name == name).limit(1)).all()
    return _version(rows[0]) if rows else None


def list_(connection: Connection, owner: str, family: str = STYLE) -> list[Version]:
    """Give the newest version of each name that an owner may see, by name."""
    found: dict[str, Version] = {}
    for row in connection.execute(_visible(owner, family)):
        found.setdefault(row.name, _version(row))
    return [found[name] for name in sorted(found)]


def names(connection: Connection, owner: str, family: str = STYLE) -> list[str]:
    """Give the names that an owner may use."""
    columns = select(model_versions.c.name).where(*_is_visible(owner, family)).distinct()
    return list(connection.execute(columns.order_by(model_versions.c.name)).scalars())


def retire(connection: Connection, owner: str, family: str, name: str, *, now: float) -> int:
    """Take all of the owner's versions of a name out of use; gives how many there were."""
    mine = (model_versions.c.owner == owner, model_versions.c.family == family, model_versions.c.name == name)
    retired = update(model_versions).where(*mine, model_versions.c.retired_at.is_(None)).values(retired_at=now)
    return connection.execute(retired).rowcount


def checkpoint(connection: Connection, step_id: str) -> str | None:
    """Give the sha256 of the newest checkpoint of a step's work."""
    return connection.execute(select(checkpoints.c.sha256).where(checkpoints.c.step_id == step_id)).scalar()


def save_checkpoint(t: Transition, step_id: str, sha256: str) -> str | None:
    """Note a step's newest checkpoint, and give the one that it replaces."""
    old = checkpoint(t.connection, step_id)
    statement = t.upsert(checkpoints).values(step_id=step_id, sha256=sha256, saved_at=t.now)
    changed = {"sha256": sha256, "saved_at": t.now}
    t.connection.execute(statement.on_conflict_do_update(index_elements=["step_id"], set_=changed))
    return None if old == sha256 else old


def drop_checkpoint(t: Transition, step_id: str) -> str | None:
    """Forget a step's checkpoint, and give it."""
    old = checkpoint(t.connection, step_id)
    t.connection.execute(delete(checkpoints).where(checkpoints.c.step_id == step_id))
    return old


def any_checkpoint(connection: Connection) -> bool:
    """Say, without a lock, whether there are checkpoints."""
    return connection.execute(select(checkpoints.c.step_id).limit(1)).first() is not None


def drop_ended_checkpoints(connection: Connection, *, now: float) -> list[str]:
    """Forget the checkpoints that nobody goes on from, and give them.

    A step that was cancelled while no worker held it left one; a failed step may be tried again for a while.
    """
    failed_long_ago = and_(steps.c.status == "failed", checkpoints.c.saved_at < now - KEPT_S)
    ended = or_(steps.c.status.in_(("cancelled", "completed", "skipped")), failed_long_ago)
    query = select(checkpoints.c.step_id, checkpoints.c.sha256).join(steps, steps.c.id == checkpoints.c.step_id)
    rows = connection.execute(query.where(ended)).all()
    if rows:
        connection.execute(delete(checkpoints).where(checkpoints.c.step_id.in_([row.step_id for row in rows])))
    return [row.sha256 for row in rows]


_NEWEST_FIRST = (model_versions.c.created_at.desc(), model_versions.c.id.desc())


def _is_visible(owner: str, family: str) -> tuple[Any, ...]:
    mine = or_(model_versions.c.owner == owner, model_versions.c.owner.is_(None))
    return (mine, model_versions.c.family == family, model_versions.c.retired_at.is_(None))


def _visible(owner: str, family: str) -> Any:
    return select(model_versions).where(*_is_visible(owner, family)).order_by(*_NEWEST_FIRST)


def _version(row: Row[Any]) -> Version:
    return Version(**row._mapping)
