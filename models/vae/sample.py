"""Encode, decode and sample pictures with the trained VAE. Letters: N pictures, C, H, W of a latent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from models.emoji.memory import Memory
from models.upscaler.sample import Upscaler
from models.vae.config import VaeConfig
from models.vae.net import VaeNet
from models.weights import files

CHUNK = 1  # pictures a forward pass: a fixed shape, so that neighbours never change a picture's bits
SIZES = (64, 128, 256)
MIN_SIDE_PX = 32


class Vae:
    """The trained VAE, its upscaler and its memory of known pictures."""

    def __init__(
        self,
        net: VaeNet,
        config: VaeConfig,
        upscaler: Upscaler | None = None,
        memory: Memory | None = None,
        device: str = "cpu",
    ) -> None:
        self.net, self.config, self.upscaler, self.memory = net.eval().to(device), config, upscaler, memory
        self.device = device
        self.latent_shape: tuple[int, ...] = (config.latent_channels, config.latent_px, config.latent_px)
        own = sum(p.numel() * p.element_size() for p in net.parameters())
        self.size_bytes = own + sum(part.size_bytes for part in (upscaler, memory) if part is not None)

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu", **_: Any) -> Vae:
        """Load the shipped weights, or those of a folder with a manifest, onto "cpu" or "cuda"."""
        config, arrays = files.read("vae", VaeConfig, weights)
        net = VaeNet(config)
        net.load_state_dict({key: torch.from_numpy(value) for key, value in arrays.items()})
        return cls(net, config, Upscaler.load(weights, device), Memory.load(weights), device)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Return the means of the posteriors.

        Args:
            pixels: (N, H, W, 3) uint8, any size from 32; not square is fitted on white.

        Returns:
            (N, C, H, W) float32.

        Raises:
            ValueError: another shape or dtype, or a side under 32.
        """
        if pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.dtype != np.uint8:
            raise ValueError(f"pixels must be (N, H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
        if min(pixels.shape[1:3]) < MIN_SIDE_PX:
            raise ValueError(f"pictures need {MIN_SIDE_PX} pixels a side, got {pixels.shape[1:3]}")
        if not len(pixels):
            return np.empty((0, *self.latent_shape), np.float32)
        return np.stack([self._encode_one(fit(picture)) for picture in pixels])

    def decode(self, latents: np.ndarray, size: int = 64) -> np.ndarray:
        """Return pictures.

        Args:
            latents: (N, C, H, W) float32.
            size: 64, 128 or 256 pixels a side.

        Returns:
            (N, size, size, 3) uint8.

        Raises:
            ValueError: another size, or latents of another shape.
        """
        if size not in SIZES:
            raise ValueError(f"size must be one of {SIZES}, got {size}")
        if latents.shape[1:] != self.latent_shape:
            raise ValueError(f"latents must be (N, {self.latent_shape}), got {latents.shape}")
        if size != SIZES[0] and self.upscaler is None:
            raise ValueError(f"size {size} needs the upscaler: load it, or decode at {SIZES[0]}")
        found = [self._decode_one(latent, size) for latent in latents]
        return np.stack(found) if found else np.empty((0, size, size, 3), np.uint8)

    def sample(self, text_vectors: np.ndarray, styles: list[str | None], seeds: list[int]) -> np.ndarray:
        """Draw from the posteriors of the known pictures that the texts mean.

        Args:
            text_vectors: (N, 384) float32, unit length.
            styles: N names of `STYLES`, or None for any.
            seeds: N numbers; the same seed draws the same latent.

        Returns:
            (N, C, H, W) float32.

        Raises:
            ValueError: a style is unknown, or the lengths differ.
        """
        if self.memory is None:
            raise ValueError("sampling by words needs the memory: load the VAE with Vae.load")
        return np.stack(
            [
                self._sample_one(self.memory, text, style, seed)
                for text, style, seed in zip(text_vectors, styles, seeds, strict=True)
            ]
        )

    def _sample_one(self, memory: Memory, text: np.ndarray, style: str | None, seed: int) -> np.ndarray:
        rng = np.random.Generator(np.random.PCG64(seed))
        mean = memory.latent(memory.draw(text, style, rng, seed))
        noise = rng.standard_normal(mean.shape, dtype=np.float32)
        return np.asarray(mean + noise * memory.spread[:, None, None], np.float32)

    def _encode_one(self, picture: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float().div(127.5).sub(1)
        with torch.inference_mode():
            mean, _ = self.net.encoder(x.to(self.device).contiguous(memory_format=torch.channels_last))
        return np.ascontiguousarray(mean[0].cpu().numpy(), np.float32)

    def _decode_one(self, latent: np.ndarray, size: int) -> np.ndarray:
        z = torch.from_numpy(np.ascontiguousarray(latent, np.float32))[None]
        with torch.inference_mode():
            y = self.net.decoder(z.to(self.device).contiguous(memory_format=torch.channels_last)).clamp(-1, 1)
        small = y[0].cpu().permute(1, 2, 0).add(1).mul(0.5).contiguous().numpy()
        if size == SIZES[0] or self.upscaler is None:
            return to_bytes(small)
        large = self.upscaler.enlarge(small)
        if size == SIZES[1]:
            large = large.reshape(size, 2, size, 2, 3).mean((1, 3))
        return to_bytes(large)


def fit(picture: np.ndarray) -> np.ndarray:
    """Fit an (H, W, 3) uint8 picture into 64 × 64, on white where it is not square."""
    image = Image.fromarray(picture)
    if image.size == (64, 64):
        return picture
    if max(image.size) > 64:
        image.thumbnail((64, 64), Image.Resampling.BOX)
    if max(image.size) < 64:
        scale = 64 / max(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    page = Image.new("RGB", (64, 64), "white")
    page.paste(image, ((64 - image.width) // 2, (64 - image.height) // 2))
    return np.asarray(page)


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """Turn [0, 1] floats into uint8; nearly white becomes white, so that the page stays clean."""
    found = np.round(picture * 255).clip(0, 255)
    found[(found >= 250).all(-1)] = 255
    return np.asarray(found, np.uint8)
