"""One conformance suite over the real index and its stand-in."""

from __future__ import annotations

import numpy as np
import pytest

from store.index import ChromaIndex, Index, IndexDownError, nearest
from tests.store.conftest import SPACE, ChromaServer


def units(rows: int, dim: int = 24, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
    made: np.ndarray = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return made


def test_the_nearest_come_first_with_their_cosines(index: Index) -> None:
    vectors = units(50)
    ids = [f"asset_{number:02d}" for number in range(50)]
    index.upsert("ann", SPACE, ids, vectors)
    found = index.query("ann", SPACE, vectors[7], 5)
    cosines = vectors @ vectors[7]
    assert [id_ for id_, _ in found] == [ids[at] for at in np.argsort(-cosines)[:5]]
    np.testing.assert_allclose([score for _, score in found], np.sort(cosines)[::-1][:5], atol=1e-5)
    assert index.count("ann", SPACE) == 50


def test_nothing_is_found_where_nothing_was_taken(index: Index) -> None:
    assert index.query("nobody", SPACE, units(1)[0], 5) == []
    assert index.count("nobody", SPACE) == 0


def test_owners_and_spaces_are_apart(index: Index) -> None:
    vectors = units(3)
    index.upsert("ann", SPACE, ["a"], vectors[:1])
    index.upsert("bob", SPACE, ["b"], vectors[1:2])
    index.upsert("ann", "text/other", ["c"], vectors[2:])
    assert [id_ for id_, _ in index.query("ann", SPACE, vectors[1], 9)] == ["a"]
    assert [id_ for id_, _ in index.query("bob", SPACE, vectors[0], 9)] == ["b"]
    assert [id_ for id_, _ in index.query("ann", "text/other", vectors[0], 9)] == ["c"]


def test_taking_twice_replaces(index: Index) -> None:
    vectors = units(2)
    index.upsert("ann", SPACE, ["a", "b"], vectors)
    index.upsert("ann", SPACE, ["a"], vectors[1:])
    assert index.count("ann", SPACE) == 2
    assert index.query("ann", SPACE, vectors[1], 2)[1][1] == pytest.approx(1, abs=1e-5)


def test_more_may_be_asked_than_there_is(index: Index) -> None:
    vectors = units(3)
    index.upsert("ann", SPACE, ["a", "b", "c"], vectors)
    assert len(index.query("ann", SPACE, vectors[0], 100)) == 3


def test_a_dropped_index_is_empty_and_takes_again(index: Index) -> None:
    vectors = units(2)
    index.upsert("ann", SPACE, ["a", "b"], vectors)
    index.drop()
    assert index.query("ann", SPACE, vectors[0], 2) == []
    index.upsert("ann", SPACE, ["b"], vectors[1:])
    assert [id_ for id_, _ in index.query("ann", SPACE, vectors[0], 2)] == ["b"]


def test_many_rows_go_in_several_requests(chroma: ChromaIndex) -> None:
    vectors = units(2500, 8)
    chroma.upsert("ann", SPACE, [f"a{number}" for number in range(2500)], vectors)
    assert chroma.count("ann", SPACE) == 2500


def test_another_process_may_drop_it(chroma: ChromaIndex) -> None:
    vectors = units(2)
    chroma.upsert("ann", SPACE, ["a"], vectors[:1])
    other = ChromaIndex(chroma.host, chroma.port, prefix=chroma.prefix)
    other.drop()
    other.close()
    assert chroma.query("ann", SPACE, vectors[0], 1) == []
    chroma.upsert("ann", SPACE, ["b"], vectors[1:])
    assert chroma.count("ann", SPACE) == 1


def test_studios_that_share_a_server_do_not_drop_each_other(chroma: ChromaIndex) -> None:
    other = ChromaIndex(chroma.host, chroma.port, prefix=f"{chroma.prefix}b")
    other.upsert("ann", SPACE, ["a"], units(1))
    chroma.drop()
    assert other.count("ann", SPACE) == 1
    other.close()


def test_a_server_that_is_away_is_said_so_and_found_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = ChromaServer(tmp_path_factory.mktemp("away"))
    chroma = ChromaIndex("127.0.0.1", server.port)
    vectors = units(2)
    chroma.upsert("ann", SPACE, ["a", "b"], vectors)
    server.kill()
    for call in (
        lambda: chroma.query("ann", SPACE, vectors[0], 1),
        lambda: chroma.upsert("ann", SPACE, ["a"], vectors[:1]),
        lambda: chroma.count("ann", SPACE),
        chroma.drop,
    ):
        with pytest.raises(IndexDownError, match=str(server.port)):
            call()
    server.start()
    assert [id_ for id_, _ in chroma.query("ann", SPACE, vectors[0], 1)] == ["a"]
    chroma.close()
    server.kill()


def test_nothing_listens_there() -> None:
    chroma = ChromaIndex("127.0.0.1", 1)
    with pytest.raises(IndexDownError, match=r"127\.0\.0\.1:1"):
        chroma.count("ann", SPACE)
    chroma.close()


def test_a_server_that_hangs_counts_as_down() -> None:
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        chroma = ChromaIndex("127.0.0.1", deaf.getsockname()[1], timeout_s=0.3)
        with pytest.raises(IndexDownError):
            chroma.count("ann", SPACE)
        chroma.close()


def test_nearest_keeps_the_order_of_equals() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1], [1, 0]], np.float32)
    assert [id_ for id_, _ in nearest(["a", "b", "c", "d"], vectors, vectors[0], 3)] == ["a", "b", "d"]
    assert nearest([], np.zeros((0, 2), np.float32), vectors[0], 3) == []
