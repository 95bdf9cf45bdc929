"""A backup brings everything back: on either database, in either blob store, taken while others write."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from store import archive, rows, schema, tables
from store.archive import ArchiveError
from store.blobs import Blobs, BlobsDown
from store.database import Database
from tests.store.conftest import New
from tests.store.filling import CONTENTS, NAMES, fill


@pytest.fixture
def full(new_sqlite: New) -> Database:
    made = new_sqlite()
    schema.migrate(made)
    made.transact(fill)
    return made


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    made = Blobs(tmp_path / "blobs")
    made.put_many(CONTENTS)
    return made


def digests(database: Database) -> dict[str, str]:
    with database.read() as connection:
        return {
            name: str(rows.digest_of(connection, shape)) for shape in rows.shapes(connection) for name in [shape.name]
        }


def sorted_rows(database: Database, table: sa.Table) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)


def test_everything_comes_back_on_another_database(
    full: Database, new: New, blobs: Blobs, tmp_path: Path, s3_url: str
) -> None:
    made, copied = archive.backup(full, blobs, str(tmp_path / "backups"), version="1")
    assert made.rows == 5 * (len(tables.metadata.tables) - 1)
    assert (copied.named, copied.new, copied.faults) == (5, 5, {})
    to, there = new(), Blobs(s3_url)
    archive.restore(to, there, str(tmp_path / "backups"))
    assert digests(to) == digests(full)
    for table in (tables.assets, tables.runs, tables.passages, tables.keys):
        assert sorted_rows(to, table) == sorted_rows(full, table)
    assert [there.get(name) for name in NAMES[:5]] == CONTENTS[:5]
    assert schema.is_current(to)


def test_and_from_postgresql_to_sqlite(new: New, new_sqlite: New, blobs: Blobs, s3_url: str) -> None:
    source, to = new(), new_sqlite()
    schema.migrate(source)
    source.transact(fill)
    archive.backup(source, blobs, s3_url, version="1")
    archive.restore(to, blobs, s3_url)
    assert digests(to) == digests(source)


def test_numbers_go_on_behind_what_came_back(full: Database, new: New, blobs: Blobs, tmp_path: Path) -> None:
    archive.backup(full, blobs, str(tmp_path / "b"), version="1")
    to = new()
    archive.restore(to, blobs, str(tmp_path / "b"))
    values = {"task": "step", "ref_id": "x", "queue": "image", "due_at": 1.0}
    to.transact(lambda c: c.execute(sa.insert(tables.outbox).values(**values)))
    with to.read() as connection:
        assert connection.execute(sa.select(sa.func.max(tables.outbox.c.id))).scalar() > 50


def test_the_index_takes_everything_again_and_nobody_is_there(
    full: Database, new: New, blobs: Blobs, tmp_path: Path
) -> None:
    full.transact(lambda c: c.execute(sa.update(tables.vectors).values(indexed_at=5.0)))
    full.transact(
        lambda c: c.execute(
            sa.update(tables.vectors).where(tables.vectors.c.asset_id == "assets_1").values(indexed_at=0.0)
        )
    )
    archive.backup(full, blobs, str(tmp_path / "b"), version="1")
    to = new()
    archive.restore(to, blobs, str(tmp_path / "b"))
    with to.read() as connection:
        indexed = dict(connection.execute(sa.select(tables.vectors.c.asset_id, tables.vectors.c.indexed_at)).all())
        assert connection.execute(sa.select(tables.workers)).all() == []
    assert indexed == {f"assets_{number}": 0.0 if number == 1 else None for number in range(5)}


def test_the_next_backup_copies_only_what_is_new(full: Database, blobs: Blobs, tmp_path: Path) -> None:
    place = str(tmp_path / "b")
    archive.backup(full, blobs, place, version="1")
    name = blobs.put(b"new")
    full.transact(lambda c: c.execute(sa.update(tables.batches).values(input_sha256=name)))
    second, copied = archive.backup(full, blobs, place, version="1")
    assert (copied.named, copied.new, copied.size_bytes) == (6, 1, 3)
    assert len(archive.Archive(place).names()) == 2
    assert archive.check(place) == (second, {})


def test_a_backup_that_broke_off_goes_on(full: Database, blobs: Blobs, s3_server, s3_url: str) -> None:  # type: ignore[no-untyped-def]
    puts = iter(range(1000))
    s3_server.fault = lambda r: (403, "AccessDenied") if r["REQUEST_METHOD"] == "PUT" and next(puts) > 20 else None
    with pytest.raises(BlobsDown):
        archive.backup(full, blobs, s3_url, version="1")
    assert archive.Archive(s3_url).names() == []
    there = Blobs(f"{s3_url}/blobs")
    assert sum(1 for number in range(256) for _ in there.names(f"{number:02x}")) > 0
    s3_server.fault = lambda _: None
    archive.backup(full, blobs, s3_url, version="1")
    assert archive.check(s3_url)[1] == {}


def test_only_an_empty_database_is_filled(full: Database, new: New, blobs: Blobs, tmp_path: Path) -> None:
    place = str(tmp_path / "b")
    archive.backup(full, blobs, place, version="1")
    to = new()
    schema.migrate(to)
    to.transact(lambda c: c.execute(sa.insert(tables.shares).values(owner="ann", served_at=1.0)))
    with pytest.raises(ArchiveError, match="not empty: it has rows in shares"):
        archive.restore(to, blobs, place)
    with to.read() as connection:
        assert rows.filled(connection) == ["shares"]


def test_a_damaged_backup_changes_nothing_and_is_found_beforehand(
    full: Database, new: New, blobs: Blobs, tmp_path: Path
) -> None:
    place = str(tmp_path / "b")
    made, _ = archive.backup(full, blobs, place, version="1")
    part = Blobs(f"{place}/blobs").path(made.tables["steps"]["parts"][0])
    assert part is not None
    part.write_bytes(b"rotten")
    assert list(archive.check(place)[1]) == [part.parent.name + part.name]
    to = new()
    with pytest.raises(ArchiveError, match="nothing was written"):
        archive.restore(to, blobs, place)
    with to.read() as connection:
        assert rows.filled(connection) == []


def test_a_blob_that_is_lost_is_told_and_does_not_stop_the_backup(
    full: Database, new: New, blobs: Blobs, tmp_path: Path
) -> None:
    blobs.remove(NAMES[0])
    made, _ = archive.backup(full, blobs, str(tmp_path / "b"), version="1")
    assert list(made.faults) == [NAMES[0]]
    to = new()
    archive.restore(to, Blobs(tmp_path / "elsewhere"), str(tmp_path / "b"))
    assert digests(to) == digests(full)


def test_an_older_backup_comes_back_through_the_migrations(
    new: New, new_sqlite: New, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = new_sqlite()
    schema.migrate(old, "0003")
    old.transact(fill)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "head", lambda: "0003")
        archive.backup(old, blobs, str(tmp_path / "b"), version="0")
    to = new()
    schema.migrate(to)
    archive.restore(to, blobs, str(tmp_path / "b"))
    assert schema.is_current(to)
    with to.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.runs)).scalar() == 5


def test_a_backup_of_a_newer_version_is_refused(full: Database, new: New, blobs: Blobs, tmp_path: Path) -> None:
    made, _ = archive.backup(full, blobs, str(tmp_path / "b"), version="9.9")
    path = tmp_path / "b" / "backups" / f"{made.name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "revision": "9999"}))
    with pytest.raises(ArchiveError, match=r"made by a newer version, 9\.9"):
        archive.restore(new(), blobs, str(tmp_path / "b"))
    with pytest.raises(ArchiveError, match="no backup 'other'"):
        archive.restore(new(), blobs, str(tmp_path / "b"), "other")


def test_a_database_of_an_older_schema_is_not_backed_up(new: New, blobs: Blobs, tmp_path: Path) -> None:
    old = new()
    schema.migrate(old, "0003")
    with pytest.raises(ArchiveError, match="atelier migrate"):
        archive.backup(old, blobs, str(tmp_path / "b"), version="1")


def test_rows_are_of_one_moment_while_others_write(new: New, new_sqlite: New, blobs: Blobs, tmp_path: Path) -> None:
    """A thread and its message are written together, all the time; no backup has one without the other."""
    source = new()
    schema.migrate(source)
    source.transact(lambda c: fill(c, 2))
    stop = threading.Event()

    def pair(number: int) -> Callable[[sa.Connection], None]:
        def write(connection: sa.Connection) -> None:
            thread = {"id": f"t{number}", "owner": "ann", "title": "", "created_at": 1.0}
            connection.execute(sa.insert(tables.threads).values(**thread))
            message = {"id": f"m{number}", "thread_id": f"t{number}", "role": "user", "content": "x", "created_at": 1.0}
            connection.execute(sa.insert(tables.messages).values(**message))

        return write

    def keep_writing() -> None:
        number = 0
        while not stop.is_set():
            source.transact(pair(number))
            number += 1

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for _ in range(3):
            time.sleep(0.1)
            archive.backup(source, blobs, str(tmp_path / "b"), version="1")
    finally:
        stop.set()
        writer.join()
    for name in archive.Archive(str(tmp_path / "b")).names():
        made = archive.Archive(str(tmp_path / "b")).manifest(name)
        assert made.tables["threads"]["rows"] == made.tables["messages"]["rows"]
        to = new_sqlite()
        archive.restore(to, blobs, str(tmp_path / "b"), name)
