"""Where things stand in a company's pictures, and the known things that its look is laid over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from models.emoji.memory import Memory
from models.emoji.sources import STYLES
from models.vae.sample import Vae
from models.vae.train import to_tensor

INSIDE = 0.4  # of the usual difference between pictures
FULL = 0.92  # of the width of a picture is covered by a thing that fills it
INSETS = (1.0, 0.9, 0.8, 0.7, 0.6)


def inside_of(rgb: np.ndarray) -> np.ndarray:
    """Tell where things stand in pictures, (N, 64, 64, 3): (64, 64) bool.

    What differs from picture to picture is the thing; what is everywhere the same is the ground or a frame.
    """
    differs = rgb.astype(np.float32).std(0).mean(-1)
    inside = torch.from_numpy(differs > INSIDE * np.quantile(differs, 0.95))[None, None].float()
    grown = functional.max_pool2d(inside, 5, 1, 2)
    return np.asarray((-functional.max_pool2d(-grown, 5, 1, 2))[0, 0].bool().numpy())


def inset_of(inside: np.ndarray) -> float:
    """Tell how large things stand in pictures: 1 where they fill them, less inside a badge or frame."""
    rows, columns = np.flatnonzero(inside.mean(1) > 0.15), np.flatnonzero(inside.mean(0) > 0.15)
    if not len(rows) or not len(columns):
        return 1.0
    side = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    return min(INSETS, key=lambda inset: abs(inset - side / (FULL * 64)))


def smaller(rgb: np.ndarray, inset: float) -> np.ndarray:
    """Make pictures, (N, 64, 64, 3) uint8, smaller on white around their middle."""
    side = round(64 * inset)
    if side >= 64:
        return rgb
    found = np.full_like(rgb, 255)
    edge = (64 - side) // 2
    for page, picture in zip(found, rgb, strict=True):
        small = Image.fromarray(picture).resize((side, side), Image.Resampling.BOX)
        page[edge : edge + side, edge : edge + side] = np.asarray(small)
    return found


@dataclass(frozen=True)
class Known:
    """K known pictures of one shipped style: latents (K, C, H, W) and what they show, (K, 3, 64, 64) in [-1, 1]."""

    latents: Tensor
    pixels: Tensor


def known(vae: Vae, memory: Memory, style: str, inset: float, count: int, seed: int = 0) -> Known:
    """Draw known pictures of a style, as small as the company's things stand in theirs."""
    rows = np.flatnonzero(memory.style == STYLES.index(style))
    rows = np.random.default_rng(seed).permutation(rows)[:count]
    latents = np.stack([memory.latent(int(row)) for row in rows])
    rgb = smaller(vae.decode(latents), inset)
    if inset < 1:
        latents = vae.encode(rgb)
    return Known(torch.from_numpy(latents), to_tensor(rgb).contiguous())
