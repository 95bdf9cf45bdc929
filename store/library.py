"""What an owner has, by what is asked of it: the conditions, and lists in pages, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, and_, exists, func, or_, select

from store.assets import Asset, UnknownAsset, clean_tags, load, unindexed
from store.database import Database
from store.tables import asset_tags, assets, collection_assets

PAGE_LIMIT = 200
FEW = 2000  # so many rows are looked up and sorted more quickly than a whole library is walked through

Beginning = Literal["owner", "ids", "row"]


@dataclass(frozen=True)
class Filter:
    """What assets must be; what is None or empty is not asked.

    Attributes:
        tags: all of them.
        collection_id: of the same owner; that is the caller's to check.
        model: a family that drew it; `model_tools` are the tools that always use it, and name none in a recipe.
        since, until: seconds since 1970, from `since` on and before `until`.
    """

    kind: str | None = None
    tags: tuple[str, ...] = ()
    run_id: str | None = None
    sha256: str | None = None
    collection_id: str | None = None
    tool: str | None = None
    model: str | None = None
    model_tools: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None

    @property
    def is_open(self) -> bool:
        """Say whether everything of an owner fits."""
        return self == EVERYTHING


EVERYTHING = Filter()


@dataclass(frozen=True)
class Page:
    """A part of a list; `next` is the cursor (`before`) of the following part."""

    data: list[Asset]
    has_more: bool
    next: str | None


def list_(
    connection: Connection, owner: str, wanted: Filter = EVERYTHING, *, before: str | None = None, limit: int = 50
) -> Page:
    """List what an owner has, newest first.

    Args:
        before: the cursor `next` of the page before this one.
        limit: 1 to 200.

    Raises:
        UnknownAsset: `before` is no asset of the owner.
    """
    limit = min(max(limit, 1), PAGE_LIMIT)
    query = select(assets).where(*conditions(owner, wanted, by=beginning(connection, wanted)))
    if before is not None:
        query = query.where(*_older_than(connection, owner, before))
    found = load(connection, query.order_by(assets.c.created_at.desc(), assets.c.id.desc()).limit(limit + 1))
    has_more = len(found) > limit
    return Page(found[:limit], has_more, found[limit - 1].id if has_more else None)


def all_of(database: Database, owner: str, wanted: Filter) -> Iterator[Asset]:
    """Give everything that fits, newest first; between two pages the database is free."""
    before = None
    while True:
        with database.read() as connection:
            page = list_(connection, owner, wanted, before=before, limit=PAGE_LIMIT)
        yield from page.data
        if not page.has_more:
            return
        before = page.next


def conditions(owner: str, wanted: Filter, *, by: Beginning = "owner") -> list[Any]:
    """Give the conditions on `assets` for what an owner has that fits.

    Args:
        by: where the database is to begin: at all of the owner's assets, at the ids that tags and collection give, or
            at rows that another condition has found. SQLite keeps no statistics unless told to, and guesses wrong.
    """
    column = assets.c.owner if by == "owner" else unindexed(assets.c.owner)
    found = [column == owner, assets.c.deleted_at.is_(None), *_of_row(wanted)]
    tags = clean_tags(wanted.tags)
    if by == "ids":
        return [*found, *(assets.c.id.in_(ids) for ids in _ids(tags, wanted.collection_id))]
    has_tags = (exists().where(asset_tags.c.asset_id == assets.c.id, asset_tags.c.tag == tag) for tag in tags)
    return [*found, *has_tags, *([] if wanted.collection_id is None else [_is_in(wanted.collection_id)])]


def beginning(connection: Connection, wanted: Filter) -> Beginning:
    """Say where a list of what fits is to begin."""
    if wanted.run_id is not None or wanted.sha256 is not None:
        return "row"
    for ids in _ids(clean_tags(wanted.tags), wanted.collection_id):
        some = select(func.count()).select_from(ids.limit(FEW + 1).subquery())
        if connection.execute(some).scalar_one() <= FEW:
            return "ids"
    return "owner"


def _of_row(wanted: Filter) -> list[Any]:
    """Give the conditions that a row answers alone."""
    equal = {"kind": wanted.kind, "run_id": wanted.run_id, "sha256": wanted.sha256}
    found = [assets.c[name] == value for name, value in equal.items() if value is not None]
    tool = assets.c.recipe["tool"].as_string()
    if wanted.tool is not None:
        found.append(tool == wanted.tool)
    if wanted.model is not None:
        named = assets.c.recipe[("args", "model")].as_string() == wanted.model
        found.append(or_(named, tool.in_(wanted.model_tools)))
    if wanted.since is not None:
        found.append(assets.c.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(assets.c.created_at < wanted.until)
    return found


def _ids(tags: list[str], collection_id: str | None) -> list[Any]:
    """Give the queries for ids of which a fitting asset has to be in all."""
    found = [select(asset_tags.c.asset_id).where(asset_tags.c.tag == tag) for tag in tags]
    if collection_id is not None:
        of = collection_assets.c
        found.append(select(of.asset_id).where(of.collection_id == collection_id))
    return found


def _is_in(collection_id: str) -> Any:
    of = collection_assets.c
    return exists().where(of.asset_id == assets.c.id, of.collection_id == collection_id)


def _older_than(connection: Connection, owner: str, cursor: str) -> list[Any]:
    created_at = connection.execute(
        select(assets.c.created_at).where(assets.c.id == cursor, assets.c.owner == owner)
    ).scalar_one_or_none()
    if created_at is None:
        raise UnknownAsset(f"no asset {cursor!r} to list before")
    # The first condition is for the index: an OR would make it begin at the newest for each page.
    is_older = or_(assets.c.created_at < created_at, and_(assets.c.created_at == created_at, assets.c.id < cursor))
    return [assets.c.created_at <= created_at, is_older]
