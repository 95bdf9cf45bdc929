"""Search by meaning: the index proposes, SQL decides.

The index may be behind, wrong, down or missing altogether. What it has not taken yet is compared here, each of its
hits is checked against SQL, and without it all vectors of the owner are compared.

Its entries are distinct vectors, named by their digest, and SQL knows the assets that have them: a thousand pictures
of one caption would otherwise be a thousand equal points, and a graph of neighbours loses its way among such.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, func, select, update

from store import assets, library
from store.assets import Asset
from store.database import Database
from store.index import Index, IndexDownError, nearest
from store.library import EVERYTHING, Filter
from store.tables import assets as assets_table
from store.tables import vectors

log = logging.getLogger(__name__)

TEXT_SPACES = "text/%"
FEW_ROWS = 1000  # an owner with no more vectors has them all compared: as fast as asking, and a graph of neighbours
# overlooks some of what is near where captions resemble each other
EXACT_ROWS = 2000  # a filter that leaves at most so many is answered by comparing with all of them
FIRST_ASK = 16
WIDER = 4
WIDEST_ASK = 2000  # past it, comparing with everything is as fast as asking
MANY_ROWS = 500  # assets with the vectors of one answer of the index
PUSH_ROWS = 512


@dataclass(frozen=True)
class Hit:
    """An asset that was found; `score` is the cosine in [-1, 1], or 0 where nothing was compared."""

    asset: Asset
    score: float


@dataclass(frozen=True)
class Pending:
    """A vector that the index has not taken yet."""

    asset_id: str
    owner: str
    space: str
    digest: str
    vector: np.ndarray


def search(
    database: Database,
    index: Index | None,
    *,
    owner: str,
    space: str,
    vector: np.ndarray | None,
    wanted: Filter = EVERYTHING,
    limit: int = 10,
    exclude: Sequence[str] = (),
) -> list[Hit]:
    """Find the owner's assets nearest to a vector, nearest first; without a vector the newest.

    Args:
        index: None where there is none to trust.
        vector: (D,) of any length above 0, in `space`.
        wanted: only assets that fit it.
        exclude: ids that are not wanted.
    """
    limit = max(1, limit)
    with database.read() as connection:
        if vector is None:
            return _newest(connection, owner, wanted, limit, exclude)
        looked = _Look(connection, owner, space, _unit(vector), wanted, limit, frozenset(exclude))
        if index is None or looked.is_small():
            return looked.exactly()
        try:
            return looked.through(index)
        except IndexDownError as error:
            log.warning("search compares all vectors of an owner: %s", error)
            return looked.exactly()


@dataclass(frozen=True)
class _Look:
    """One search under way."""

    connection: Connection
    owner: str
    space: str
    vector: np.ndarray
    wanted: Filter
    limit: int
    exclude: frozenset[str]

    def is_small(self) -> bool:
        """Say whether comparing with all vectors of the owner is as fast as asking an index."""
        own = select(vectors.c.asset_id).where(vectors.c.owner == self.owner, vectors.c.space == self.space)
        some = own.limit(FEW_ROWS + 1).subquery()
        return bool(self.connection.execute(select(func.count()).select_from(some)).scalar_one() <= FEW_ROWS)

    def exactly(self) -> list[Hit]:
        """Compare with every vector that fits."""
        query = select(vectors.c.asset_id, vectors.c.content).where(vectors.c.space == self.space)
        if self.wanted.is_open:
            query = query.where(vectors.c.owner == self.owner)
        else:
            query = query.where(vectors.c.asset_id.in_(self._matching()))
        return self._checked(self._compared(query, self.limit + len(self.exclude)))[: self.limit]

    def through(self, index: Index) -> list[Hit]:
        """Ask the index for more and more until enough of what it gives is right."""
        # Read before the index is asked: what it takes in between is then found twice rather than never.
        unindexed = select(vectors.c.asset_id, vectors.c.content).where(
            vectors.c.owner == self.owner, vectors.c.space == self.space, vectors.c.indexed_at.is_(None)
        )
        fresh = self._compared(self._fitting(unindexed))
        ask = max(FIRST_ASK, 2 * self.limit) + len(self.exclude)
        while ask <= WIDEST_ASK:
            proposed = index.query(self.owner, self.space, self.vector, ask)
            merged = {**dict(self._having(proposed)), **dict(fresh)}
            hits = self._checked(sorted(merged.items(), key=lambda found: -found[1]))
            if len(hits) >= self.limit or len(proposed) < ask:
                return hits[: self.limit]
            if self._is_selective():
                break
            ask *= WIDER
        return self.exactly()

    def _having(self, proposed: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
        """Give the assets, and their cosines, whose vectors have the proposed digests; of equal ones the newest."""
        scores = dict(proposed)
        rows = self._owning(list(scores)).limit(MANY_ROWS + 1)
        found = self.connection.execute(rows).all()
        if len(found) > MANY_ROWS:  # some vectors have very many assets: no more of each than can be wanted
            wanted = self.limit + len(self.exclude)
            found = [row for id_ in scores for row in self.connection.execute(self._owning([id_]).limit(wanted)).all()]
        return [(asset_id, scores[digest]) for asset_id, digest in found]

    def _owning(self, digests: list[str]) -> Any:
        query = (
            select(vectors.c.asset_id, vectors.c.digest)
            .where(vectors.c.owner == self.owner, vectors.c.space == self.space, vectors.c.digest.in_(digests))
            .order_by(vectors.c.asset_id.desc())
        )
        return self._fitting(query)

    def _fitting(self, query: Any) -> Any:
        """Narrow a query for vectors to those of what fits."""
        if self.wanted.is_open:
            return query
        query = query.join(assets_table, assets_table.c.id == vectors.c.asset_id)
        return query.where(*library.conditions(self.owner, self.wanted, by="row"))

    def _matching(self) -> Any:
        """Give the query for the ids of what fits the filter."""
        by = library.beginning(self.connection, self.wanted)
        return select(assets_table.c.id).where(*library.conditions(self.owner, self.wanted, by=by))

    def _is_selective(self) -> bool:
        """Say whether the filter leaves so few assets that comparing with all of them is fast."""
        if self.wanted.is_open:
            return False
        some = self._matching().limit(EXACT_ROWS + 1).subquery()
        return self.connection.execute(select(func.count()).select_from(some)).scalar_one() <= EXACT_ROWS

    def _compared(self, query: Any, limit: int | None = None) -> list[tuple[str, float]]:
        """Give ids of a query for (asset_id, content) with their cosines, nearest first, of equals the newest."""
        rows = sorted(self.connection.execute(query).all(), key=itemgetter(0), reverse=True)  # ids sort by time
        if not rows:
            return []
        ids, contents = zip(*rows, strict=True)
        matrix = np.frombuffer(b"".join(contents), "<f4").reshape(len(ids), -1)
        return nearest(ids, matrix, self.vector, limit or len(ids))

    def _checked(self, found: Sequence[tuple[str, float]]) -> list[Hit]:
        """Keep, in order, the assets that are there and the owner's; load no more than can be needed."""
        wanted = [(id_, score) for id_, score in found if id_ not in self.exclude]
        hits: list[Hit] = []
        for start in range(0, len(wanted), self.limit):
            some = dict(wanted[start : start + self.limit])
            loaded = assets.get_many(self.connection, self.owner, list(some))
            hits += [Hit(asset, _cosine(some[asset.id])) for asset in loaded]
            if len(hits) >= self.limit:
                break
        return hits


def pending(connection: Connection, limit: int = PUSH_ROWS) -> list[Pending]:
    """Give vectors that the index has not taken yet, of any owner."""
    rows = connection.execute(
        select(vectors)
        .where(vectors.c.indexed_at.is_(None), vectors.c.space.like(TEXT_SPACES))
        .order_by(vectors.c.asset_id)
        .limit(limit)
    )
    return [
        Pending(row.asset_id, row.owner, row.space, row.digest, assets.from_bytes(row.content, row.shape))
        for row in rows
    ]


def mark_indexed(connection: Connection, taken: Sequence[Pending], now: float) -> None:
    """Record that the index took vectors."""
    if taken:
        connection.execute(
            update(vectors)
            .where(vectors.c.asset_id == bindparam("of_id"), vectors.c.space == bindparam("of_space"))
            .values(indexed_at=now),
            [{"of_id": row.asset_id, "of_space": row.space} for row in taken],
        )


def push_pending(database: Database, index: Index, limit: int = PUSH_ROWS) -> int:
    """Hand the index what it has not taken yet, and give the number; doing it twice changes nothing.

    Raises:
        IndexDownError: the index does not answer; the vectors stay pending.
    """
    with database.read() as connection:
        rows = pending(connection, limit)
    groups: dict[tuple[str, str], list[Pending]] = {}
    for row in rows:
        groups.setdefault((row.owner, row.space), []).append(row)
    for (owner, space), group in groups.items():
        distinct = {row.digest: row.vector for row in group}
        index.upsert(owner, space, list(distinct), np.stack(list(distinct.values())))
        database.transact(lambda connection, group=group: mark_indexed(connection, group, time.time()))  # type: ignore[misc]
    return len(rows)


def rebuild(
    database: Database, index: Index, *, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> int:
    """Empty the index and fill it again from SQL; searches go on meanwhile and compare exactly.

    Args:
        on_progress: called with the vectors done and all of them.

    Returns:
        The number of vectors.

    Raises:
        IndexDownError: the index does not answer. If its server cannot start, delete its folder first: nothing
            is lost.
    """
    index.drop()
    text_vectors = vectors.c.space.like(TEXT_SPACES)
    database.transact(
        lambda connection: connection.execute(update(vectors).where(text_vectors).values(indexed_at=None))
    )
    with database.read() as connection:
        total = connection.execute(select(func.count()).select_from(vectors).where(text_vectors)).scalar_one()
    done = 0
    while pushed := push_pending(database, index):
        done += pushed
        on_progress(min(done, total), total)
    return done


def _newest(connection: Connection, owner: str, wanted: Filter, limit: int, exclude: Sequence[str]) -> list[Hit]:
    by = library.beginning(connection, wanted)
    query = (
        select(assets_table.c.id)
        .where(*library.conditions(owner, wanted, by=by), assets_table.c.id.not_in(exclude))
        .order_by(assets_table.c.created_at.desc(), assets_table.c.id.desc())
        .limit(limit)
    )
    ids = list(connection.execute(query).scalars())
    return [Hit(asset, 0.0) for asset in assets.get_many(connection, owner, ids)]


def _unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise ValueError("a vector to search with is finite and not zero")
    unit: np.ndarray = (np.asarray(vector, np.float64) / length).astype(np.float32)
    return unit


def _cosine(score: float) -> float:
    return min(1.0, max(-1.0, score))
