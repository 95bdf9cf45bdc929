"""What tools make of the assets that they are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from tools import pictures
from tools.base import Input

ENCODED_PX = 64  # the side of a picture that the VAE encodes


def pixels_of(given: Input) -> np.ndarray:
    """Give a picture's pixels, (H, W, 3) uint8.

    Raises:
        InvalidInput: it is no picture that can be decoded.
    """
    return pictures.decode(given.content, f"asset {given.asset_id!r}")


def latents_of(given: Input, encoder: Any) -> np.ndarray:
    """Give a picture's latents: those that it was drawn from, or what the VAE sees in its pixels.

    Raises:
        InvalidInput: it is no picture that can be decoded.
    """
    if given.latents is not None:
        return given.latents
    return encoded(given, encoder)


def encoded(given: Input, encoder: Any) -> np.ndarray:
    """Give what the VAE sees in a picture's pixels.

    Raises:
        InvalidInput: it is no picture that can be decoded.
    """
    latents: np.ndarray = encoder.encode(pictures.fit(pixels_of(given), ENCODED_PX)[None])[0]
    return latents
