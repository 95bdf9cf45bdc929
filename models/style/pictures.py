"""The pictures of a company and what they show, on their way to a training. Light: no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

LEAST = 12  # pictures that a look can be learned from
MOST = 500
SIDE_PX = 64
HELD_OUT = 0.12


@dataclass(frozen=True)
class Pictures:
    """N pictures of a company.

    Attributes:
        rgb: (N, 64, 64, 3) uint8.
        vectors: (N, 384) float32, unit vectors of the captions.
        captions: N texts.
        held_out: (N,) bool, kept from training.
    """

    rgb: np.ndarray
    vectors: np.ndarray
    captions: list[str]
    held_out: np.ndarray


def pictures(rgb: np.ndarray, vectors: np.ndarray, captions: list[str], seed: int = 0) -> Pictures:
    """Choose what is held out.

    Raises:
        ValueError: there are too few pictures, or the lengths differ.
    """
    if len(rgb) < LEAST:
        raise ValueError(f"a style needs at least {LEAST} pictures, got {len(rgb)}")
    if not len(rgb) == len(vectors) == len(captions):
        raise ValueError(f"{len(rgb)} pictures, {len(vectors)} vectors and {len(captions)} captions")
    held = np.zeros(len(rgb), bool)
    held[np.random.default_rng(seed).permutation(len(rgb))[: max(2, round(HELD_OUT * len(rgb)))]] = True
    return Pictures(rgb, np.asarray(vectors, np.float32), list(captions), held)


def save(path: Path, rgb: np.ndarray, vectors: np.ndarray, captions: list[str]) -> None:
    """Write pictures for a training process."""
    np.savez(path, rgb=rgb, vectors=np.asarray(vectors, np.float32), captions=np.array(captions))


def load(path: Path, seed: int = 0) -> Pictures:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return pictures(arrays["rgb"], arrays["vectors"], [str(text) for text in arrays["captions"]], seed)
