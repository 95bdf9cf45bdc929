"""Search finds what is there, at once, whatever state the index is in."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from sqlalchemy import select

from store import assets, probe, search
from store.database import Database
from store.index import ChromaIndex, ExactIndex, Index, IndexDownError
from store.library import Filter
from store.search import Hit
from store.tables import vectors
from tests.store.conftest import SPACE, ChromaServer, Save, new_asset

DIM = 24
Find = Callable[..., list[Hit]]


def unit(*weights: float) -> np.ndarray:
    made = np.zeros(DIM, np.float32)
    made[: len(weights)] = weights
    unit: np.ndarray = made / np.linalg.norm(made)
    return unit


def ids(hits: list[Hit]) -> list[str]:
    return [hit.asset.id for hit in hits]


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the index be asked however few vectors there are."""
    monkeypatch.setattr(search, "FEW_ROWS", 0)


@pytest.fixture
def find(database: Database, index: Index) -> Find:
    def ask(vector: np.ndarray | None = None, owner: str = "ann", **fields: object) -> list[Hit]:
        given = {"index": index, **fields}
        wanted = Filter(**{name: given.pop(name) for name in ("kind", "tags") if name in given})  # type: ignore[arg-type]
        return search.search(
            database,
            given.pop("index"),  # type: ignore[arg-type]
            owner=owner,
            space=SPACE,
            vector=vector,
            wanted=wanted,
            **given,  # type: ignore[arg-type]
        )

    return ask


def test_what_was_just_made_is_found_before_and_after_it_is_indexed(
    database: Database, index: Index, save: Save, find: Find
) -> None:
    cat, dog, car = save(vector=unit(1)), save(vector=unit(1, 1)), save(vector=unit(0, 0, 1))
    before = find(unit(1), limit=2)
    assert search.push_pending(database, index) == 3
    assert search.push_pending(database, index) == 0
    bird = save(vector=unit(1, 0.1))
    after = find(unit(1), limit=3)
    assert ids(before) == [cat, dog]
    assert ids(after) == [cat, bird, dog]
    assert [hit.score for hit in before] == pytest.approx([1, 0.7071], abs=1e-4)
    assert -1 <= find(unit(-1), limit=9)[-1].score <= -0.999
    assert car in ids(find(unit(1), limit=9))


def test_a_query_vector_may_have_any_length(save: Save, find: Find) -> None:
    cat = save(vector=unit(1))
    hits = find(7 * unit(1))
    assert ids(hits) == [cat]
    assert hits[0].score == pytest.approx(1)
    with pytest.raises(ValueError, match="not zero"):
        find(np.zeros(DIM, np.float32))


def test_others_and_deleted_assets_are_not_found(database: Database, index: Index, save: Save, find: Find) -> None:
    mine, gone = save(vector=unit(1)), save(vector=unit(1, 0.1))
    save("bob", vector=unit(1))
    search.push_pending(database, index)
    database.transact(lambda connection: assets.delete(connection, "ann", gone, now=9.0))
    assert ids(find(unit(1))) == [mine]
    assert find(unit(1), owner="eve") == []


def test_hits_of_an_index_that_is_wrong_are_checked(database: Database, index: Index, save: Save, find: Find) -> None:
    mine, bobs = save(vector=unit(1, 1)), save("bob", vector=unit(1))
    search.push_pending(database, index)
    with database.read() as connection:
        digests = [row.digest for row in connection.execute(select(vectors).where(vectors.c.asset_id == bobs))]
    index.upsert("ann", SPACE, [*digests, "never there"], np.stack([unit(1), unit(1)]))
    assert ids(find(unit(1), limit=1)) == [mine]


def test_filters_by_kind_and_tags(database: Database, index: Index, save: Save, find: Find) -> None:
    save(vector=unit(1), tags=["cat"])
    clip = save(vector=unit(1, 1), kind="video", tags=["cat", "loop"])
    search.push_pending(database, index)
    assert ids(find(unit(1), kind="video")) == [clip]
    assert ids(find(unit(1), tags=["Loop", "cat"])) == [clip]
    assert find(unit(1), kind="audio") == []


def test_filters_that_leave_many_ask_the_index_for_more(
    database: Database, index: Index, save: Save, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "EXACT_ROWS", 3)
    draw = np.random.default_rng(0)
    near = [new_asset(vectors={SPACE: unit(1, *draw.normal(0, 0.01, 3))}) for _ in range(100)]
    far = [new_asset(kind="video", vectors={SPACE: unit(0, *draw.normal(0, 1, 4))}) for _ in range(10)]
    database.transact(lambda connection: assets.insert(connection, "ann", [*near, *far], now=1.0))
    search.push_pending(database, index)
    assert set(ids(find(unit(1), kind="video", limit=10))) == {asset.id for asset in far}
    monkeypatch.setattr(search, "WIDEST_ASK", 20)
    assert set(ids(find(unit(1), kind="video", limit=10))) == {asset.id for asset in far}


def test_equal_vectors_are_one_entry_of_the_index(
    database: Database, index: Index, save: Save, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = [save(vector=unit(1)) for _ in range(30)]
    clip = save(vector=unit(1), kind="video")
    near = save(vector=unit(1, 0.1))
    search.push_pending(database, index)
    assert index.count("ann", SPACE) == 2
    assert ids(find(unit(1), limit=5)) == [clip, *twins[:-5:-1]]
    assert ids(find(unit(1), limit=40)) == [clip, *twins[::-1], near]
    assert ids(find(unit(1), kind="video")) == [clip]
    monkeypatch.setattr(search, "MANY_ROWS", 8)
    assert ids(find(unit(1), limit=5, exclude=[clip])) == twins[:-6:-1]
    assert ids(find(unit(1), limit=40)) == [clip, *twins[::-1], near]
    assert ids(find(unit(1), kind="video")) == [clip]
    database.transact(lambda connection: assets.delete(connection, "ann", twins[-1], now=9.0))
    assert ids(find(unit(1), limit=2)) == [clip, twins[-2]]
    assert probe.check(database, index) is None


def test_without_a_vector_the_newest_come_first(save: Save, find: Find) -> None:
    old, new = save(tags=["cat"]), save(tags=["cat"])
    save(kind="video")
    hits = find(kind="image", tags=["cat"])
    assert ids(hits) == [new, old]
    assert [hit.score for hit in hits] == [0, 0]
    assert ids(find(kind="image", exclude=[new], limit=1)) == [old]


def test_what_is_excluded_does_not_take_a_place(database: Database, index: Index, save: Save, find: Find) -> None:
    made = [save(vector=unit(1, number / 10)) for number in range(4)]
    search.push_pending(database, index)
    assert ids(find(unit(1), exclude=made[:1], limit=2)) == made[1:3]
    assert ids(find(unit(1), exclude=made[:1], limit=2, index=None)) == made[1:3]


class Down(ExactIndex):
    """An index that is away."""

    def query(self, *_: object) -> list[tuple[str, float]]:
        raise IndexDownError("the index at nowhere does not answer")

    upsert = query  # type: ignore[assignment]


def test_without_an_index_everything_is_compared(
    database: Database, index: Index, save: Save, find: Find, caplog: pytest.LogCaptureFixture
) -> None:
    made = [save(vector=unit(1, number / 10)) for number in range(4)]
    search.push_pending(database, index)
    with caplog.at_level(logging.WARNING):
        assert ids(find(unit(1), limit=2, index=Down())) == made[:2]
    assert "compares all vectors" in caplog.text
    assert ids(find(unit(1), limit=2, index=None)) == made[:2]


def test_few_vectors_are_all_compared_whatever_the_index_says(
    database: Database, save: Save, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [save(vector=unit(1)), save(vector=unit(0.9, 0.1)), save(vector=unit(0, 1))]
    database.transact(lambda connection: search.mark_indexed(connection, search.pending(connection), 1.0))
    assert find(unit(1), limit=3, index=ExactIndex()) == []
    monkeypatch.setattr(search, "FEW_ROWS", 3)
    assert ids(find(unit(1), limit=3, index=ExactIndex())) == made


def test_what_an_index_that_is_away_did_not_take_stays_pending(database: Database, save: Save, find: Find) -> None:
    cat = save(vector=unit(1))
    with pytest.raises(IndexDownError):
        search.push_pending(database, Down())
    with database.read() as connection:
        assert [row.asset_id for row in search.pending(connection)] == [cat]


def test_latents_are_never_indexed(database: Database, index: Index) -> None:
    made = new_asset(vectors={assets.VAE_LATENTS: np.ones(4), SPACE: unit(1)})
    database.transact(lambda connection: assets.insert(connection, "ann", [made], now=1.0))
    assert search.push_pending(database, index) == 1
    assert search.rebuild(database, index) == 1
    assert index.count("ann", assets.VAE_LATENTS) == 0


def test_a_lost_index_is_rebuilt(database: Database, index: Index, save: Save, find: Find) -> None:
    made = [save(vector=unit(1, number / 10)) for number in range(5)]
    save("bob", vector=unit(1))
    search.push_pending(database, index)
    index.drop()
    assert ids(find(unit(1))) == []  # it is not behind, it is wrong: only a probe can tell
    assert probe.check(database, index) is not None
    told: list[tuple[int, int]] = []
    assert probe.ensure(database, index, on_progress=lambda done, total: told.append((done, total))) is not None
    assert told[-1] == (6, 6)
    assert ids(find(unit(1))) == made
    assert probe.check(database, index) is None


@pytest.mark.parametrize("wrong", ["missing", "stale", "other"])
def test_the_probe_sees(wrong: str, database: Database, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    index = ExactIndex()
    for number in range(5):
        save(vector=unit(1, number / 10))
    search.push_pending(database, index)
    assert probe.check(database, index) is None
    with database.read() as connection:
        digests = list(connection.execute(select(vectors.c.digest)).scalars())
    if wrong == "missing":
        index.drop()
        index.upsert("ann", SPACE, digests[:4], np.stack([unit(1)] * 4))
    elif wrong == "stale":
        monkeypatch.setattr(probe, "STALE_ROWS", 2)
        index.upsert("ann", SPACE, [f"old{number}" for number in range(9)], np.stack([unit(0, 0, 1)] * 9))
    else:
        index.upsert("ann", SPACE, digests, np.stack([unit(0, 0, 1)] * 5))
    assert probe.check(database, index) is not None


@pytest.fixture
def small(sqlite_url: str) -> Iterator[Database]:
    made = Database(sqlite_url)
    vectors = [new_asset(vectors={SPACE: unit(1, number / 10)}) for number in range(5)]
    made.transact(lambda connection: assets.insert(connection, "ann", vectors, now=1.0))
    yield made
    made.close()


def test_the_probe_ends_when_the_server_hangs(small: Database) -> None:
    search.push_pending(small, ExactIndex())
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        found = probe.probe(small, ChromaIndex("127.0.0.1", deaf.getsockname()[1]), timeout_s=2)
    assert found is not None
    assert "2 s" in found


def test_the_index_survives_a_kill(small: Database, tmp_path_factory: pytest.TempPathFactory) -> None:
    server = ChromaServer(tmp_path_factory.mktemp("killed"))
    chroma = ChromaIndex("127.0.0.1", server.port)
    search.push_pending(small, chroma)

    def find() -> list[str]:
        return ids(search.search(small, chroma, owner="ann", space=SPACE, vector=unit(1)))

    before = find()
    server.kill()
    assert find() == before
    server.start()
    assert probe.probe(small, chroma) is None
    assert find() == before
    assert len(before) == 5
    chroma.close()
    server.kill()


def test_searching_brings_no_network_library_with_it() -> None:
    code = (
        "import sys; import store.search, store.probe; assert 'chromadb' not in sys.modules\n"
        "from store.index import ChromaIndex, IndexDownError\n"
        "try: ChromaIndex('127.0.0.1', 1, timeout_s=1).count('ann', 'text/x')\n"
        "except IndexDownError: pass\n"
        "else: raise AssertionError\n"
        "import chromadb\n"
        "assert not {'torch', 'onnxruntime', 'transformers', 'sklearn'} & set(sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
