"""The schema that the migrations give is the one in `store/tables.py`, also for a library from before digests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text

from store import tables
from store.assets import to_bytes
from store.database import Database
from store.schema import config, is_current, migrate


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/old.db")
    yield made
    made.close()


def test_the_migrations_give_the_tables(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
        indexes = {index["name"] for index in inspect(connection).get_indexes("vectors")}
    assert {"ix_vectors_pending", "ix_vectors_owner_space_digest"} <= indexes
    assert is_current(database)


def test_a_library_from_before_gets_its_digests(empty: Database) -> None:
    made = config()

    def old(connection: object) -> None:
        made.attributes["connection"] = connection
        command.upgrade(made, "0001")
        connection.execute(  # type: ignore[attr-defined]
            text(
                "INSERT INTO assets (id, owner, kind, media_type, sha256, size_bytes, caption, created_at) "
                "VALUES ('a', 'ann', 'image', 'image/png', 'x', 1, 'cat', 1), "
                "('b', 'ann', 'image', 'image/png', 'y', 1, 'cat', 1)"
            )
        )
        rows = [
            {"asset_id": id_, "space": "text/x", "owner": "ann", "shape": [2], "content": to_bytes(np.ones(2))}
            for id_ in "ab"
        ]
        columns = ", ".join(rows[0])
        values = ", ".join(f":{name}" for name in rows[0])
        for row in rows:
            connection.execute(  # type: ignore[attr-defined]
                text(f"INSERT INTO vectors ({columns}) VALUES ({values})"), {**row, "shape": "[2]"}
            )

    empty.transact(old)
    migrate(empty)
    with empty.read() as connection:
        digests = list(connection.execute(select(tables.vectors.c.digest)).scalars())
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    assert len(digests) == 2
    assert len(set(digests)) == 1
    assert len(digests[0]) == 32
