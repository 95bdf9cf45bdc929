"""Stand-ins for the picture models: the same calls and shapes, made in a moment without torch or weights.

Latents are (12, 8, 8) like the real ones; the first three channels are the colours of an 8 × 8 picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SHAPE = (12, 8, 8)


class FakeVae:
    """Takes a picture's colours apart and puts them together again."""

    size_bytes = 1000

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 to (N, 12, 8, 8) float32."""
        N, H, W, _ = pixels.shape
        rows, columns = (np.linspace(0, side - 1, SHAPE[1]).astype(int) for side in (H, W))
        latents = np.zeros((N, *SHAPE), np.float32)
        latents[:, :3] = (pixels[:, rows][:, :, columns].transpose(0, 3, 1, 2) / 127.5 - 1) * 2
        return latents

    def decode(self, latents: np.ndarray, size: int) -> np.ndarray:
        """(N, 12, 8, 8) float32 to (N, size, size, 3) uint8."""
        colours = np.clip((latents[:, :3] / 2 + 1) * 127.5, 0, 255)
        factor = size // SHAPE[1]
        return np.rint(colours).astype(np.uint8).repeat(factor, 2).repeat(factor, 3).transpose(0, 2, 3, 1)

    def sample(self, text_vectors: np.ndarray, styles: Sequence[str | None], seeds: Sequence[int]) -> np.ndarray:
        """Draw the latents of texts: the text decides the colours, style and seed move them a little."""
        return np.stack([_sample(*one) for one in zip(text_vectors, styles, seeds, strict=True)])


class FakeCGan:
    """Draws and varies latents."""

    size_bytes = 1000

    def sample(self, text_vectors: np.ndarray, styles: Sequence[str | None], seeds: Sequence[int]) -> np.ndarray:
        """Draw the latents of texts, (N, 12, 8, 8) float32."""
        return np.stack([_sample(*one) for one in zip(text_vectors, styles, seeds, strict=True)])

    def vary(self, latent: np.ndarray, text_vector: np.ndarray | None, strength: float, seed: int) -> np.ndarray:
        """Move a latent away, and towards a text."""
        goal = _sample(np.zeros(4) if text_vector is None else text_vector, None, seed)
        moved: np.ndarray = (1 - strength) * latent + strength * goal
        return moved.astype(np.float32)

    def knows(self, _: np.ndarray, k: int = 1) -> list[tuple[str, float]]:
        """Give the nearest of the things that it was trained on."""
        return [("cat", 1.0), ("dog", 0.5)][:k]


class FakeStyle:
    """A look: what the GAN draws, with a tint."""

    size_bytes = 1000

    def __init__(self, sha256: str, tint: int = 40) -> None:
        self.sha256, self.tint = sha256, tint

    def decoder(self, vae: FakeVae) -> FakeVae:
        """Give the decoder."""
        return vae

    def sample(self, net: FakeCGan, _: FakeVae, text_vectors: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Draw the latents of texts, (N, 12, 8, 8) float32."""
        return self._tinted(net.sample(text_vectors, [None] * len(seeds), seeds))

    def vary(
        self, net: FakeCGan, _: FakeVae, latent: np.ndarray, text: np.ndarray, strength: float, seed: int, *, anew: bool
    ) -> np.ndarray:
        """Move a latent, tinted."""
        return self._tinted(net.vary(latent, text if anew else None, strength, seed))

    def _tinted(self, latents: np.ndarray) -> np.ndarray:
        moved: np.ndarray = latents + np.float32(self.tint / 100)
        return moved


def _sample(vector: np.ndarray, style: str | None, seed: int) -> np.ndarray:
    key = int(abs(float(vector @ np.arange(1, len(vector) + 1))) * 1e6) % (1 << 63)
    of_text = np.random.default_rng(key).standard_normal(SHAPE)
    of_seed = np.random.default_rng([seed, len(style or "")]).standard_normal(SHAPE)
    return (of_text + 0.3 * of_seed).astype(np.float32)
