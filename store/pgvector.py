"""The search index in PostgreSQL with the extension pgvector, for who has PostgreSQL and wants no further server.

A table for each owner and space, as `ChromaIndex` has a collection for each: a filter inside one graph of neighbours
would cost recall. The tables make themselves and are not part of the migrations, because they can be filled again
from SQL at any time. A small table is compared with as a whole, which is exact; a larger one gets an HNSW graph.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from store.index import TIMEOUT_S, IndexDownError

T = TypeVar("T")
UPSERT_ROWS = 1000  # rows a statement
GRAPH_ROWS = 2000  # a table with more gets a graph
BULK_ROWS = 500  # after so many at once more will follow, and a graph of all is drawn much faster than one that grows
EF_SEARCH, MOST_EF_SEARCH = 100, 1000
# A graph is used where there is one, and is looked through further when a question wants more than was found at first.
SEARCHED = (
    "SET LOCAL enable_seqscan = off; SET LOCAL hnsw.iterative_scan = strict_order; "
    "SET LOCAL hnsw.max_scan_tuples = 1000000; SET LOCAL hnsw.ef_search = "
)
DRAWN = "SET LOCAL statement_timeout = 0; SET LOCAL maintenance_work_mem = '256MB'"
NOTHING_YET = {"42P01", "3F000", "42704"}  # no table, no schema, no type of vectors
NOT_ALLOWED = "42501"
NOT_INSTALLED = "has no pgvector: install it on its host (packages and images named pgvector), or choose index = chroma"
NOT_MADE = 'lets only a superuser add pgvector: run "CREATE EXTENSION vector" there once'


class PgVectorIndex:
    """An index in PostgreSQL; connects at the first call, and again after the server came back.

    Args:
        url: SQLAlchemy's, of a database that the index may make tables in.
        schema: where its tables lie, apart from all others.
        timeout_s: for each statement but the making of a graph.
    """

    def __init__(self, url: str, *, schema: str = "atelier_index", timeout_s: float = TIMEOUT_S) -> None:
        self.schema = schema
        self._limit = f"SET LOCAL statement_timeout = {int(timeout_s * 1000)}"
        options = {"connect_timeout": max(2, int(timeout_s))}
        self._engine = create_engine(url, pool_size=2, max_overflow=6, pool_pre_ping=True, connect_args=options)

    def upsert(self, owner: str, space: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Take vectors, (N, D) float32, or replace those with the same ids."""
        table = self._table(owner, space)
        for start in range(0, len(ids), UPSERT_ROWS):
            part = slice(start, start + UPSERT_ROWS)
            insert = partial(_insert, table=table, ids=ids[part], vectors=vectors[part])
            if self._ask(insert) is None:
                self._make(table, vectors.shape[1])
                self._ask(insert)
        if len(ids) < BULK_ROWS:
            self._ask(partial(_draw_graph, table=table))

    def query(self, owner: str, space: str, vector: np.ndarray, limit: int) -> list[tuple[str, float]]:
        """Give up to `limit` ids with their cosines, nearest first."""
        nearest = text(
            f"SELECT id, 1 - (vector <=> CAST(:vector AS vector)) FROM {self._table(owner, space)} "  # noqa: S608
            "ORDER BY vector <=> CAST(:vector AS vector) LIMIT :limit"
        )
        wide = min(MOST_EF_SEARCH, max(EF_SEARCH, limit))

        def ask(connection: Connection) -> list[tuple[str, float]]:
            connection.exec_driver_sql(f"{SEARCHED}{wide}")
            rows = connection.execute(nearest, {"vector": _said(vector), "limit": limit})
            return [(id_, float(cosine)) for id_, cosine in rows]

        return self._ask(ask) or []

    def count(self, owner: str, space: str) -> int:
        """Give the number of vectors taken."""
        counted = text(f"SELECT count(*) FROM {self._table(owner, space)}")  # noqa: S608  # a digest
        return int(self._ask(lambda connection: connection.execute(counted).scalar_one()) or 0)

    def drop(self) -> None:
        """Forget everything: drop the tables of our schema, each by itself, so that no number of them is too large."""
        listed = text("SELECT tablename FROM pg_tables WHERE schemaname = :schema")
        with self._translated():
            with self._engine.connect() as connection:
                names = list(connection.execute(listed, {"schema": self.schema}).scalars())
            for name in names:
                with self._engine.begin() as connection:
                    connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{self.schema}"."{name}"')

    def address(self) -> dict[str, Any] | None:
        """Give None: this client takes no process with it, so that nothing is asked from another one."""
        return None

    def close(self) -> None:
        """Close the connections; the next call opens them again."""
        self._engine.dispose()

    def _table(self, owner: str, space: str) -> str:
        return f'"{self.schema}"."v{hashlib.sha256(f"{owner}/{space}".encode()).hexdigest()[:40]}"'

    def _make(self, table: str, dim: int) -> None:
        def make(connection: Connection) -> None:
            _one_at_a_time(connection, self.schema)
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS vector")
            connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{self.schema}"')
            connection.exec_driver_sql(
                f"CREATE TABLE IF NOT EXISTS {table} (id text PRIMARY KEY, vector vector({dim}) NOT NULL)"
            )

        self._ask(make)

    def _ask(self, work: Callable[[Connection], T]) -> T | None:
        """Run `work` in a transaction; None where the table is not there."""
        with self._translated():
            try:
                with self._engine.begin() as connection:
                    connection.exec_driver_sql(self._limit)
                    return work(connection)
            except DBAPIError as error:
                if _state(error) in NOTHING_YET:
                    return None
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        where = f"in PostgreSQL at {self._engine.url.host}:{self._engine.url.port or 5432}"
        try:
            yield
        except DBAPIError as error:
            if 'extension "vector"' in str(error.orig):
                wrong = NOT_MADE if _state(error) == NOT_ALLOWED else NOT_INSTALLED
                raise IndexDownError(f"{where.removeprefix('in ')} {wrong}") from error
            raise IndexDownError(f"the index {where} does not answer: {error.orig}") from error
        except (SQLAlchemyError, OSError) as error:
            raise IndexDownError(f"the index {where} does not answer: {error}") from error


def _insert(connection: Connection, table: str, ids: Sequence[str], vectors: np.ndarray) -> int:
    insert = text(
        f"INSERT INTO {table} SELECT i, CAST(v AS vector) "  # noqa: S608  # a digest
        "FROM unnest(CAST(:ids AS text[]), CAST(:vectors AS text[])) AS rows(i, v) "
        "ON CONFLICT (id) DO UPDATE SET vector = excluded.vector"
    )
    taken = dict(zip(ids, vectors, strict=True))
    return connection.execute(insert, {"ids": list(taken), "vectors": [_said(v) for v in taken.values()]}).rowcount


def _draw_graph(connection: Connection, table: str) -> None:
    """Draw the graph of a table that has become large."""
    name = f"{table[:-1]}_graph" + '"'
    drawn = text("SELECT to_regclass(:name) IS NOT NULL")
    large = text(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {GRAPH_ROWS + 1}) AS first_rows")  # noqa: S608
    if connection.execute(drawn, {"name": name}).scalar_one() or connection.execute(large).scalar_one() <= GRAPH_ROWS:
        return
    connection.exec_driver_sql(DRAWN)
    _one_at_a_time(connection, table)
    connection.exec_driver_sql(
        f"CREATE INDEX IF NOT EXISTS {name.rpartition('.')[2]} ON {table} "
        "USING hnsw (vector vector_cosine_ops) WITH (ef_construction = 200)"
    )


def _said(vector: np.ndarray) -> str:
    """Write a vector as pgvector reads it."""
    return str(np.asarray(vector, np.float32).tolist())


def _one_at_a_time(connection: Connection, what: str) -> None:
    """Wait until no other process makes the same; PostgreSQL's IF NOT EXISTS alone fails where two come at once."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 8484))"), {"what": what})


def _state(error: DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state
