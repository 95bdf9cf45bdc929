"""An upgrade keeps every row, from every earlier schema; and the release before works on the new schema for a while."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, String, Table, UniqueConstraint

from store import assets, library, passages, schema, steps, tables, transition, versions, views
from store.database import Database
from store.schema import config, migrate
from tests.store.conftest import New
from tests.store.filling import fill, reflected

RELEASED = "0003"  # the schema that the last release knows; its programs may run beside ours for one release
REVISIONS = sorted(file.name.split("_")[0] for file in (schema.MIGRATIONS / "versions").glob("[0-9]*_*.py"))


@pytest.fixture
def released(tmp_path: Path) -> Iterator[MetaData]:
    """Give the tables as the last release knows them."""
    old = Database(f"sqlite:///{tmp_path}/released.db")
    migrate(old, RELEASED)
    with old.read() as connection:
        yield reflected(connection)
    old.close()


def counts(database: Database, names: list[str]) -> dict[str, int]:
    with database.read() as connection:
        return {name: connection.execute(sa.text(f"SELECT count(*) FROM {name}")).scalar_one() for name in names}


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_row_is_there_after_an_upgrade_and_is_read(new: New, revision: str) -> None:
    database = new()
    migrate(database, revision)
    before = database.transact(fill)
    migrate(database)
    assert counts(database, list(before)) == before
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
        for number in range(5):
            asset = assets.get(connection, "ann", f"assets_{number}")
            assert asset is not None
            assert asset.caption == f"assets caption \u00e9\N{SNOWMAN}\n{number}"
            assert views.get(connection, "ann", f"runs_{number}")["status"] == "in_progress"
        assert len(library.list_(connection, "ann").data) == 5
        if revision >= "0003":
            assert len(versions.list_(connection, "ann")) == 5
            assert len(passages.listing(connection, "solutions_1")) == 1
    claims, _ = transition.run(
        database, lambda t: steps.claim(t, queues=["image"], worker="w", lease_s=9, batch_sizes={"generate_image": 8})
    )
    assert claims
    assert schema.is_current(database)


def test_what_the_last_release_writes_fits_the_new_schema(new: New, released: MetaData) -> None:
    database = new()
    migrate(database)
    written = database.transact(lambda connection: fill(connection, known=released))
    assert counts(database, list(written)) == written

    def change(connection: sa.Connection) -> None:
        for table in released.sorted_tables:
            others = [column for column in table.columns if not column.primary_key] or list(table.columns)
            changed = connection.execute(sa.update(table).values({column.name: column for column in others}))
            assert changed.rowcount == 5

    database.transact(change)
    with database.read() as connection:
        for table in released.sorted_tables:  # and it reads what we write
            assert len(connection.execute(sa.select(table)).all()) == 5
        assert assets.get(connection, "ann", "assets_1") is not None


def test_no_migration_takes_away_what_the_last_release_uses(new: New, released: MetaData) -> None:
    database = new()
    migrate(database)
    with database.read() as connection:
        assert taken(released, reflected(connection)) == []


def test_what_a_migration_may_not_do_is_seen() -> None:
    before, after = MetaData(), MetaData()
    for name in ("kept", "gone"):
        Table(name, before, Column("id", Integer, primary_key=True), Column("a", String(8)), Column("b", String(8)))
    Table(
        "kept",
        after,
        Column("id", Integer, primary_key=True),
        Column("a", String(4), nullable=False),
        Column("new", Integer, nullable=False),
        Column("fine", Integer, nullable=False, server_default="0"),
        Column("also", Integer),
        UniqueConstraint("a"),
    )
    assert taken(before, after) == [
        "table 'gone' is dropped or renamed",
        "'kept.a' does not take no value any more",
        "'kept.a' takes less than before",
        "'kept.b' is dropped or renamed",
        "'kept.new' is wanted and has no default",
        "'kept' does not take equal values of a any more",
    ]


def taken(before: MetaData, after: MetaData) -> list[str]:
    """Say what a release that knows the tables `before` can no longer do with those `after`."""
    found: list[str] = []
    for name, old in sorted(before.tables.items(), key=lambda item: item[0] in after.tables):
        new = after.tables.get(name)
        if new is None:
            found.append(f"table {name!r} is dropped or renamed")
            continue
        for column in old.columns:
            found += _narrowed(column, new.columns.get(column.name))
        found += [
            f"{f'{name}.{column.name}'!r} is wanted and has no default"
            for column in new.columns
            if column.name not in old.columns and not column.nullable and column.server_default is None
        ]
        found += [
            f"{name!r} does not take equal values of {', '.join(sorted(unique))} any more"
            for unique in sorted(_uniques(new) - _uniques(old), key=sorted)
            if unique <= set(old.columns.keys())
        ]
    return found


def _narrowed(old: Column[object], new: Column[object] | None) -> list[str]:
    name = repr(f"{old.table.name}.{old.name}")
    if new is None:
        return [f"{name} is dropped or renamed"]
    found = []
    if old.nullable and not new.nullable:
        found.append(f"{name} does not take no value any more")
    length, limit = getattr(old.type, "length", None), getattr(new.type, "length", None)
    if limit is not None and (length is None or limit < length):
        found.append(f"{name} takes less than before")
    return found


def _uniques(table: Table) -> set[frozenset[str]]:
    constraints = (one for one in table.constraints if isinstance(one, UniqueConstraint))
    indexes = (index for index in table.indexes if index.unique)
    return {frozenset(column.name for column in one.columns) for one in (*constraints, *indexes)}


def test_the_migrations_form_one_line() -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(config())
    assert [one.revision for one in script.walk_revisions()][::-1] == REVISIONS
    assert schema.head() == REVISIONS[-1]
    assert RELEASED in REVISIONS
