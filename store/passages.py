"""Documents of knowledge solutions and their passages: SQL is all there is of them.

Every write holds the solution's row, so that the passages' numbers are committed in order: a reader knows from their
count and the highest number whether anything has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, delete, func, insert, or_, select, update

from store.ids import new_id
from store.tables import documents, passages, solutions

UPLOAD = "upload"
INSERT_ROWS = 500
VECTOR = np.dtype("<f2")  # half the bytes; cosines differ by 0.001 at most


@dataclass(frozen=True)
class Document:
    """A document as it was last read.

    Attributes:
        origin: its folder, or "upload".
        path: below its folder, or the name of an upload.
        sha256: of its bytes; empty where they could not be had.
        read_at: 0 where it was not read yet.
        space: of its passages.
        error: why it could not be read.
        passages: how many it has.
    """

    id: str
    solution: str
    origin: str
    path: str
    sha256: str
    size_bytes: int
    modified_at: float
    read_at: float
    space: str
    title: str
    error: str | None
    passages: int


@dataclass(frozen=True)
class NewPassage:
    """A passage to keep; `vectors` are (n, D) of unit length, of the whole and of its parts."""

    place: str
    content: str
    vectors: np.ndarray


@dataclass(frozen=True)
class NewDocument:
    """What was read of a document; see `Document`."""

    origin: str
    path: str
    sha256: str
    size_bytes: int
    modified_at: float
    space: str
    title: str = ""
    error: str | None = None
    passages: Sequence[NewPassage] = ()


@dataclass(frozen=True)
class StoredPassage:
    """A passage with what tells where it is from."""

    document: str
    title: str
    place: str
    content: str


@dataclass(frozen=True)
class Passages:
    """A solution's passages.

    Attributes:
        stored: N of them.
        vectors: (V, D) float32 of unit length, of all of them in order.
        counts: (N,) how many of the vectors belong to each.
    """

    stored: list[StoredPassage]
    vectors: np.ndarray
    counts: np.ndarray


def listing(connection: Connection, solution: str) -> list[Document]:
    """Give a solution's documents by origin and path."""
    counts = (
        select(passages.c.document_id, func.count().label("passages"))
        .where(passages.c.solution == solution)
        .group_by(passages.c.document_id)
        .subquery()
    )
    rows = connection.execute(
        select(documents, func.coalesce(counts.c.passages, 0).label("passages"))
        .outerjoin(counts, counts.c.document_id == documents.c.id)
        .where(documents.c.solution == solution)
        .order_by(documents.c.origin, documents.c.path)
    ).mappings()
    return [Document(**{name: row[name] for name in Document.__dataclass_fields__}) for row in rows]


def save(connection: Connection, solution: str, read: NewDocument, now: float) -> bool:
    """Keep what was read of a document, in the place of what was known of it.

    Returns:
        Whether it was kept; not, where the solution is gone, or an upload was removed or replaced meanwhile.
    """
    if not _hold(connection, solution):
        return False
    here = (documents.c.solution == solution, documents.c.origin == read.origin, documents.c.path == read.path)
    row = connection.execute(select(documents.c.id, documents.c.sha256).where(*here)).one_or_none()
    if read.origin == UPLOAD and (row is None or row.sha256 != read.sha256):
        return False
    known = None if row is None else str(row.id)
    values = {
        "sha256": read.sha256,
        "size_bytes": read.size_bytes,
        "modified_at": read.modified_at,
        "read_at": now,
        "space": read.space,
        "title": read.title,
        "error": read.error,
    }
    document = known or new_id("document")
    if known is None:
        named = {"id": document, "solution": solution, "origin": read.origin, "path": read.path, "created_at": now}
        connection.execute(insert(documents).values(**named, **values))
    else:
        connection.execute(delete(passages).where(passages.c.document_id == document))
        connection.execute(update(documents).where(documents.c.id == document).values(**values))
    _insert(connection, solution, document, read)
    return True


def _insert(connection: Connection, solution: str, document: str, read: NewDocument) -> None:
    rows = [
        {
            "document_id": document,
            "solution": solution,
            "position": position,
            "place": passage.place,
            "content": passage.content,
            "space": read.space,
            "vectors": passage.vectors.astype(VECTOR).tobytes(),
        }
        for position, passage in enumerate(read.passages)
    ]
    for start in range(0, len(rows), INSERT_ROWS):
        connection.execute(insert(passages), rows[start : start + INSERT_ROWS])


def touch(connection: Connection, document: str, modified_at: float, now: float) -> None:
    """Record that a file has another date and the same bytes."""
    connection.execute(update(documents).where(documents.c.id == document).values(modified_at=modified_at, read_at=now))


def remove(connection: Connection, solution: str, ids: Sequence[str]) -> int:
    """Take documents and their passages away, and give the number of documents."""
    _hold(connection, solution)
    gone = connection.execute(delete(documents).where(documents.c.solution == solution, documents.c.id.in_(ids)))
    return gone.rowcount


def add_upload(connection: Connection, solution: str, name: str, sha256: str, size_bytes: int, now: float) -> str:
    """Keep that a document was uploaded, or uploaded anew; a worker reads it at its next refresh.

    Args:
        name: what it is known by; the same name means the same document.
        sha256: of its bytes, which are in the blob store.

    Returns:
        The document's id.

    Raises:
        LookupError: there is no such solution.
    """
    if not _hold(connection, solution):
        raise LookupError(f"there is no solution {solution!r}")
    here = (documents.c.solution == solution, documents.c.origin == UPLOAD, documents.c.path == name)
    fresh = {"sha256": sha256, "size_bytes": size_bytes, "modified_at": now, "read_at": 0.0}
    connection.execute(update(solutions).where(solutions.c.name == solution).values(checked_at=None))  # soon
    known: str | None = connection.execute(select(documents.c.id).where(*here)).scalar_one_or_none()
    if known is not None:
        connection.execute(update(documents).where(documents.c.id == known).values(**fresh))
        return known
    document = new_id("document")
    row = {"id": document, "solution": solution, "origin": UPLOAD, "path": name, "space": "", "created_at": now}
    connection.execute(insert(documents).values(**row, **fresh))
    return document


def count(connection: Connection, solution: str, *, but: tuple[str, str] | None = None) -> int:
    """Give the number of a solution's passages.

    Args:
        but: origin and path of a document whose passages are not counted.
    """
    query = select(func.count()).select_from(passages).where(passages.c.solution == solution)
    if but is not None:
        here = (documents.c.solution == solution, documents.c.origin == but[0], documents.c.path == but[1])
        query = query.where(passages.c.document_id.not_in(select(documents.c.id).where(*here)))
    return int(connection.execute(query).scalar_one())


def stamp(connection: Connection, solution: str, space: str) -> tuple[int, int]:
    """Give what is equal only while a solution's passages in a space are the same: count and highest number."""
    query = select(func.count(), func.coalesce(func.max(passages.c.id), 0)).where(
        passages.c.solution == solution, passages.c.space == space
    )
    number, highest = connection.execute(query).one()
    return int(number), int(highest)


def load(connection: Connection, solution: str, space: str, dim: int) -> Passages:
    """Give a solution's passages in a space, oldest first.

    Args:
        dim: length of a vector in the space.
    """
    rows = connection.execute(
        select(documents.c.path, documents.c.title, passages.c.place, passages.c.content, passages.c.vectors)
        .join(documents, documents.c.id == passages.c.document_id)
        .where(passages.c.solution == solution, passages.c.space == space)
        .order_by(passages.c.id)
    ).all()
    counts = np.array([len(row.vectors) // (dim * VECTOR.itemsize) for row in rows], np.int64)
    matrix = np.frombuffer(b"".join(row.vectors for row in rows), VECTOR).reshape(-1, dim).astype(np.float32)
    stored = [StoredPassage(row.path, row.title, row.place, row.content) for row in rows]
    return Passages(stored, matrix, counts)


def visible(connection: Connection, owner: str) -> list[str]:
    """Give the names of the knowledge solutions that an owner may consult."""
    mine = or_(solutions.c.owner.is_(None), solutions.c.owner == owner)
    query = (
        select(solutions.c.name)
        .where(solutions.c.kind == "knowledge", solutions.c.state != "aside", mine)
        .order_by(solutions.c.name)
    )
    return list(connection.execute(query).scalars())


def _hold(connection: Connection, solution: str) -> bool:
    """Lock a solution's row until the transaction ends; False where there is none."""
    query = select(solutions.c.name).where(solutions.c.name == solution).with_for_update()
    return connection.execute(query).one_or_none() is not None
