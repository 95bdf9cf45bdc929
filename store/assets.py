"""Assets: what was made or uploaded, with its tags, its history and its vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Select, and_, bindparam, func, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy import insert as sql_insert

from store.tables import asset_edges, asset_tags, assets, step_assets, vectors

LATENTS = "latent/"  # spaces of generators; never indexed, kept when an asset is deleted
VAE_LATENTS = "latent/vae"
NEVER_INDEXED = 0.0
TAG_CHARACTERS = 80

_IDS: Any = bindparam("ids", expanding=True)
BY_IDS = select(assets).where(assets.c.id.in_(_IDS))
TAGS_OF = (
    select(asset_tags.c.asset_id, asset_tags.c.tag)
    .where(asset_tags.c.asset_id.in_(_IDS))
    .order_by(asset_tags.c.asset_id, asset_tags.c.tag)
)
PARENTS_OF = (
    select(asset_edges.c.child_id, asset_edges.c.parent_id)
    .where(asset_edges.c.child_id.in_(_IDS))
    .order_by(asset_edges.c.child_id, asset_edges.c.parent_id)
)


class UnknownAsset(LookupError):
    """No asset of this owner has this id."""


@dataclass(frozen=True)
class NewAsset:
    """An asset before it is saved; its blobs are stored already.

    Attributes:
        recipe: {"tool", "version", "args", "weights"}, or None for an upload.
        parents: ids of the assets it was made from.
        vectors: by space, any shape, float32: "text/…" unit vectors for search, "latent/…" of a generator.
        sources: {"solution", "document", "place"}, where a text comes from.
    """

    id: str
    kind: str
    media_type: str
    sha256: str
    size_bytes: int
    caption: str
    tags: Sequence[str] = ()
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    seed: int | None = None
    recipe: Mapping[str, Any] | None = None
    weights_hash: str | None = None
    licence: str | None = None
    thumbnail_sha256: str | None = None
    parents: Sequence[str] = ()
    vectors: Mapping[str, np.ndarray] = field(default_factory=dict)
    sources: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True)
class Asset:
    """An asset as it was saved. Times are seconds since 1970."""

    id: str
    owner: str
    kind: str
    media_type: str
    sha256: str
    size_bytes: int
    caption: str
    width: int | None
    height: int | None
    seconds: float | None
    seed: int | None
    recipe: dict[str, Any] | None
    weights_hash: str | None
    licence: str | None
    thumbnail_sha256: str | None
    sources: list[dict[str, str]] | None
    run_id: str | None
    step_id: str | None
    created_at: float
    deleted_at: float | None
    tags: tuple[str, ...]
    parents: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Give what clients see of it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self._shown()}

    def _shown(self) -> Iterable[tuple[str, Any]]:
        return ((name, getattr(self, name)) for name in SHOWN)


SHOWN = (
    "id",
    "kind",
    "media_type",
    "caption",
    "tags",
    "width",
    "height",
    "seconds",
    "seed",
    "recipe",
    "licence",
    "sha256",
    "size_bytes",
    "created_at",
    "run_id",
    "step_id",
    "parents",
    "sources",
)


@dataclass(frozen=True)
class Made:
    """Assets of one owner and where they come from: the step that made them, or neither run nor step (an upload)."""

    owner: str
    assets: Sequence[NewAsset]
    run_id: str | None = None
    step_id: str | None = None


def insert(
    connection: Connection,
    owner: str,
    made: Sequence[NewAsset],
    *,
    run_id: str | None = None,
    step_id: str | None = None,
    now: float,
) -> None:
    """Save assets with their tags, edges and vectors and, of a step, as its results in order."""
    insert_all(connection, [Made(owner, made, run_id, step_id)], now=now)


def insert_all(connection: Connection, made: Sequence[Made], *, now: float) -> None:
    """Save what several steps made, as `insert` does, in a handful of statements."""
    each = [(one, asset) for one in made for asset in one.assets]
    _insert(connection, assets, [_row(asset, one.owner, one.run_id, one.step_id, now) for one, asset in each])
    _insert(
        connection,
        asset_tags,
        [{"asset_id": asset.id, "tag": tag} for _, asset in each for tag in clean_tags(asset.tags)],
    )
    _insert(
        connection,
        asset_edges,
        [{"child_id": asset.id, "parent_id": parent} for _, asset in each for parent in dict.fromkeys(asset.parents)],
    )
    _insert(
        connection,
        vectors,
        [
            _vector_row(asset.id, one.owner, space, value)
            for one, asset in each
            for space, value in asset.vectors.items()
        ],
    )
    _insert(
        connection,
        step_assets,
        [
            {"step_id": one.step_id, "position": position, "asset_id": asset.id}
            for one in made
            if one.step_id is not None
            for position, asset in enumerate(one.assets)
        ],
    )


def link(connection: Connection, step_id: str, asset_ids: Sequence[str]) -> None:
    """Make assets (new ones, or ones that were found) the results of a step, in order."""
    _insert(
        connection,
        step_assets,
        [{"step_id": step_id, "position": position, "asset_id": id_} for position, id_ in enumerate(asset_ids)],
    )


def get(connection: Connection, owner: str, id_: str, *, deleted: bool = False) -> Asset | None:
    """Give an asset of the owner; one that is deleted only if `deleted`, for recipes still need it."""
    return next(iter(get_many(connection, owner, [id_], deleted=deleted)), None)


def get_many(connection: Connection, owner: str, ids: Sequence[str], *, deleted: bool = False) -> list[Asset]:
    """Give those of the ids that are the owner's and, unless `deleted`, not deleted, in the order of `ids`."""
    # Owner and deletion are compared here: SQLite would rather walk all of an owner's assets than look up ten ids.
    found = {
        asset.id: asset
        for asset in load(connection, BY_IDS, {"ids": list(ids)})
        if asset.owner == owner and (deleted or asset.deleted_at is None)
    }
    return [found[id_] for id_ in ids if id_ in found]


def of_step(connection: Connection, step_id: str) -> list[Asset]:
    """Give the results of a step, in order, also deleted ones."""
    query = (
        select(assets)
        .join(step_assets, step_assets.c.asset_id == assets.c.id)
        .where(step_assets.c.step_id == step_id)
        .order_by(step_assets.c.position)
    )
    return load(connection, query)


def by_sha256(connection: Connection, owner: str, sha256: str) -> Asset | None:
    """Give the owner's oldest asset with these bytes, also a deleted one: recipes refer to their inputs so."""
    query = select(assets).where(assets.c.sha256 == sha256, unindexed(assets.c.owner) == owner)
    return next(iter(load(connection, query.order_by(assets.c.created_at, assets.c.id).limit(1))), None)


def unindexed(column: Any) -> Any:
    """Give a column's value in a form that no index serves, so that SQLite uses that of another condition."""
    return func.coalesce(column, "")


def load(connection: Connection, query: Select[Any], parameters: Mapping[str, Any] | None = None) -> list[Asset]:
    """Give the assets of a query for rows of their table, with their tags and parents."""
    rows = connection.execute(query, parameters).all()
    ids = [row.id for row in rows]
    if not ids:
        return []
    tags, parents = _grouped(connection, TAGS_OF, ids), _grouped(connection, PARENTS_OF, ids)
    return [_asset(row, tags.get(row.id, ()), parents.get(row.id, ())) for row in rows]


def vector(connection: Connection, asset_id: str, space: str) -> np.ndarray | None:
    """Give an asset's vector in a space, float32."""
    row = connection.execute(
        select(vectors.c.shape, vectors.c.content).where(vectors.c.asset_id == asset_id, vectors.c.space == space)
    ).one_or_none()
    return None if row is None else from_bytes(row.content, row.shape)


def latents(connection: Connection, asset_id: str, space: str = VAE_LATENTS) -> np.ndarray | None:
    """Give an asset's latents, or those of another asset of its owner with the same bytes.

    A recipe names an input by its bytes, so equal bytes (a picture of ours that was uploaded again) must mean
    equal latents.
    """
    own = vector(connection, asset_id, space)
    if own is not None:
        return own
    this, twin = assets.alias(), assets.alias()
    row = connection.execute(
        select(vectors.c.shape, vectors.c.content)
        .join(twin, twin.c.id == vectors.c.asset_id)
        .join(this, and_(this.c.sha256 == twin.c.sha256, this.c.owner == twin.c.owner))
        .where(this.c.id == asset_id, vectors.c.space == space)
        .order_by(twin.c.created_at, twin.c.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else from_bytes(row.content, row.shape)


def set_tags(connection: Connection, owner: str, id_: str, tags: Sequence[str]) -> Asset:
    """Replace an asset's tags.

    Raises:
        UnknownAsset: it is no asset of the owner.
    """
    if get(connection, owner, id_) is None:
        raise UnknownAsset(f"no asset {id_!r}")
    connection.execute(sql_delete(asset_tags).where(asset_tags.c.asset_id == id_))
    _insert(connection, asset_tags, [{"asset_id": id_, "tag": tag} for tag in clean_tags(tags)])
    changed = get(connection, owner, id_)
    assert changed is not None  # noqa: S101  (it was there in this transaction)
    return changed


def delete(connection: Connection, owner: str, id_: str, *, now: float) -> bool:
    """Take an asset out of lists and search; its row, bytes and latents stay for the recipes made from it.

    Returns:
        False if it is no asset of the owner, or was deleted before.
    """
    changed = connection.execute(
        update(assets)
        .where(assets.c.id == id_, assets.c.owner == owner, assets.c.deleted_at.is_(None))
        .values(deleted_at=now)
    )
    if changed.rowcount == 0:
        return False
    connection.execute(sql_delete(vectors).where(vectors.c.asset_id == id_, vectors.c.space.not_like(f"{LATENTS}%")))
    return True


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Give tags as they are stored and compared: lower case, trimmed, each once, none empty."""
    return list(dict.fromkeys(tag for raw in tags if (tag := raw.strip().lower()[:TAG_CHARACTERS])))


def to_bytes(value: np.ndarray) -> bytes:
    """Give a vector as it is stored: float32, little endian, C order."""
    return np.ascontiguousarray(value, dtype="<f4").tobytes()


def from_bytes(content: bytes, shape: Sequence[int]) -> np.ndarray:
    """Give a stored vector back, writable."""
    return np.frombuffer(content, dtype="<f4").reshape(shape).astype(np.float32)


def _insert(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sql_insert(table), rows)


def _row(asset: NewAsset, owner: str, run_id: str | None, step_id: str | None, now: float) -> dict[str, Any]:
    return {
        "id": asset.id,
        "owner": owner,
        "kind": asset.kind,
        "media_type": asset.media_type,
        "sha256": asset.sha256,
        "size_bytes": asset.size_bytes,
        "caption": asset.caption,
        "width": asset.width,
        "height": asset.height,
        "seconds": asset.seconds,
        "seed": asset.seed,
        "recipe": None if asset.recipe is None else dict(asset.recipe),
        "weights_hash": asset.weights_hash,
        "licence": asset.licence,
        "thumbnail_sha256": asset.thumbnail_sha256,
        "sources": [dict(source) for source in asset.sources] or None,
        "run_id": run_id,
        "step_id": step_id,
        "created_at": now,
    }


def _vector_row(asset_id: str, owner: str, space: str, value: np.ndarray) -> dict[str, Any]:
    content = to_bytes(value)
    return {
        "asset_id": asset_id,
        "space": space,
        "owner": owner,
        "shape": list(value.shape),
        "content": content,
        "digest": hashlib.sha256(content).hexdigest()[:32],
        "indexed_at": NEVER_INDEXED if space.startswith(LATENTS) else None,
    }


def _grouped(connection: Connection, query: Select[Any], ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for id_, name in connection.execute(query, {"ids": ids}):
        found[id_] = (*found.get(id_, ()), name)
    return found


def _asset(row: Row[Any], tags: tuple[str, ...], parents: tuple[str, ...]) -> Asset:
    return Asset(**row._mapping, tags=tags, parents=parents)
