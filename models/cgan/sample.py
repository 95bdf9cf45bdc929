"""Draw latents from texts. Letters: N pictures, C, H, W of a latent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.cgan.net import CGanConfig, Generator
from models.emoji.memory import Memory
from models.emoji.sources import STYLES
from models.weights import files

CHANGE = np.array([0.7, 0.4, 0.4, 0.7], np.float32)  # how far a seed changes size (down alone), place and hue
FULL_SIZE = np.float32(1.4)  # of the first number of the noise
START_NOISE = 0.7  # of the posterior's own spread


class CGan:
    """The trained generator and the memory that it starts from."""

    def __init__(self, net: Generator, config: CGanConfig, memory: Memory, device: str = "cpu") -> None:
        self.net, self.config, self.memory, self.device = net.eval().to(device), config, memory, device
        self.latent_shape: tuple[int, ...] = (config.latent_channels, config.latent_px, config.latent_px)
        self.size_bytes = sum(p.numel() * p.element_size() for p in net.parameters()) + memory.size_bytes

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu", **_: Any) -> CGan:
        """Load the shipped weights, or those of a folder with a manifest, onto "cpu" or "cuda"."""
        config, arrays = files.read("cgan", CGanConfig, weights)
        net = Generator(config)
        net.load_state_dict({key: torch.from_numpy(value) for key, value in arrays.items()})
        return cls(net, config, Memory.load(weights), device)

    def sample(self, text_vectors: np.ndarray, styles: list[str | None], seeds: list[int]) -> np.ndarray:
        """Draw a latent for each text.

        Args:
            text_vectors: (N, 384) float32, unit length.
            styles: N names of `STYLES`, or None for any.
            seeds: N numbers; the same text, style and seed draw the same latent, whatever stands beside them.

        Returns:
            (N, C, H, W) float32.

        Raises:
            ValueError: a style is unknown, the lengths differ, or a vector has another length.
        """
        if text_vectors.ndim != 2 or text_vectors.shape[1] != self.config.text:
            raise ValueError(f"text vectors must be (N, {self.config.text}), got {text_vectors.shape}")
        rows = list(zip(text_vectors, styles, seeds, strict=True))
        found = [self._sample_one(*row) for row in rows]
        return np.stack(found) if found else np.empty((0, *self.latent_shape), np.float32)

    def vary(self, latent: np.ndarray, text_vector: np.ndarray | None, strength: float, seed: int) -> np.ndarray:
        """Make another version of a picture.

        Up to a strength of about a half the picture itself is changed, as the text says if there is one; above it
        the version grows towards another known picture of the text, or of the thing that the latent is nearest to.

        Args:
            latent: (C, H, W) float32.
            text_vector: (384,) float32, or None.
            strength: 0 nearly the same, 1 another picture.
            seed: the same seed makes the same version.

        Returns:
            (C, H, W) float32.

        Raises:
            ValueError: a strength outside [0, 1], or a latent of another shape.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be in [0, 1], got {strength}")
        if latent.shape != self.latent_shape:
            raise ValueError(f"the latent must be {self.latent_shape}, got {latent.shape}")
        rng = np.random.Generator(np.random.PCG64(seed))
        row = self.memory.nearest_row(latent)
        text = self.memory.vectors[self.memory.thing[row]] if text_vector is None else text_vector
        style = int(self.memory.style[row])
        other = self.memory.draw(text, STYLES[style] if strength < 0.8 else None, rng, seed)
        start, told = self.memory.start(row if strength < 0.6 else other, text, insist=text_vector is not None)
        if strength < 0.6 and np.array_equal(start, self.memory.latent(row)):
            start = latent
        made = self._generate(start, told, style, rng, min(1.0, 0.3 + strength))
        weight = np.float32(min(1.0, 2 * strength) if text_vector is None else min(1.0, 5 * strength))
        return np.asarray(latent + weight * (made - latent), np.float32)

    def knows(self, text_vector: np.ndarray, k: int = 5) -> list[tuple[str, float]]:
        """Return the k known things that are nearest to a text and their cosines, best first.

        A best cosine under `config.known_cosine` means that the text is outside what the family learned.
        """
        return self.memory.nearest(text_vector, k)

    def _sample_one(self, text: np.ndarray, style: str | None, seed: int) -> np.ndarray:
        rng = np.random.Generator(np.random.PCG64(seed))
        row = self.memory.draw(text, style, rng, seed)
        wanted = int(self.memory.style[row]) if style is None else STYLES.index(style)
        start, told = self.memory.start(row, text)
        return self._generate(start, told, wanted, rng, 1.0)

    def _generate(
        self, start: np.ndarray, text: np.ndarray, style: int, rng: np.random.Generator, change: float
    ) -> np.ndarray:
        own = rng.standard_normal(start.shape, dtype=np.float32) * self.memory.spread[:, None, None]
        noise = rng.standard_normal(self.config.noise, dtype=np.float32)
        noise[:4] = noise[:4].clip(-1.5, 1.5) * CHANGE * np.float32(change)
        noise[0] = FULL_SIZE - np.abs(noise[0])
        one_hot = np.eye(self.config.styles, dtype=np.float32)[style]
        inputs = (start + START_NOISE * own, text.astype(np.float32), one_hot, noise)
        with torch.inference_mode():
            z = self.net(*(torch.from_numpy(np.ascontiguousarray(part))[None].to(self.device) for part in inputs))
        return np.ascontiguousarray(z[0].cpu().numpy(), np.float32)
