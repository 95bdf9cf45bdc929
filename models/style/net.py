"""The network of a look. Letters: B batch, C latent channels, H, W of a latent."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.vae.config import VaeConfig
from models.vae.net import Decoder, start_at_zero


@dataclass(frozen=True)
class StyleConfig:
    """The shape of the nets, and how they are used.

    Attributes:
        channels, blocks: width and depth of the adapter.
        base: the shipped style whose pictures lent their colours when it was trained.
        inset: how large a thing stands in the company's pictures, beside one that fills them.
        own_cosine: a text this near to a caption of the company starts from the company's picture.
    """

    latent_channels: int = 12
    latent_px: int = 8
    channels: int = 128
    blocks: int = 2
    decoder_8: int = 144
    decoder_16: int = 72
    decoder_32: int = 24
    decoder_blocks: int = 1
    base: str = "fluent"
    inset: float = 1.0
    own_cosine: float = 0.8

    def vae(self) -> VaeConfig:
        """Give the part that the decoder is built from."""
        return VaeConfig(
            latent_channels=self.latent_channels,
            latent_px=self.latent_px,
            decoder_8=self.decoder_8,
            decoder_16=self.decoder_16,
            decoder_32=self.decoder_32,
            decoder_blocks=self.decoder_blocks,
        )


class Pointwise(nn.Module):
    """Two 1 × 1 convolutions around an identity; the second starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 1)
        self.second = nn.Conv2d(channels, channels, 1)
        start_at_zero(self.second)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, C, H, W)."""
        y: Tensor = self.second(functional.relu(self.first(functional.relu(x))))
        return x + y


class Adapter(nn.Module):
    """Carries latents of known pictures over to latents of the look; begins as the identity.

    It sees 5 × 5 cells of a latent at once: enough for lines and areas, too little to know whole things by heart.
    """

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(config.channels, config.latent_px, config.latent_px))
        self.first = nn.Conv2d(config.latent_channels, config.channels, 3, padding=1)
        self.blocks = nn.Sequential(*(Pointwise(config.channels) for _ in range(config.blocks)))
        self.last = nn.Conv2d(config.channels, config.latent_channels, 3, padding=1)
        start_at_zero(self.last)

    def forward(self, z: Tensor) -> Tensor:
        """Keep the shape (B, C, H, W)."""
        change: Tensor = self.last(functional.relu(self.blocks(self.first(z) + self.place)))
        return z + change


class StyleNet(nn.Module):
    """The adapter, and the VAE's decoder tuned to the company's pictures."""

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        self.adapter = Adapter(config)
        self.decoder = Decoder(config.vae())
