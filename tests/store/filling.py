"""Fills every table of a database, of whatever revision, with rows that the studio itself could have written."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, MetaData

from store.tables import metadata

CONTENTS = [f"content {number} \N{SNOWMAN}".encode() * 50 for number in range(7)]
NAMES = [hashlib.sha256(content).hexdigest() for content in CONTENTS]
WORDS = {
    "owner": "ann",
    "status": "completed",
    "role": "user",
    "kind": "image",
    "media_type": "image/png",
    "tool": "generate_image",
    "queue": "image",
    "task": "step",
    "type": "run.completed",
    "space": "text/test",
    "state": "approved",
    "source": "api",
    "origin": "upload",
    "family": "style",
    "shape": [2],
    "licence": "CC0",
    "deleted_at": None,
    "retired_at": None,
    "revoked_at": None,
    "expires_at": None,
}
OF_TABLE = {
    ("steps", "status"): "queued",
    ("runs", "status"): "in_progress",
    ("solutions", "owner"): None,
    ("solutions", "kind"): "knowledge",
}


def reflected(connection: Connection) -> MetaData:
    """Give our tables as they are in a database."""
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name in metadata.tables)
    return found


def fill(connection: Connection, rows: int = 5, known: MetaData | None = None) -> dict[str, int]:
    """Write rows into each of our tables, and give how many are in each.

    Args:
        known: the tables as whoever writes knows them; none: as they are.
    """
    counts = {}
    for table in (known or reflected(connection)).sorted_tables:
        connection.execute(sa.insert(table), [_row(table, number) for number in range(rows)])
        counts[table.name] = rows
    return counts


def _row(table: sa.Table, number: int) -> dict[str, Any]:
    given = {column.name: _value(table, column, number) for column in table.columns}
    if table.name in {"outbox", "solution_calls", "passages"}:
        given["id"] = 10 * (number + 1)
    return given


def _value(table: sa.Table, column: sa.Column[Any], number: int) -> Any:
    name = column.name
    if table.name == "shares" and name == "owner":
        return f"owner_{number}"
    if (table.name, name) in OF_TABLE:
        return OF_TABLE[table.name, name]
    if column.foreign_keys:
        parent = next(iter(column.foreign_keys)).column.table.name
        return None if parent == "batches" and table.name == "runs" and number % 2 else f"{parent}_{number}"
    if name == "id" or (column.primary_key and isinstance(column.type, sa.String) and name == "name"):
        return f"{table.name}_{number}"
    if name in {"run_id", "step_id"}:
        return f"{name[:-3]}s_{number}"
    if "sha256" in name and table.name != "keys":
        return NAMES[number % len(NAMES)]
    if name in WORDS and column.type.python_type is not bool:
        return WORDS[name]
    if column.nullable and number % 3 == 0:
        return None
    return _of_type(column.type, table.name, name, number)


def _of_type(kind: Any, table: str, name: str, number: int) -> Any:
    if isinstance(kind, sa.JSON):
        return {"what": f"caf\u00e9 \N{SNOWMAN} {number}", "deep": [None, 1.5, {"a": '\\u0000 " \t'}]}
    if isinstance(kind, sa.LargeBinary):
        return bytes(range(number, number + 8))
    if isinstance(kind, sa.Boolean):
        return number % 2 == 0
    if isinstance(kind, sa.BigInteger) or name == "seed":
        return 2**40 + number
    if isinstance(kind, sa.Integer):
        return number
    if isinstance(kind, (sa.Float, sa.Double)):
        return 1_700_000_000.1 + number / 3
    return f"{table} {name} \u00e9\N{SNOWMAN}\n{number}"[: getattr(kind, "length", None) or 200]
