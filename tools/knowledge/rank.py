"""Which passages answer a question, and whether any does: by meaning and by words.

Each misses what the other finds: vectors do not know a product's number, words do not know that "cheap" means "low
price". The share of a question's telling words that a passage has lies in [0, 1] as cosines do, so the two are added.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WORDS_WEIGH = 0.5  # all of a question's words are worth so much cosine
ANSWERS = 0.46  # of the best passage, or nothing answers; `python -m benchmarks.retrieval` shows what that costs
BESIDE = 0.5  # of the best passage's relevance, of one that stands beside it
_WORD = re.compile(r"[^\W_]+")
_ENDINGS = re.compile(r"(?<=\w{3})(?:ies|ied|ing|ed|es|s|e|y|ly)$")
_PLAIN = """
a about all also an and any are as at be because been before but by can could did do does during each for from get go
had has have how i if in into is isn it its itself like make many may me more most much must my no not of off often on
one or other our out over say shall she should so some such than that the their them then there these they this those
through to too up use used was we were what when where which while who whom whose why will with without would you your
"""
PLAIN = frozenset(_PLAIN.split())


def words(text: str) -> list[str]:
    """Give the telling words of a text, in lower case, without their endings."""
    return [_ENDINGS.sub("", word) for word in _WORD.findall(text.lower()) if word not in PLAIN]


@dataclass(frozen=True)
class Lexicon:
    """The words of N passages.

    Attributes:
        ids: the number of each word.
        starts: (W + 1,) where each word's entries begin.
        places: (E,) the passages that have a word, word after word.
        idf: (W,) how telling each word is, as BM25 weighs it. unknown: how telling one is that no passage has.
        size: N.
    """

    ids: dict[str, int]
    starts: np.ndarray
    places: np.ndarray
    idf: np.ndarray
    unknown: float
    size: int

    @classmethod
    def of(cls, texts: Sequence[str]) -> Lexicon:
        """Read passages."""
        ids: dict[str, int] = {}
        numbers = [[ids.setdefault(name, len(ids)) for name in set(words(text))] for text in texts]
        word = np.array([number for one in numbers for number in one], np.int64)
        places = np.repeat(np.arange(len(texts)), [len(one) for one in numbers])
        having = np.bincount(word, minlength=len(ids))
        return cls(
            ids=ids,
            starts=np.concatenate([[0], np.cumsum(having)]),
            places=places[np.argsort(word, kind="stable")],
            idf=_idf(len(texts), having),
            unknown=float(_idf(len(texts), np.zeros(1))[0]),
            size=len(texts),
        )

    def covered(self, question: str) -> np.ndarray:
        """Give (N,) the share of what a question tells by its words that each passage has, in [0, 1]."""
        covered = np.zeros(self.size)
        asked = 0.0
        for name in dict.fromkeys(words(question)):
            number = self.ids.get(name)
            asked += self.unknown if number is None else float(self.idf[number])
            if number is not None:
                covered[self.places[self.starts[number] : self.starts[number + 1]]] += self.idf[number]
        return covered / asked if asked else covered


def relevance(cosines: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Give how well passages answer a question, (N,): meaning and words on the scale of cosines."""
    total: np.ndarray = cosines + WORDS_WEIGH * covered
    return total


def best(relevances: np.ndarray, limit: int) -> list[int]:
    """Give the places of the best passages, best first; none where even the best does not answer the question."""
    if len(relevances) == 0 or relevances.max() < ANSWERS:
        return []
    order = np.argsort(-relevances, kind="stable")[:limit]
    return [int(at) for at in order if relevances[at] >= BESIDE * relevances.max()]


def _idf(size: int, having: np.ndarray) -> np.ndarray:
    weights: np.ndarray = np.log1p((size - having + 0.5) / (having + 0.5))
    return weights
