"""The shape of the VAE, saved in its weights file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VaeConfig:
    """Widths by the side of the feature map that they belong to."""

    latent_channels: int = 12
    latent_px: int = 8
    encoder_16: int = 56
    encoder_8: int = 112
    encoder_blocks: int = 1
    decoder_8: int = 144
    decoder_16: int = 72
    decoder_32: int = 24
    decoder_blocks: int = 1
