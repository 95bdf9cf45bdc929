"""Documents and passages in SQL: replaced whole, counted, removed, and a stamp that tells every change."""

from __future__ import annotations

import itertools
import threading
from functools import partial
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from store import passages, solutions
from store.database import Database
from store.passages import NewDocument, NewPassage
from store.tables import documents
from store.tables import passages as table

SPACE, DIM = "passages-1/text/x", 4


def vectors(*first: float) -> np.ndarray:
    made = np.zeros((len(first), DIM), np.float32)
    made[:, 0] = first
    return made


def new(path: str = "a.md", *texts: str, origin: str = "/docs", **fields: Any) -> NewDocument:
    made = [NewPassage(f"part {number}", text, vectors(1, 0.5)) for number, text in enumerate(texts)]
    given = {"sha256": "0" * 64, "size_bytes": 3, "modified_at": 5.0, "space": SPACE, "title": "A", **fields}
    return NewDocument(origin, path, passages=made, **given)


@pytest.fixture
def library(database: Database) -> Database:
    for name, owner in (("acme", None), ("bobs", "bob")):
        declared = {"kind": "knowledge", "owner": owner}
        database.transact(partial(solutions.declare, name=name, declaration=declared, source="api", now=1))
    return database


def save(database: Database, document: NewDocument, solution: str = "acme", now: float = 9.0) -> bool:
    return database.transact(lambda connection: passages.save(connection, solution, document, now))


def texts(database: Database, solution: str = "acme") -> list[str]:
    with database.read() as connection:
        return [one.content for one in passages.load(connection, solution, SPACE, DIM).stored]


def stamp(database: Database) -> tuple[int, int]:
    with database.read() as connection:
        return passages.stamp(connection, "acme", SPACE)


def test_what_is_saved_is_given_back_with_its_place_and_vectors(library: Database) -> None:
    assert save(library, new("a.md", "one", "two"))
    save(library, new("b.md", "other"), "bobs")
    with library.read() as connection:
        loaded = passages.load(connection, "acme", SPACE, DIM)
        (known,) = passages.listing(connection, "acme")
        other_space = passages.load(connection, "acme", "passages-1/text/y", DIM)
    assert [(one.document, one.title, one.place, one.content) for one in loaded.stored] == [
        ("a.md", "A", "part 0", "one"),
        ("a.md", "A", "part 1", "two"),
    ]
    assert loaded.vectors.tolist() == np.concatenate([vectors(1, 0.5)] * 2).tolist()
    assert loaded.vectors.dtype == np.float32
    assert loaded.counts.tolist() == [2, 2]
    assert (known.path, known.passages, known.read_at, known.error) == ("a.md", 2, 9.0, None)
    assert other_space.stored == []
    assert other_space.vectors.shape == (0, DIM)


def test_a_document_is_replaced_as_a_whole(library: Database) -> None:
    save(library, new("a.md", "old one", "old two"))
    save(library, new("b.md", "stays"))
    save(library, new("a.md", "new"))
    assert sorted(texts(library)) == ["new", "stays"]
    save(library, new("a.md", error="it is no text"))
    with library.read() as connection:
        failed = passages.listing(connection, "acme")[0]
    assert (failed.error, failed.passages) == ("it is no text", 0)
    assert texts(library) == ["stays"]


def test_every_change_gives_another_stamp(library: Database) -> None:
    seen = [stamp(library)]
    save(library, new("a.md", "one"))
    seen.append(stamp(library))
    save(library, new("a.md", "two"))
    seen.append(stamp(library))
    save(library, new("b.md", "three", "four"))
    seen.append(stamp(library))
    with library.read() as connection:
        ids = [one.id for one in passages.listing(connection, "acme")]
    assert library.transact(lambda connection: passages.remove(connection, "acme", ids[1:])) == 1
    seen.append(stamp(library))
    save(library, new("b.md", "five", "six"))  # as many as before, and none of the numbers again
    seen.append(stamp(library))
    assert all(before != after for before, after in itertools.pairwise(seen))
    assert seen[4] == seen[2]  # the same passages
    assert seen[5] != seen[3]
    assert stamp(library) == seen[-1]


def test_what_is_removed_takes_its_passages_along(library: Database) -> None:
    save(library, new("a.md", "one"))
    save(library, new("a.md", "bob's"), "bobs")
    with library.read() as connection:
        (bobs,) = passages.listing(connection, "bobs")
    assert library.transact(lambda connection: passages.remove(connection, "acme", [bobs.id])) == 0
    library.transact(lambda connection: solutions.remove(connection, "acme"))
    with library.read() as connection:
        assert connection.execute(select(table.c.solution)).scalars().all() == ["bobs"]
        assert connection.execute(select(documents.c.solution)).scalars().all() == ["bobs"]
    assert not save(library, new("a.md", "late"))  # a worker that still reads for a solution that is gone


def test_an_upload_is_known_before_it_is_read(library: Database) -> None:
    def upload(sha256: str, now: float) -> str:
        return library.transact(lambda c: passages.add_upload(c, "acme", "guide.pdf", sha256, 7, now))

    library.transact(lambda connection: solutions.saw(connection, "acme", (), "x", approve=True, now=1.0))
    first = upload("1" * 64, 1.0)
    with library.read() as connection:
        (waiting,) = passages.listing(connection, "acme")
        assert solutions.require(connection, "acme").checked_at is None  # its turn comes at once
    assert (waiting.origin, waiting.path, waiting.read_at, waiting.passages) == ("upload", "guide.pdf", 0.0, 0)
    save(library, new("guide.pdf", "one", origin="upload", sha256="1" * 64))
    assert upload("2" * 64, 2.0) == first
    with library.read() as connection:
        (again,) = passages.listing(connection, "acme")
    late = new("guide.pdf", "of the first bytes", origin="upload", sha256="1" * 64)
    assert not save(library, late)  # a worker that still reads what was replaced
    assert (again.read_at, again.sha256, again.passages) == (0.0, "2" * 64, 1)
    library.transact(lambda connection: passages.remove(connection, "acme", [first]))
    assert not save(library, new("guide.pdf", "late", origin="upload"))
    with pytest.raises(LookupError, match="no solution 'nobody'"):
        library.transact(lambda c: passages.add_upload(c, "nobody", "a.md", "1" * 64, 1, 1.0))


def test_owners_see_their_own_and_everyones(library: Database) -> None:
    library.transact(lambda c: solutions.declare(c, "looks", {"kind": "style"}, source="api", now=1))
    with library.read() as connection:
        assert passages.visible(connection, "ann") == ["acme"]
        assert passages.visible(connection, "bob") == ["acme", "bobs"]


def test_two_workers_that_save_the_same_document_leave_it_once(library: Database) -> None:
    start = threading.Barrier(2)
    failed: list[BaseException] = []

    def work(name: str) -> None:
        start.wait()
        try:
            for _ in range(10):
                save(library, new("a.md", f"{name} one", f"{name} two"))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with library.read() as connection:
        assert len(passages.listing(connection, "acme")) == 1
        assert passages.count(connection, "acme") == 2
        assert passages.count(connection, "acme", but=("/docs", "a.md")) == 0
    assert len({text[0] for text in texts(library)}) == 1
