"""Where an asset came from, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, or_, select

from store.assets import Asset, UnknownAsset, get, load
from store.tables import asset_edges, assets


@dataclass(frozen=True)
class Lineage:
    """Where an asset came from and what came of it, oldest first; edges are (child, parent).

    Deleted assets stay in it: history does not change.
    """

    ancestors: list[Asset]
    descendants: list[Asset]
    edges: list[tuple[str, str]]

    def as_json(self) -> dict[str, Any]:
        """Give what clients see of it."""
        return {
            "ancestors": [asset.as_json() for asset in self.ancestors],
            "descendants": [asset.as_json() for asset in self.descendants],
            "edges": [{"child": child, "parent": parent} for child, parent in self.edges],
        }


def lineage(connection: Connection, owner: str, id_: str) -> Lineage:
    """Follow the edges from an asset in both directions.

    Raises:
        UnknownAsset: it is no asset of the owner.
    """
    if get(connection, owner, id_) is None:
        raise UnknownAsset(f"no asset {id_!r}")
    up = _reach(asset_edges.c.child_id, asset_edges.c.parent_id, id_, "up")
    down = _reach(asset_edges.c.parent_id, asset_edges.c.child_id, id_, "down")

    def reached(ids: Any) -> list[Asset]:
        query = select(assets).where(assets.c.id.in_(select(ids.c.id)), assets.c.id != id_, assets.c.owner == owner)
        return load(connection, query.order_by(assets.c.created_at, assets.c.id))

    ancestors, descendants = reached(up), reached(down)
    known = {id_, *(asset.id for asset in (*ancestors, *descendants))}
    rows = connection.execute(
        select(asset_edges.c.child_id, asset_edges.c.parent_id)
        .where(or_(asset_edges.c.child_id.in_(select(up.c.id)), asset_edges.c.parent_id.in_(select(down.c.id))))
        .order_by(asset_edges.c.child_id, asset_edges.c.parent_id)
    )
    edges = [(child, parent) for child, parent in rows if child in known and parent in known]
    return Lineage(ancestors, descendants, edges)


def _reach(here: Any, there: Any, id_: str, name: str) -> Any:
    """Give the ids that edges lead to from `id_`, itself included; UNION, so a loop ends."""
    start = select(assets.c.id).where(assets.c.id == id_).cte(name, recursive=True)
    return start.union(select(there).where(here == start.c.id))
