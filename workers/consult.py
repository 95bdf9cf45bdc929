"""Finds the passages that answer a question, in memory: all vectors are compared, and all words.

A solution has some thousands of passages, which are compared in a few milliseconds: nothing has to be built, nothing
can lag behind SQL, and what SQL no longer has is not found. Each search asks SQL first whether anything has changed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from store import passages
from store.database import Database
from store.passages import Passages, StoredPassage
from tools.base import InvalidInput, Passage, Source
from tools.knowledge.rank import Lexicon, best, relevance
from tools.knowledge.split import VERSION

if TYPE_CHECKING:
    from workers.bench import Encoder

MOST_VECTORS = 400_000  # of all shelves together; 600 MB at 384 dimensions


def space_of(encoder: Encoder) -> str:
    """Give the space of passages: how documents are split, and how texts become vectors."""
    return f"passages-{VERSION}/{encoder.space}"


@dataclass(frozen=True)
class Shelf:
    """The passages of a solution in one space.

    Attributes:
        solution: its name. stamp: see `store.passages.stamp`.
        passages: N of them.
        vectors: (V, D) float32 of all parts of all passages, in order.
        starts: (N,) where the vectors of each begin.
        lexicon: their words.
    """

    solution: str
    stamp: tuple[int, int]
    passages: list[StoredPassage]
    vectors: np.ndarray
    starts: np.ndarray
    lexicon: Lexicon

    def cosines(self, vector: np.ndarray) -> np.ndarray:
        """Give (N,) the cosine of each passage's nearest part with a unit vector, (D,)."""
        # Not `@`: on a busy machine BLAS's threads wait for each other longer than one thread works.
        parts = np.einsum("vd,d->v", self.vectors, vector.astype(np.float32))
        nearest: np.ndarray = np.maximum.reduceat(parts, self.starts)
        return nearest


class Shelves:
    """The shelves of a process, those used last; safe to use from several threads."""

    def __init__(self, database: Database, most_vectors: int = MOST_VECTORS) -> None:
        self.database = database
        self.most_vectors = most_vectors
        self._shelves: OrderedDict[tuple[str, str], Shelf] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, solution: str, space: str, dim: int) -> Shelf | None:
        """Give a solution's passages as SQL has them now; None where there are none."""
        with self._lock:
            return self._fresh(solution, space, dim)

    def consult(
        self, encoder: Encoder, *, owner: str, question: str, solution: str | None = None, limit: int = 5
    ) -> list[Passage]:
        """Find the passages of an owner's documents that answer a question, best first; none where nothing does.

        Args:
            solution: only this one's documents; None: those of all that the owner may consult.

        Raises:
            InvalidInput: there is no such solution, or nothing could be read yet.
        """
        with self.database.read() as connection:
            there = passages.visible(connection, owner)
        if not there:
            raise InvalidInput(
                "there are no documents to consult; add some with: atelier solutions add NAME --knowledge FOLDER"
            )
        if solution is not None and solution not in there:
            raise InvalidInput(f"there are no documents called {solution!r}; there are: {', '.join(there)}")
        vector = encoder.encode([question])[0]
        wanted = there if solution is None else [solution]
        found = [self.get(name, space_of(encoder), len(vector)) for name in wanted]
        held = [shelf for shelf in found if shelf is not None]
        if not held:
            raise InvalidInput(f"nothing of {', '.join(wanted)} could be read yet; see: atelier solutions list")
        return _best(held, vector, question, limit)

    def _fresh(self, solution: str, space: str, dim: int) -> Shelf | None:
        held = self._shelves.pop((solution, space), None)
        with self.database.read() as connection:
            stamp = passages.stamp(connection, solution, space)
            if held is None or held.stamp != stamp:
                held = None  # two of a size are not held at once
                held = _shelf(solution, stamp, passages.load(connection, solution, space, dim)) if stamp[0] else None
        if held is not None:
            self._shelves[solution, space] = held
            while len(self._shelves) > 1 and self._size() > self.most_vectors:
                self._shelves.popitem(last=False)
        return held

    def _size(self) -> int:
        return sum(len(shelf.vectors) for shelf in self._shelves.values())


def _shelf(solution: str, stamp: tuple[int, int], loaded: Passages) -> Shelf:
    return Shelf(
        solution=solution,
        stamp=stamp,
        passages=loaded.stored,
        vectors=loaded.vectors,
        starts=np.cumsum(loaded.counts) - loaded.counts,
        lexicon=Lexicon.of([f"{one.title} {one.place} {one.content}" for one in loaded.stored]),
    )


def _best(held: Sequence[Shelf], vector: np.ndarray, question: str, limit: int) -> list[Passage]:
    cosines = [shelf.cosines(vector) for shelf in held]
    covered = [shelf.lexicon.covered(question) for shelf in held]
    relevances = relevance(np.concatenate(cosines), np.concatenate(covered))
    every = [(shelf.solution, stored) for shelf in held for stored in shelf.passages]
    scores = np.concatenate(cosines)
    return [
        Passage(
            every[at][1].content,
            Source(every[at][0], every[at][1].document, every[at][1].place),
            float(min(1.0, max(-1.0, scores[at]))),
        )
        for at in best(relevances, limit)
    ]
