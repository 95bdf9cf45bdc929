"""Moving house: everything arrives, whatever breaks on the way, and nothing is mixed with what is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from store import moving, rows, schema, tables
from store.archive import ArchiveError
from store.blobs import Blobs
from store.moving import House
from tests.store.conftest import New
from tests.store.filling import CONTENTS, NAMES, fill
from tests.store.test_archive import digests


@pytest.fixture
def source(new_sqlite: New, tmp_path: Path) -> House:
    database, blobs = new_sqlite(), Blobs(tmp_path / "blobs")
    schema.migrate(database)
    database.transact(fill)
    blobs.put_many(CONTENTS)
    return House(database, blobs)


def test_a_house_moves_and_moves_back(source: House, new: New, new_sqlite: New, s3_url: str, tmp_path: Path) -> None:
    there, back = House(new(), Blobs(s3_url)), House(new_sqlite(), Blobs(tmp_path / "back"))
    told: list[str] = []
    moved = moving.move(source, there, lambda what, _: told.append(what))
    assert sum(moved.rows.values()) == 5 * (len(tables.metadata.tables) - 1)
    assert (moved.blobs.named, moved.blobs.new) == (5, 5)
    assert {"blobs", "blobs read back", "rows of assets"} <= set(told)
    moving.move(there, back)
    assert digests(source.database) == digests(there.database) == digests(back.database)
    assert [back.blobs.get(name) for name in NAMES[:5]] == CONTENTS[:5]


def test_a_second_move_sees_that_it_was_done(source: House, new: New, tmp_path: Path) -> None:
    there = House(new(), Blobs(tmp_path / "there"))
    assert not moving.move(source, there).before
    again = moving.move(source, there)
    assert again.before
    assert again.blobs.new == 0
    assert again.rows["assets"] == 5


def test_it_does_not_mix_with_what_is_there(source: House, new: New, tmp_path: Path) -> None:
    there = House(new(), Blobs(tmp_path / "there"))
    schema.migrate(there.database)
    there.database.transact(lambda c: c.execute(sa.insert(tables.shares).values(owner="eve", served_at=1.0)))
    with pytest.raises(ArchiveError, match="not empty"):
        moving.move(source, there)


def test_a_blob_that_is_lost_stops_it_before_a_row_is_written(source: House, new: New, tmp_path: Path) -> None:
    source.blobs.remove(NAMES[1])
    there = House(new(), Blobs(tmp_path / "there"))
    with pytest.raises(ArchiveError, match=NAMES[1]):
        moving.move(source, there)
    with there.database.read() as connection:
        assert rows.filled(connection) == []


def test_a_blob_that_arrived_otherwise_is_found(source: House, new: New, tmp_path: Path) -> None:
    there = House(new(), Blobs(tmp_path / "there"))
    path = there.blobs.path(there.blobs.put(CONTENTS[2]))
    assert path is not None
    path.write_bytes(b"rotten")
    with pytest.raises(ArchiveError, match="changed"):
        moving.move(source, there)


def test_a_row_that_postgresql_refuses_is_named(source: House, new: New, tmp_path: Path) -> None:
    source.database.transact(lambda c: c.execute(sa.update(tables.threads).values(owner="x" * 300)))
    there = House(new(), Blobs(tmp_path / "there"))
    if there.database.is_sqlite:
        pytest.skip("SQLite takes any length")
    with pytest.raises(ArchiveError, match="nothing was moved: a row of 'threads'"):
        moving.move(source, there)
    with there.database.read() as connection:
        assert rows.filled(connection) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from store import moving
from store.blobs import Blobs
from store.database import Database
from store.moving import House
left = int(sys.argv[5])
def tell(what, done):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
moving.move(House(Database(sys.argv[1]), Blobs(sys.argv[2])), House(Database(sys.argv[3]), Blobs(sys.argv[4])), tell)
"""


def test_killed_anywhere_it_goes_on(source: House, new: New, tmp_path: Path) -> None:
    there = House(new(), Blobs(tmp_path / "there"))
    places = [source.database.url, source.blobs.url, there.database.url, there.blobs.url]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    for left in (2, 9, 24):  # among the blobs, as they are read back, among the rows
        done = subprocess.run([sys.executable, "-c", KILLED, *places, str(left)], env=environment, check=False)
        assert done.returncode == -signal.SIGKILL
        with there.database.read() as connection:
            assert rows.filled(connection) == []
    moving.move(source, there)
    assert digests(there.database) == digests(source.database)


def test_many_rows_take_little_memory(new_sqlite: New, new: New, tmp_path: Path) -> None:
    source, there = House(new_sqlite(), Blobs(tmp_path / "a")), House(new(), Blobs(tmp_path / "b"))
    schema.migrate(source.database)
    one = {"owner": "ann", "title": "x" * 2000, "created_at": 1.0}
    source.database.transact(
        lambda c: c.execute(sa.insert(tables.threads), [{**one, "id": f"t{number}"} for number in range(10_000)])
    )
    import tracemalloc

    tracemalloc.start()
    moved = moving.move(source, there)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert moved.rows["threads"] == 10_000
    assert peak < 10_000_000  # the rows have 20 MB
