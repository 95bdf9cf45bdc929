"""Which blobs the rows name, how named blobs are copied, and how those that nothing names are swept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby

import sqlalchemy as sa
from sqlalchemy import Connection, inspect

from store.blobs import BlobError, Blobs
from store.folder import SIDE_BY_SIDE
from store.rows import STREAMED

# (table, column, condition): every place that names a blob.
NAMES = (
    ("assets", "sha256", ""),
    ("assets", "thumbnail_sha256", ""),
    ("batches", "input_sha256", ""),
    ("documents", "sha256", "origin = 'upload'"),  # others lie in the folders of their solutions
    ("model_versions", "sha256", ""),
    ("checkpoints", "sha256", ""),
    ("files", "sha256", ""),
)
PREFIXES = tuple(f"{number:02x}" for number in range(256))
Progress = Callable[[str, int], None]  # what, and how many so far


def quiet(_what: str, _done: int) -> None:
    """Tell nobody."""


@dataclass
class Copied:
    """What came of copying: how many names there were, how many blobs were new, and which could not be read."""

    named: int = 0
    new: int = 0
    size_bytes: int = 0
    faults: dict[str, str] = field(default_factory=dict)


def named(connection: Connection) -> Iterator[str]:
    """Give the sha256 of every blob that a row names, each once, those with one prefix together."""
    there = set(inspect(connection).get_table_names())
    queries = [
        f"SELECT {column} AS sha256 FROM {table} WHERE {column} IS NOT NULL" + (f" AND {where}" if where else "")  # noqa: S608
        for table, column, where in NAMES
        if table in there
    ]
    for row in connection.execute(sa.text(" UNION ".join(queries) + " ORDER BY 1"), execution_options=STREAMED):
        yield row.sha256


def copy(source: Blobs, to: Blobs, names: Iterable[str], tell: Progress = quiet) -> Copied:
    """Copy blobs that are not there yet; each is checked against its name as it is read.

    Args:
        names: those with one prefix together.
    """
    done = Copied()

    def one(sha256: str) -> tuple[str, int | str]:
        try:
            content = source.get(sha256)
        except BlobError as error:
            return sha256, str(error)
        to.put(content)
        return sha256, len(content)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        for prefix, group in groupby(names, key=lambda name: name[:2]):
            there = {stored.sha256 for stored in to.names(prefix)}
            wanted = list(group)
            done.named += len(wanted)
            for sha256, result in threads.map(one, [name for name in wanted if name not in there]):
                if isinstance(result, str):
                    done.faults[sha256] = result
                else:
                    done.new += 1
                    done.size_bytes += result
            tell("blobs", done.named)
    return done


def faults(blobs: Blobs, names: Iterable[str], tell: Progress = quiet) -> dict[str, str]:
    """Read blobs back, and give what is wrong by name."""
    wrong: dict[str, str] = {}
    done = 0

    def one(sha256: str) -> tuple[str, str | None]:
        try:
            blobs.get(sha256)
        except BlobError as error:
            return sha256, str(error)
        return sha256, None

    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        for _, group in groupby(names, key=lambda name: name[:2]):
            for sha256, fault in threads.map(one, group):
                done += 1
                if fault is not None:
                    wrong[sha256] = fault
            tell("blobs read back", done)
    return wrong


def unnamed(connection: Connection, blobs: Blobs, before: float) -> Iterator[str]:
    """Give the blobs that no row names and that were last written before a time.

    Bytes are stored before the row that names them, so what is young may be named in a moment.
    """
    keep = groupby(named(connection), key=lambda name: name[:2])
    prefix, group = next(keep, ("", iter(())))
    for wanted in PREFIXES:
        names: set[str] = set()
        if prefix == wanted:
            names = set(group)
            prefix, group = next(keep, ("", iter(())))
        yield from (
            stored.sha256
            for stored in blobs.names(wanted)
            if stored.sha256 not in names and stored.modified_at < before
        )
