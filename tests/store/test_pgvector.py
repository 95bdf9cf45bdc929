"""The index in PostgreSQL: its graph, its errors, and others beside it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from store import pgvector as module
from store import probe, search
from store.database import Database
from store.index import IndexDownError, nearest
from store.pgvector import PgVectorIndex
from tests.store.conftest import SPACE, Save
from tests.store.test_index import units


@pytest.fixture
def drawn_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small table have a graph."""
    monkeypatch.setattr(module, "GRAPH_ROWS", 100)


def around(topics: int, rows: int) -> np.ndarray:
    """Draw unit vectors that lie around topics, as captions do."""
    drawn = np.random.default_rng(1)
    made = units(topics, 32)[drawn.integers(0, topics, rows)] + 0.15 * drawn.standard_normal((rows, 32))
    unit: np.ndarray = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.mark.usefixtures("drawn_early")
def test_a_graph_finds_what_comparing_with_all_finds(pgvector: PgVectorIndex) -> None:
    vectors = around(60, 3000)
    ids = [f"a{number}" for number in range(3000)]
    for start in range(0, 3000, 400):
        pgvector.upsert("ann", SPACE, ids[start : start + 400], vectors[start : start + 400])
    pgvector.upsert("bob", SPACE, ids[:5], -vectors[:5])
    found = true = 0
    for asked in vectors[::60]:
        wanted = {id_ for id_, _ in nearest(ids, vectors, asked, 10)}
        found += len(wanted & {id_ for id_, _ in pgvector.query("ann", SPACE, asked, 10)})
        true += len(wanted)
    assert found / true >= 0.99
    assert len(pgvector.query("ann", SPACE, vectors[0], 1500)) == 1500  # more than a graph gives at first
    assert len(pgvector.query("bob", SPACE, vectors[0], 10)) == 5


@pytest.mark.usefixtures("drawn_early")
def test_several_processes_fill_it_at_once(pgvector: PgVectorIndex) -> None:
    vectors = units(800, 16)
    broken: list[Exception] = []

    def push(part: slice) -> None:
        try:
            pgvector.upsert("ann", SPACE, [f"a{number}" for number in range(800)][part], vectors[part])
        except IndexDownError as error:
            broken.append(error)

    threads = [threading.Thread(target=push, args=(slice(start, start + 200),)) for start in range(0, 800, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    assert pgvector.count("ann", SPACE) == 800


def test_another_process_may_drop_it(pgvector: PgVectorIndex, pgvector_url: str) -> None:
    vectors = units(2)
    pgvector.upsert("ann", SPACE, ["a"], vectors[:1])
    other = PgVectorIndex(pgvector_url, schema=pgvector.schema)
    other.drop()
    other.close()
    assert pgvector.query("ann", SPACE, vectors[0], 1) == []
    pgvector.upsert("ann", SPACE, ["b"], vectors[1:])
    assert pgvector.count("ann", SPACE) == 1


def test_it_is_looked_at_and_filled_again(database: Database, pgvector: PgVectorIndex, save: Save) -> None:
    vector = units(1)[0]
    asset_id = save(vector=vector)
    search.push_pending(database, pgvector)
    assert probe.probe(database, pgvector) is None
    pgvector.drop()
    assert "0 of 1" in str(probe.ensure(database, pgvector))
    hits = search.search(database, pgvector, owner="ann", space=SPACE, vector=vector)
    assert [hit.asset.id for hit in hits] == [asset_id]


def test_a_postgresql_without_it_says_what_to_do(postgresql_url: str) -> None:
    server = create_engine(postgresql_url)
    with server.connect() as connection:
        offered = connection.execute(text("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")).first()
    server.dispose()
    if offered is not None:
        pytest.skip("this PostgreSQL has pgvector")
    index = PgVectorIndex(postgresql_url)
    with pytest.raises(IndexDownError, match="has no pgvector: install it"):
        index.upsert("ann", SPACE, ["a"], units(1))
    index.close()


def test_a_user_who_may_not_add_it_is_told_who_may(pgvector_url: str) -> None:
    server = create_engine(pgvector_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE studio LOGIN")
        connection.exec_driver_sql("CREATE DATABASE plain OWNER postgres")
    index = PgVectorIndex(pgvector_url.replace("postgres@", "studio@").replace("/postgres", "/plain"))
    with pytest.raises(IndexDownError, match="CREATE EXTENSION vector"):
        index.upsert("ann", SPACE, ["a"], units(1))
    index.close()
    server.dispose()


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    index = PgVectorIndex("postgresql+psycopg://studio:secret@127.0.0.1:9/none", timeout_s=2)
    with pytest.raises(IndexDownError, match=r"127\.0\.0\.1:9") as caught:
        index.query("ann", SPACE, units(1)[0], 1)
    assert "secret" not in str(caught.value)
    index.close()
