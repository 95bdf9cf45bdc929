"""Collections: assets of one owner that belong together under a name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from store import assets
from store.assets import UnknownAsset
from store.ids import new_id
from store.runs import UnknownId, WrongState
from store.tables import assets as assets_table
from store.tables import collection_assets, collections


def create(connection: Connection, owner: str, name: str, *, now: float) -> str:
    """Make an empty collection and give its id.

    Raises:
        WrongState: the owner has one of this name.
    """
    id_ = new_id("collection")
    row = {"id": id_, "owner": owner, "name": name, "created_at": now}
    _named(connection, insert(collections).values(row), name)
    return id_


def rename(connection: Connection, owner: str, id_: str, name: str) -> None:
    """Call a collection by another name.

    Raises:
        UnknownId: there is no such collection of this owner.
        WrongState: the owner has another one of this name.
    """
    require(connection, owner, id_)
    _named(connection, update(collections).where(collections.c.id == id_).values(name=name), name)


def remove(connection: Connection, owner: str, id_: str) -> None:
    """Take a collection away; its assets stay in the library.

    Raises:
        UnknownId: there is no such collection of this owner.
    """
    require(connection, owner, id_)
    connection.execute(delete(collections).where(collections.c.id == id_))


def add(connection: Connection, owner: str, id_: str, asset_id: str, *, now: float) -> None:
    """Put an asset into a collection; one that is in it stays as it is.

    Raises:
        UnknownId: there is no such collection of this owner.
        UnknownAsset: there is no such asset of this owner.
    """
    require(connection, owner, id_)
    if assets.get(connection, owner, asset_id) is None:
        raise UnknownAsset(f"no asset {asset_id!r}")
    of = collection_assets.c
    there = select(of.asset_id).where(of.collection_id == id_, of.asset_id == asset_id)
    if connection.execute(there).first() is None:
        row = {"collection_id": id_, "asset_id": asset_id, "added_at": now}
        try:
            with connection.begin_nested():
                connection.execute(insert(collection_assets).values(row))
        except IntegrityError:
            return  # another request put it in between


def take_out(connection: Connection, owner: str, id_: str, asset_id: str) -> None:
    """Take an asset out of a collection; one that is not in it is no error.

    Raises:
        UnknownId: there is no such collection of this owner.
        UnknownAsset: there is no such asset of this owner.
    """
    require(connection, owner, id_)
    if assets.get(connection, owner, asset_id, deleted=True) is None:
        raise UnknownAsset(f"no asset {asset_id!r}")
    of = collection_assets.c
    connection.execute(delete(collection_assets).where(of.collection_id == id_, of.asset_id == asset_id))


def get(connection: Connection, owner: str, id_: str) -> dict[str, Any]:
    """Give a collection with the number of its assets.

    Raises:
        UnknownId: there is no such collection of this owner.
    """
    return _views(connection, [require(connection, owner, id_)])[0]


def list_(
    connection: Connection, owner: str, *, asset_id: str | None = None, before: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Give collections, newest first; of an asset, those that it is in."""
    query = select(*collections.c).where(collections.c.owner == owner)
    if asset_id is not None:
        of = collection_assets.c
        query = query.where(collections.c.id.in_(select(of.collection_id).where(of.asset_id == asset_id)))
    if before is not None:
        query = query.where(collections.c.id < before)
    return _views(connection, list(connection.execute(query.order_by(collections.c.id.desc()).limit(limit))))


def require(connection: Connection, owner: str, id_: str) -> Row[Any]:
    """Give the row of a collection.

    Raises:
        UnknownId: there is no such collection of this owner.
    """
    query = select(*collections.c).where(collections.c.id == id_, collections.c.owner == owner)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownId(f"there is no collection {id_!r}")
    return row


def _views(connection: Connection, rows: list[Row[Any]]) -> list[dict[str, Any]]:
    of = collection_assets.c
    counted = (
        select(of.collection_id, func.count())
        .join(assets_table, assets_table.c.id == of.asset_id)
        .where(of.collection_id.in_([row.id for row in rows]), assets_table.c.deleted_at.is_(None))
        .group_by(of.collection_id)
    )
    counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(counted)}
    return [
        {"id": row.id, "name": row.name, "created_at": row.created_at, "assets": counts.get(row.id, 0)} for row in rows
    ]


def _named(connection: Connection, change: Any, name: str) -> None:
    try:
        with connection.begin_nested():
            connection.execute(change)
    except IntegrityError as error:
        raise WrongState(f"there is a collection {name!r} already; give this one another name") from error
