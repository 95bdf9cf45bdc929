"""A single picture in gentle motion, so that it is a video too."""

from __future__ import annotations

import numpy as np
from PIL import Image

TILT = np.deg2rad(5)  # a sticker on white leans so far to each side
BREATH = 0.06  # and grows and shrinks by so much
ZOOM = 0.1  # a picture that fills its frame comes nearer by so much instead, so that no edge shows
WHITE = 250


def sway(pixels: np.ndarray, frames: int, start: int, stop: int) -> np.ndarray:
    """Give some frames of a loop that ends where it begins.

    Args:
        pixels: (S, S, 3) uint8.
        frames: in the whole loop.
        start, stop: which of them.

    Returns:
        (stop - start, S, S, 3) uint8.
    """
    picture = Image.fromarray(pixels)
    sticker = is_on_white(pixels)
    return np.stack([_moved(picture, 2 * np.pi * at / frames, sticker=sticker) for at in range(start, stop)])


def is_on_white(pixels: np.ndarray) -> bool:
    """Say whether the edge of a picture is white."""
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return bool(np.median(edge.min(axis=1)) >= WHITE)


def _moved(picture: Image.Image, angle: float, *, sticker: bool) -> np.ndarray:
    middle = (picture.width - 1) / 2
    swing = (1 - np.cos(angle)) / 2
    tilt, scale = (TILT * np.sin(angle), 1 - BREATH * swing) if sticker else (0.0, 1 + ZOOM * swing)
    cosine, sine = np.cos(tilt) / scale, np.sin(tilt) / scale  # from a place in the frame to its place in the picture
    across = middle - cosine * middle - sine * middle
    down = middle + sine * middle - cosine * middle
    matrix = (cosine, sine, across, -sine, cosine, down)
    moved = picture.transform(
        picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255)
    )
    return np.asarray(moved)
