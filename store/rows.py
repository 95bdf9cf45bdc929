"""Rows of every table in one portable form, out of SQLite or PostgreSQL and into either.

A row is a list of plain values in the order of the table's columns. JSON columns are the text that they are, so that
`null` stays apart from no value and nothing is written anew. What the search index has is left out: it is built again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, MetaData, Table, inspect

from store.database import Database
from store.tables import metadata

Row = list[Any]
PRESENCE = "workers"  # who is there now; means nothing elsewhere
BITE = 1000  # rows in memory at once
STREAMED: dict[str, Any] = {"stream_results": True, "yield_per": BITE}
DIGEST_BITS = 128


@dataclass(frozen=True)
class Shape:
    """A table as it is in a database: its columns, and which of them hold bytes."""

    name: str
    columns: tuple[str, ...]
    binary: frozenset[int]


class Digest:
    """A sum over the hashes of rows: equal for equal rows in any order."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, line: str) -> None:
        """Take one row in."""
        self._sum += int.from_bytes(hashlib.sha256(line.encode()).digest()[: DIGEST_BITS // 8], "big")
        self.rows += 1

    def __str__(self) -> str:
        return f"{self._sum % 2**DIGEST_BITS:032x}"


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """Give a connection that sees one state of the whole database, however long it reads, and stops nobody."""
    if database.is_sqlite:
        with database.read() as connection:
            connection.execute(sa.text("SELECT 1 FROM alembic_version")).all()  # the state is taken at the first read
            yield connection
        return
    with database.engine.connect() as plain:
        yield plain.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def shapes(connection: Connection, names: Iterable[str] = ()) -> list[Shape]:
    """Give the tables that a database has, parents before children.

    Args:
        names: of tables; none: those of the newest schema.
    """
    wanted = (set(names) or set(metadata.tables)) - {PRESENCE}
    return [_shape(table) for table in _reflected(connection, wanted).sorted_tables if table.name in wanted]


def ours(connection: Connection) -> set[str]:
    """Give the names of our tables that a database has."""
    return (set(metadata.tables) | {"alembic_version"}) & set(inspect(connection).get_table_names())


def filled(connection: Connection) -> list[str]:
    """Give the names of our tables that have rows."""
    kept = sorted(ours(connection) - {PRESENCE, "alembic_version"})
    return [name for name in kept if connection.execute(sa.text(f"SELECT 1 FROM {name} LIMIT 1")).first()]  # noqa: S608


def drop(connection: Connection) -> None:
    """Drop our tables."""
    _reflected(connection, ours(connection)).drop_all(connection)


def read(connection: Connection, shape: Shape) -> Iterator[Row]:
    """Read all rows of a table, a bite at a time."""
    table = _reflected(connection, {shape.name}).tables[shape.name]
    columns = [_plain(table.c[name]) for name in shape.columns]
    index = shape.columns.index("indexed_at") if shape.name == "vectors" else None
    for given in connection.execute(sa.select(*columns), execution_options=STREAMED):
        row = list(given)
        if index is not None and row[index]:  # 0 stays: such vectors are never indexed
            row[index] = None
        yield row


def write(connection: Connection, shape: Shape, rows: Iterable[Row]) -> None:
    """Write rows into an empty table.

    Raises:
        ValueError: one of them does not fit.
    """
    driver: Any = connection.connection.driver_connection
    names = ", ".join(shape.columns)
    try:
        if connection.dialect.name == "sqlite":
            holders = ", ".join("?" * len(shape.columns))
            remaining = iter(rows)
            while bite := list(islice(remaining, BITE)):
                driver.executemany(f"INSERT INTO {shape.name} ({names}) VALUES ({holders})", bite)  # noqa: S608
            return
        with driver.cursor() as cursor, cursor.copy(f"COPY {shape.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except _driver_errors(connection) as error:
        raise ValueError(f"a row of {shape.name!r} cannot be written: {error}") from error


def to_line(row: Row) -> str:
    """Give a row as one line of JSON; bytes are base64."""
    return json.dumps(row, separators=(",", ":"), default=_base64)


def from_line(line: str | bytes, shape: Shape) -> Row:
    """Give back what `to_line` made."""
    row: Row = json.loads(line)
    for number in shape.binary:
        if row[number] is not None:
            row[number] = base64.b64decode(row[number])
    return row


def digested(rows: Iterable[Row], digest: Digest) -> Iterator[Row]:
    """Pass rows on and take each into a digest."""
    for row in rows:
        digest.add(to_line(row))
        yield row


def digest_of(connection: Connection, shape: Shape) -> Digest:
    """Give the digest of all rows of a table."""
    digest = Digest()
    for _ in digested(read(connection, shape), digest):
        pass
    return digest


def set_counters(connection: Connection, shapes: Sequence[Shape]) -> None:
    """Let numbers that PostgreSQL gives go on behind the highest that there is; SQLite does so by itself."""
    if connection.dialect.name == "sqlite":
        return
    for shape in shapes:
        if "id" not in shape.columns:
            continue
        counter = sa.select(sa.func.pg_get_serial_sequence(shape.name, "id"))
        if (name := connection.execute(counter).scalar()) is not None:
            highest = sa.text(f"SELECT setval(:name, coalesce(max(id), 0) + 1, false) FROM {shape.name}")  # noqa: S608
            connection.execute(highest, {"name": name})


def _base64(value: bytes | memoryview) -> str:
    return base64.b64encode(value).decode()


def _reflected(connection: Connection, names: set[str]) -> MetaData:
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name in names, resolve_fks=False)
    return found


def _shape(table: Table) -> Shape:
    columns = list(table.columns)
    binary = frozenset(number for number, column in enumerate(columns) if isinstance(column.type, sa.LargeBinary))
    return Shape(table.name, tuple(column.name for column in columns), binary)


def _plain(column: sa.Column[Any]) -> Any:
    return sa.cast(column, sa.Text).label(column.name) if isinstance(column.type, sa.JSON) else column


def _driver_errors(connection: Connection) -> Any:
    return connection.dialect.loaded_dbapi.Error
