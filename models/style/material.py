"""What a look is learned from: the company's pictures and captions, and the known things that it is laid over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.emoji.memory import Memory
from models.emoji.sources import STYLES
from models.vae.sample import Vae
from models.vae.train import to_tensor

LEAST = 12  # pictures that a look can be learned from
HELD_OUT = 0.12
FULL = 0.92  # of the width of a picture is covered by a thing that fills it
INSETS = (1.0, 0.9, 0.8, 0.7, 0.6)


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


def inset_of(rgb: np.ndarray) -> float:
    """Tell how large things stand in pictures, (N, 64, 64, 3): 1 where they fill them, less inside a badge or frame.

    What differs from picture to picture is the thing; what is everywhere the same is the ground or a frame.
    """
    differs = rgb.astype(np.float32).std(0).mean(-1)
    inside = differs > 0.4 * np.quantile(differs, 0.95)
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


def moved(x: Tensor, generator: torch.Generator) -> Tensor:
    """Shift pictures (B, 3, H, W) by up to two pixels; the edge is continued."""
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")
    found = []
    for picture in padded:
        down, across = torch.randint(5, (2,), generator=generator).tolist()
        found.append(picture[:, down : down + x.shape[2], across : across + x.shape[3]])
    return torch.stack(found)
