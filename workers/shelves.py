"""Passages held in memory for searching: all vectors are compared, and all words.

A solution has some thousands of passages, which is compared in a few milliseconds: nothing has to be built, nothing can
lag behind SQL, and what SQL no longer has is not found. Each search asks SQL first whether anything has changed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from store import passages
from store.database import Database
from store.passages import Passages, StoredPassage
from tools.knowledge.rank import Lexicon

MOST_VECTORS = 400_000  # of all shelves together; 600 MB at 384 dimensions


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
