"""Texts to unit vectors, each on its own, so that a text's vector never depends on what else was asked."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

REMEMBERED = 4096  # vectors kept; 6 MB at 384 dimensions
WORD = re.compile(r"\w+")


class Encoder(Protocol):
    """Anything that gives texts vectors in one space."""

    space: str
    dim: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Give the unit vectors of texts, (N, dim) float32."""


class TextEncoder:
    """A sentence-transformers model, by folder or by name.

    Each text is encoded alone and remembered: the same text has the same vector to the last bit, whatever it is asked
    with, and pictures drawn from it can be drawn again. The model is loaded at the first text.

    Args:
        model: a folder, or a name that sentence-transformers knows.
        threads: of torch; None leaves torch's own choice.
    """

    def __init__(self, model: str | Path, threads: int | None = None) -> None:
        self.model = str(model)
        self.threads = threads
        self.space = f"text/{Path(self.model).name}"
        self._one: Callable[[str], np.ndarray] | None = None
        self._dim = 0
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def dim(self) -> int:
        """Length of a vector."""
        self._load()
        return self._dim

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Give the unit vectors of texts, (N, dim) float32.

        Raises:
            ValueError: the model's folder or name is unknown.
        """
        with self._lock:
            one = self._load()
            vectors = [self._recall(text, one) for text in texts]
        return np.stack(vectors) if vectors else np.zeros((0, self._dim), np.float32)

    def _recall(self, text: str, one: Callable[[str], np.ndarray]) -> np.ndarray:
        vector = self._known.get(text)
        if vector is None:
            vector = self._known[text] = one(text)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(text)
        return vector

    def _load(self) -> Callable[[str], np.ndarray]:
        if self._one is None:
            self._one, self._dim = _open(self.model, self.threads)
        return self._one


class HashEncoder:
    """A stand-in for tests: texts that share words are near, and nothing is loaded."""

    def __init__(self, dim: int = 384) -> None:
        self.dim = dim
        self.space = f"text/hash-{dim}"

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Give the unit vectors of texts, (N, dim) float32."""
        return np.stack([self._one(text) for text in texts]) if texts else np.zeros((0, self.dim), np.float32)

    def _one(self, text: str) -> np.ndarray:
        words = sorted(set(WORD.findall(text.lower()))) or [text]
        total = np.sum([self._word(word) for word in words], axis=0)
        unit: np.ndarray = (total / np.linalg.norm(total)).astype(np.float32)
        return unit

    def _word(self, word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
        return np.random.default_rng(seed).standard_normal(self.dim)


def _open(model: str, threads: int | None) -> tuple[Callable[[str], np.ndarray], int]:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        net = SentenceTransformer(model, device="cpu")
    except (OSError, ValueError) as error:
        raise ValueError(f"no sentence-transformers model {model!r}: give a folder that holds one") from error

    def one(text: str) -> np.ndarray:
        vector: np.ndarray = net.encode([text], normalize_embeddings=True, show_progress_bar=False)[0]
        return vector.astype(np.float32)

    return one, int(net.get_embedding_dimension() or len(one("")))
