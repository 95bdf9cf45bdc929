"""Keeps the passages of documents as the documents are."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select, update

from store import passages
from store import solutions as declared
from store.blobs import BlobError
from store.passages import UPLOAD, Document, NewDocument, NewPassage
from store.tables import solutions
from tools.base import Cancelled, TryLater
from tools.knowledge import folder as folders
from tools.knowledge.document import UnreadableError
from tools.knowledge.folder import File
from tools.knowledge.read import read
from tools.knowledge.split import said, split
from tools.solutions.base import KnowledgeDeclaration, digest
from workers.consult import space_of

if TYPE_CHECKING:
    from workers.bench import Bench

log = logging.getLogger(__name__)

MOST_PASSAGES = 20_000  # of a solution; all of them are compared at each question
SETTLED_S = 2.0  # a file that changes twice within its date's precision looks unchanged afterwards
ENCODED_AT_ONCE = 16
OnProgress = Callable[[int, int], None]


@dataclass
class Refreshed:
    """What a refresh did.

    Attributes:
        added, changed, removed, failed: documents; failed ones are known with their error.
        passages: how many the solution has now.
        problems: what could not be looked at, for people; what was known of it stays.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    failed: int = 0
    passages: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Wanted:
    """A document that has to be read, and what was known of it."""

    origin: str
    path: str
    size_bytes: int
    modified_at: float
    known: Document | None
    content: Callable[[], bytes]


def refresh_all(bench: Bench) -> dict[str, Refreshed]:
    """Refresh the knowledge solutions whose time has come; one that fails does not keep the others."""
    done = {}
    for name, declaration in _due(bench):
        try:
            done[name] = refresh_one(bench, name, declaration)
        except TryLater as error:
            log.warning("the documents of solution %s are refreshed later: %s", name, error)
        except Exception:
            log.exception("the documents of solution %s could not be refreshed", name)
    return done


def refresh_one(
    bench: Bench, name: str, declaration: KnowledgeDeclaration, on_progress: OnProgress = lambda done, total: None
) -> Refreshed:
    """Refresh a solution now, and write down how it is; see `refresh`.

    Raises:
        TryLater: whoever makes the vectors does not answer; what was read so far is kept.
    """
    problem = "its documents could not be refreshed; the worker's log says why"
    try:
        done = refresh(bench, name, declaration, on_progress)
        problem = "; ".join(done.problems)
    except ConnectionError as error:
        problem = f"its documents cannot be read just now: {error}"
        raise TryLater(problem) from error
    except Cancelled:
        problem = ""
        raise
    finally:
        bench.database.transact(lambda connection: _note(connection, name, problem))
    return done


def _due(bench: Bench) -> Iterator[tuple[str, KnowledgeDeclaration]]:
    """Give the solutions whose time has come, each to one worker."""
    with bench.database.read() as connection:
        rows = connection.execute(
            select(solutions).where(solutions.c.kind == "knowledge", solutions.c.state != declared.ASIDE)
        ).all()
    for row in rows:
        declaration = KnowledgeDeclaration.model_validate(row.declaration)
        now = time.time()
        if row.checked_at is not None and now < row.checked_at + declaration.refresh_s:
            continue
        mine = (solutions.c.name == row.name, solutions.c.checked_at.is_not_distinct_from(row.checked_at))
        taken = bench.database.transact(
            lambda connection, mine=mine, now=now: (
                connection.execute(  # type: ignore[misc]
                    update(solutions).where(*mine).values(checked_at=now)
                ).rowcount
            )
        )
        if taken:
            yield row.name, declaration


def _note(connection: Any, name: str, problem: str) -> None:
    if declared.find(connection, name) is None:
        return  # removed meanwhile
    if problem:
        declared.failed(connection, name, problem, now=time.time())
    else:  # documents offer no tools: there is nothing to approve
        declared.saw(connection, name, (), digest(()), approve=True, now=time.time())


def refresh(
    bench: Bench,
    name: str,
    declaration: KnowledgeDeclaration,
    on_progress: OnProgress = lambda done, total: None,
) -> Refreshed:
    """Bring a solution's passages to what its folders and uploads are now; doing it twice changes nothing.

    Args:
        on_progress: called with the documents done and all that have to be read.

    Raises:
        ConnectionError: whoever makes the vectors does not answer; what was read so far is kept.
    """
    return _Refresh(bench, name, space_of(bench.encoder), on_progress).run(declaration)


class _Refresh:
    """One refresh under way."""

    def __init__(self, bench: Bench, name: str, space: str, on_progress: OnProgress) -> None:
        self.bench = bench
        self.name = name
        self.space = space
        self.on_progress = on_progress
        self.done = Refreshed()

    def run(self, declaration: KnowledgeDeclaration) -> Refreshed:
        """Look, remove what is gone, read what is new."""
        known = self._known()  # before the folders: what is known and not seen there is gone, not new
        wanted, gone = self._look(declaration, known)
        if gone:
            self.done.removed = self._write(passages.remove, self.name, gone)
        for number, one in enumerate(wanted):
            self.on_progress(number, len(wanted))
            self._read(one)
        self.on_progress(len(wanted), len(wanted))
        with self.bench.database.read() as connection:
            self.done.passages = passages.count(connection, self.name)
        return self.done

    def _known(self) -> dict[tuple[str, str], Document]:
        with self.bench.database.read() as connection:
            return {(one.origin, one.path): one for one in passages.listing(connection, self.name)}

    def _look(
        self, declaration: KnowledgeDeclaration, known: Mapping[tuple[str, str], Document]
    ) -> tuple[list[_Wanted], list[str]]:
        """Give the documents to read, and the ids of those that are gone."""
        wanted = [self._uploaded(one) for one in known.values() if one.origin == UPLOAD and self._is_old(one)]
        unsure = {UPLOAD}
        seen: set[tuple[str, str]] = set()
        for folder in dict.fromkeys(declaration.folders):
            origin = str(folder)
            looked = folders.look(folder)
            self.done.problems += [] if looked.problem is None else [looked.problem]
            unsure |= set() if looked.whole else {origin}
            for file in looked.files:
                document = known.get((origin, file.path))
                seen.add((origin, file.path))
                if document is None or self._is_old(document) or _differs(document, file):
                    wanted.append(_file(origin, file, document))
        gone = [one.id for key, one in known.items() if key not in seen and one.origin not in unsure]
        return wanted, gone

    def _is_old(self, document: Document) -> bool:
        return document.read_at == 0 or document.space != self.space

    def _uploaded(self, document: Document) -> _Wanted:
        def content() -> bytes:
            try:
                return self.bench.blobs.get(document.sha256)
            except BlobError as error:
                raise UnreadableError(f"its bytes are not there: {error}") from error

        return _Wanted(UPLOAD, document.path, document.size_bytes, document.modified_at, document, content)

    def _read(self, one: _Wanted) -> None:
        """Read one document and keep what came of it, its error too."""
        now = time.time()
        try:
            content = one.content()
        except FileNotFoundError:
            return  # it went away since it was seen; the next refresh takes it out
        except UnreadableError as error:
            self._refused(one, str(error))
            return
        sha256 = hashlib.sha256(content).hexdigest()
        if one.known and one.known.sha256 == sha256 and not self._is_old(one.known):
            self._write(passages.touch, one.known.id, one.modified_at, now)
            return
        self._keep(one, self._passages(replace(self._new(one, sha256), size_bytes=len(content)), content))

    def _refused(self, one: _Wanted, error: str) -> None:
        """Keep why the bytes could not be had; it is tried again at each refresh, and told once."""
        told = one.known is not None and one.known.error == error and not self._is_old(one.known)
        if not told:
            sha256 = one.known.sha256 if one.known and one.origin == UPLOAD else ""
            self._keep(one, self._new(one, sha256, error))

    def _new(self, one: _Wanted, sha256: str, error: str | None = None) -> NewDocument:
        return NewDocument(one.origin, one.path, sha256, one.size_bytes, one.modified_at, self.space, error=error)

    def _passages(self, read_as: NewDocument, content: bytes) -> NewDocument:
        try:
            document = read(read_as.path, content)
            found = split(document)
            self._check_room(read_as, len(found))
        except UnreadableError as error:
            return replace(read_as, error=str(error))
        texts = [said(document.title, passage) for passage in found]
        vectors = self._encoded([text for some in texts for text in some])
        ends = np.cumsum([len(some) for some in texts])[:-1]
        made = [
            NewPassage(passage.place, passage.text, some)
            for passage, some in zip(found, np.split(vectors, ends), strict=True)
        ]
        return replace(read_as, title=document.title, passages=made)

    def _encoded(self, texts: Sequence[str]) -> np.ndarray:
        """Encode in small pieces: between them others can have the encoder."""
        pieces = [texts[start : start + ENCODED_AT_ONCE] for start in range(0, len(texts), ENCODED_AT_ONCE)]
        return np.concatenate([self.bench.encoder.encode(list(piece)) for piece in pieces])

    def _check_room(self, read_as: NewDocument, more: int) -> None:
        with self.bench.database.read() as connection:
            others = passages.count(connection, self.name, but=(read_as.origin, read_as.path))
        if others + more > MOST_PASSAGES:
            raise UnreadableError(
                f"there is no room for it: a solution holds {MOST_PASSAGES:,} passages; make a second solution"
            )

    def _keep(self, one: _Wanted, read_as: NewDocument) -> None:
        if not self._write(passages.save, self.name, read_as, time.time()):
            return
        self.done.failed += read_as.error is not None
        self.done.changed += one.known is not None and one.known.read_at > 0
        self.done.added += one.known is None or one.known.read_at == 0

    def _write(self, change: Callable[..., Any], *given: Any) -> Any:
        return self.bench.database.transact(lambda connection: change(connection, *given))


def _differs(document: Document, file: File) -> bool:
    """Say whether a file may have changed: by its size and date, and by whether the date could tell."""
    same = document.size_bytes == file.size_bytes and document.modified_at == file.modified_at
    return not same or document.sha256 == "" or document.read_at - document.modified_at < SETTLED_S


def _file(origin: str, file: File, known: Document | None) -> _Wanted:
    return _Wanted(origin, file.path, file.size_bytes, file.modified_at, known, lambda: folders.content(file))
