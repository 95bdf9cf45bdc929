"""Where the frames of a morph lie in a latent space."""

from __future__ import annotations

import numpy as np


def between(keys: np.ndarray, frames: int, *, closed: bool) -> np.ndarray:
    """Lead from each key to the next, slowly at the keys and faster between them.

    Args:
        keys: (K, …) float32, two or more.
        frames: how many points.
        closed: come back to the first key, so that the last frame leads to the first one.

    Returns:
        (frames, …) float32.
    """
    knots = np.concatenate([keys, keys[:1]]) if closed else keys
    steps = frames if closed else max(1, frames - 1)
    at = np.arange(frames) / steps * (len(knots) - 1)
    segment = np.minimum(at.astype(int), len(knots) - 2)
    shares = ease(at - segment)
    return np.stack([blend(knots[i], knots[i + 1], share) for i, share in zip(segment, shares, strict=True)])


def ease(shares: np.ndarray) -> np.ndarray:
    """Start and end softly; at most one and a half times the mean speed.

    Source: the Hermite polynomial 3t² - 2t³.
    """
    eased: np.ndarray = shares * shares * (3 - 2 * shares)
    return eased


def blend(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Go from one latent to another along the arc between them, the length changing evenly.

    The straight line passes through shorter vectors, which decode to pale pictures.

    Source: Shoemake 1985, "Animating rotation with quaternion curves" (slerp).
    """
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    if min(lengths) == 0:
        return ((1 - share) * first + share * second).astype(np.float32)
    one, two = first / lengths[0], second / lengths[1]
    angle = np.arccos(np.clip(np.vdot(one, two), -1, 1))
    if np.sin(angle) < 1e-4:  # nearly the same or opposite direction: no arc to follow
        return ((1 - share) * first + share * second).astype(np.float32)
    direction = (np.sin((1 - share) * angle) * one + np.sin(share * angle) * two) / np.sin(angle)
    made: np.ndarray = direction * ((1 - share) * lengths[0] + share * lengths[1])
    return made.astype(np.float32)
