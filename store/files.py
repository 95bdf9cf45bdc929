"""Files that clients uploaded to be used later: their names and purposes; the bytes are blobs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, insert, select

from store.runs import UnknownId
from store.tables import files

Order = Literal["asc", "desc"]


@dataclass(frozen=True)
class File:
    """An uploaded file; `created_at` in seconds since 1970."""

    id: str
    name: str
    purpose: str
    sha256: str
    size_bytes: int
    created_at: float


def add(connection: Connection, owner: str, file: File) -> None:
    """Store a file whose bytes are already a blob."""
    connection.execute(insert(files).values(owner=owner, **asdict(file)))


def get(connection: Connection, owner: str, file_id: str) -> File:
    """Give a file.

    Raises:
        UnknownId: there is no such file of this owner.
    """
    row = connection.execute(select(files).where(files.c.id == file_id, files.c.owner == owner)).first()
    if row is None:
        raise UnknownId(f"there is no file {file_id!r}")
    return _file(row)


def list_(
    connection: Connection,
    owner: str,
    *,
    purpose: str | None = None,
    after: str | None = None,
    order: Order = "desc",
    limit: int = 100,
) -> list[File]:
    """Give files, newest first unless `order` is "asc"; `after` is the id of the last one of the page before."""
    query = select(files).where(files.c.owner == owner)
    if purpose is not None:
        query = query.where(files.c.purpose == purpose)
    if after is not None:
        query = query.where(files.c.id < after if order == "desc" else files.c.id > after)
    query = query.order_by(files.c.id.desc() if order == "desc" else files.c.id).limit(limit)
    return [_file(row) for row in connection.execute(query)]


def remove(connection: Connection, owner: str, file_id: str) -> None:
    """Forget a file; its bytes go with the next sweep, unless something else names them.

    Raises:
        UnknownId: there is no such file of this owner.
    """
    gone = connection.execute(delete(files).where(files.c.id == file_id, files.c.owner == owner)).rowcount
    if not gone:
        raise UnknownId(f"there is no file {file_id!r}")


def _file(row: Row[Any]) -> File:
    return File(**{name: value for name, value in row._asdict().items() if name != "owner"})
