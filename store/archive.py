"""Backups of rows and blobs in a folder or any fsspec URL, taken while the studio works, and their way back.

A backup is one state of the rows and the blobs that they name. Blobs never change, so copying them after the state was
taken is as good as at that moment. Rows lie as blobs of the archive too: what is the same as in the last backup is
there already. A backup exists when its manifest does, and that is written last; a backup that broke off is begun again
and goes on behind what it had copied.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
from sqlalchemy import Connection

from store import naming, rows, schema
from store.blobs import BlobError, Blobs
from store.database import Database
from store.naming import Copied, Progress, quiet
from store.rows import Digest, Row, Shape

FORMAT = 1
PART_BYTES = 8 << 20  # of lines, before they are packed


class ArchiveError(Exception):
    """A backup, a restore or a move cannot be done; the message says why and what to do."""


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. `tables`: name to {"columns", "binary", "rows", "digest", "parts"}; a part is a sha256."""

    name: str
    format: int
    version: str
    revision: str
    made_at: float
    tables: dict[str, dict[str, Any]]
    names: list[str]  # parts with the sha256 of all blobs, a line each
    blobs: int
    faults: dict[str, str] = field(default_factory=dict)  # blobs that could not be read when it was made

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return sum(int(table["rows"]) for table in self.tables.values())


class Archive:
    """A place that holds backups: `blobs/` for all of them, and a manifest each in `backups/`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._files, self._root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        self._folder = Path(self._root) if "file" in self._files.protocol else None

    def open(self) -> Blobs:
        """Give the blobs of the archive, which is made if it is not there."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Blobs(f"{self.url}/blobs")

    def names(self) -> list[str]:
        """Give the names of the backups, oldest first."""
        with suppress(FileNotFoundError):
            found = self._files.ls(f"{self._root}/backups", detail=False)
            return sorted(Path(path).stem for path in found if path.endswith(".json"))
        return []

    def manifest(self, name: str | None = None) -> Manifest:
        """Read what a backup holds; without a name the newest.

        Raises:
            ArchiveError: there is none of this name, or it was made by a newer version.
        """
        names = self.names()
        if not names or (name is not None and name not in names):
            there = ", ".join(names[-5:]) or "none"
            raise ArchiveError(f"there is no backup {name or ''!r} in {self.url!r}; it has: {there}")
        try:
            said = json.loads(self._files.cat_file(f"{self._root}/backups/{name or names[-1]}.json"))
        except ValueError as error:
            raise ArchiveError(f"the manifest of backup {name or names[-1]!r} is damaged: {error}") from error
        if said["format"] != FORMAT or said["revision"] > schema.head():
            raise ArchiveError(
                f"backup {said['name']!r} was made by a newer version, {said['version']}; install that one"
            )
        return Manifest(**said)

    def keep(self, manifest: Manifest) -> None:
        """Write a manifest: from now on the backup exists."""
        path = f"{self._root}/backups/{manifest.name}.json"
        content = json.dumps(asdict(manifest), indent=1).encode()
        if self._folder is None:
            self._files.pipe_file(path, content)
            return
        Path(path).parent.mkdir(exist_ok=True)
        part = Path(f"{path}.part")
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


def backup(
    database: Database, blobs: Blobs, url: str, *, version: str, tell: Progress = quiet
) -> tuple[Manifest, Copied]:
    """Add a backup to an archive.

    Raises:
        ArchiveError: the database has an older schema.
        BlobsDown: one of the two stores cannot be reached; begin again later.
    """
    archive = Archive(url)
    to, now = archive.open(), time.time()
    with rows.snapshot(database) as connection:
        require_current(connection)
        tables = {shape.name: _written(connection, shape, to, tell) for shape in rows.shapes(connection)}
        names = list(_parts(naming.named(connection), to))
    copied = naming.copy(blobs, to, _lines(to, names), tell)
    named = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    manifest = Manifest(named, FORMAT, version, schema.head(), now, tables, names, copied.named, copied.faults)
    archive.keep(manifest)
    return manifest, copied


def restore(database: Database, blobs: Blobs, url: str, name: str | None = None, tell: Progress = quiet) -> Manifest:
    """Bring a backup into an empty database and a blob store; all rows or none are there afterwards.

    What was under way goes on as after a crash: its leases have ended, and its messages are due.

    Raises:
        ArchiveError: there is no such backup, it is damaged, or the database is not empty.
    """
    archive = Archive(url)
    manifest, source = archive.manifest(name), archive.open()
    make_room(database, manifest.revision)
    copied = naming.copy(source, blobs, _lines(source, manifest.names), tell)
    refuse({name: why for name, why in copied.faults.items() if name not in manifest.faults}, archive.url)

    def change(connection: Connection) -> None:
        shapes = rows.shapes(connection, manifest.tables)
        for there in shapes:
            table = manifest.tables[there.name]
            shape = Shape(there.name, tuple(table["columns"]), frozenset(table["binary"]))
            digest = Digest()
            rows.write(connection, shape, rows.digested(_read(source, shape, table["parts"]), digest))
            _compare(shape.name, digest, rows.digest_of(connection, shape), table["rows"], table["digest"])
            tell(f"rows of {shape.name}", digest.rows)
        rows.set_counters(connection, shapes)

    database.transact(_told(change))
    schema.migrate(database)
    return manifest


def check(url: str, name: str | None = None, tell: Progress = quiet) -> tuple[Manifest, dict[str, str]]:
    """Read a whole backup, and give what is wrong with it by name."""
    archive = Archive(url)
    manifest, source = archive.manifest(name), archive.open()
    parts = [*manifest.names, *(part for table in manifest.tables.values() for part in table["parts"])]
    wrong = naming.faults(source, sorted(parts), tell)
    if not wrong:
        wrong = naming.faults(source, _lines(source, manifest.names), tell)
    return manifest, {name: why for name, why in wrong.items() if name not in manifest.faults}


def require_current(connection: Connection) -> None:
    """Refuse a database that has not the newest schema.

    Raises:
        ArchiveError: so it is.
    """
    if (found := schema.revision(connection)) != schema.head():
        raise ArchiveError(f"the database has schema {found}, not {schema.head()}; run `atelier migrate` first")


def make_room(database: Database, revision: str) -> None:
    """Give an empty database the tables of a revision.

    Raises:
        ArchiveError: it has rows.
    """
    with database.read() as connection:
        filled, found = rows.filled(connection), schema.revision(connection)
        has_tables = bool(rows.ours(connection))
    if filled:
        raise ArchiveError(
            f"the database {shown(database)} is not empty: it has rows in {', '.join(filled)}; name a new database"
        )
    if has_tables and found != revision:
        database.transact(rows.drop)
    schema.migrate(database, revision)


def refuse(faults: dict[str, str], where: str) -> None:
    """Refuse to go on without blobs that rows name.

    Raises:
        ArchiveError: there are such.
    """
    if faults:
        first = next(iter(faults.values()))
        raise ArchiveError(f"{len(faults)} blobs cannot be read from {where!r}, the first: {first}")


def shown(database: Database) -> str:
    """Give a database's address without its password."""
    return database.engine.url.render_as_string(hide_password=True)


def _told(change: Any) -> Any:
    def told(connection: Connection) -> None:
        try:
            change(connection)
        except (ValueError, BlobError) as error:
            raise ArchiveError(f"nothing was written: {error}") from error

    return told


def _compare(name: str, sent: Digest, kept: Digest, count: int, digest: str) -> None:
    if not (sent.rows == kept.rows == count and str(sent) == str(kept) == digest):
        raise ValueError(f"{name!r} has {kept.rows} rows with digest {kept}; {count} with {digest} were wanted")


def _written(connection: Connection, shape: Shape, to: Blobs, tell: Progress) -> dict[str, Any]:
    digest = Digest()
    lines = (rows.to_line(row) for row in rows.read(connection, shape))
    parts = list(_parts(_counted(lines, digest), to))
    tell(f"rows of {shape.name}", digest.rows)
    return {
        "columns": list(shape.columns),
        "binary": sorted(shape.binary),
        "rows": digest.rows,
        "digest": str(digest),
        "parts": parts,
    }


def _counted(lines: Iterable[str], digest: Digest) -> Iterator[str]:
    for line in lines:
        digest.add(line)
        yield line


def _parts(lines: Iterable[str], to: Blobs) -> Iterator[str]:
    """Store lines as packed blobs of bounded size, and give their names."""
    held: list[str] = []
    size_bytes = 0
    for line in lines:
        held.append(line)
        size_bytes += len(line) + 1
        if size_bytes >= PART_BYTES:
            yield to.put(_packed(held))
            held, size_bytes = [], 0
    if held:
        yield to.put(_packed(held))


def _packed(lines: list[str]) -> bytes:
    return gzip.compress("\n".join(lines).encode(), compresslevel=3, mtime=0)  # the same lines are the same blob


def _lines(source: Blobs, parts: Iterable[str]) -> Iterator[str]:
    for part in parts:
        yield from gzip.decompress(source.get(part)).decode().split("\n")


def _read(source: Blobs, shape: Shape, parts: Iterable[str]) -> Iterator[Row]:
    return (rows.from_line(line, shape) for line in _lines(source, parts))
