"""Moving house: rows and blobs from one database and blob store into others.

Blobs go first and may take long; a move that broke off goes on behind them. Rows go in one transaction, which is
committed only when counts and digests agree on both sides, so the new database is empty or whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from store import naming, rows, schema
from store.archive import ArchiveError, make_room, refuse, require_current
from store.blobs import Blobs
from store.database import Database
from store.naming import Copied, Progress, quiet
from store.rows import Digest


@dataclass(frozen=True)
class House:
    """A database and its blob store."""

    database: Database
    blobs: Blobs


@dataclass(frozen=True)
class Moved:
    """What a move came to: rows by table, and what was copied of the blobs."""

    rows: dict[str, int]
    blobs: Copied
    before: bool = False  # all of it was there already


def move(source: House, to: House, tell: Progress = quiet, *, read_back: bool = True) -> Moved:
    """Copy everything into an empty house; the source is only read, and must not be worked on.

    Args:
        tell: hears what is done and how much of it.
        read_back: every blob is read again where it was brought, and checked against its name.

    Raises:
        ArchiveError: the new database is not empty, the source has an older schema, or the two do not agree.
        BlobsDown: a store cannot be reached; begin again later, and it goes on.
    """
    with rows.snapshot(source.database) as here:
        require_current(here)
        before = _is_same(here, to.database)
        if not before:
            make_room(to.database, schema.head())
        copied = naming.copy(source.blobs, to.blobs, naming.named(here), tell)
        refuse(copied.faults, source.blobs.url)
        if read_back:
            refuse(naming.faults(to.blobs, naming.named(here), tell), to.blobs.url)
        if before:
            with to.database.read() as there:
                return Moved(_counts(there), copied, before=True)
        counts = to.database.transact(lambda there: _carry(here, there, tell))
    return Moved(counts, copied)


def _carry(here: Connection, there: Connection, tell: Progress) -> dict[str, int]:
    shapes, counts = rows.shapes(here), {}
    for shape in shapes:
        sent = Digest()
        try:
            rows.write(there, shape, rows.digested(rows.read(here, shape), sent))
        except ValueError as error:
            raise ArchiveError(f"nothing was moved: {error}") from error
        kept = rows.digest_of(there, shape)
        if (sent.rows, str(sent)) != (kept.rows, str(kept)):
            raise ArchiveError(
                f"nothing was moved: {shape.name!r} has {kept.rows} rows of {sent.rows}, or not the same"
            )
        counts[shape.name] = sent.rows
        tell(f"rows of {shape.name}", sent.rows)
    rows.set_counters(there, shapes)
    return counts


def _is_same(here: Connection, database: Database) -> bool:
    """Say whether a move was done before: the same rows are there, and there are any."""
    with database.read() as there:
        if schema.revision(there) != schema.head() or not rows.filled(there):
            return False
        return all(str(rows.digest_of(here, one)) == str(rows.digest_of(there, one)) for one in rows.shapes(here))


def _counts(connection: Connection) -> dict[str, int]:
    return {shape.name: rows.digest_of(connection, shape).rows for shape in rows.shapes(connection)}
