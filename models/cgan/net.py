"""Generator and critic. Letters: B batch, C latent channels, H, W of a latent, D numbers of a text vector."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.vae.net import start_at_zero


@dataclass(frozen=True)
class CGanConfig:
    """Widths and depth, and where a text is too far from all captions to be known."""

    latent_channels: int = 12
    latent_px: int = 8
    text: int = 384
    styles: int = 4
    noise: int = 16
    condition: int = 192
    channels: int = 96
    blocks: int = 3
    known_cosine: float = 0.6


class Modulated(nn.Module):
    """A residual block whose middle is scaled and shifted by the condition (FiLM, arXiv:1709.07871)."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.film = nn.Linear(condition, 2 * channels)
        start_at_zero(self.second)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Keep the shape of x, (B, channels, H, W)."""
        scale, shift = self.film(condition)[:, :, None, None].chunk(2, 1)
        h = self.first(functional.relu(x)) * (1 + scale) + shift
        y: Tensor = self.second(functional.relu(h))
        return x + y


class Generator(nn.Module):
    """Changes a start latent into what the text, the style and the noise say."""

    def __init__(self, config: CGanConfig) -> None:
        super().__init__()
        inputs = config.text + config.styles + config.noise
        self.condition = nn.Sequential(
            nn.Linear(inputs, 2 * config.condition),
            nn.ReLU(),
            nn.Linear(2 * config.condition, config.condition),
            nn.ReLU(),
        )
        self.place = nn.Parameter(torch.zeros(config.channels, config.latent_px, config.latent_px))
        self.first = nn.Conv2d(config.latent_channels, config.channels, 3, padding=1)
        self.blocks = nn.ModuleList(Modulated(config.channels, config.condition) for _ in range(config.blocks))
        self.last = nn.Conv2d(config.channels, config.latent_channels, 3, padding=1)
        start_at_zero(self.last)

    def forward(self, start: Tensor, text: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """Return (B, C, H, W) latents.

        Args:
            start: (B, C, H, W).
            text: (B, D) unit vectors.
            style: (B, styles) one-hot.
            noise: (B, noise), the first four are the small change of size, place and hue.
        """
        condition = self.condition(torch.cat([text * 8, style, noise], 1))
        h = self.first(start) + self.place
        for block in self.blocks:
            h = block(h, condition)
        change: Tensor = self.last(functional.relu(h))
        return start + change


class Critic(nn.Module):
    """Scores how real a latent is and how well it fits its text and style (projection, arXiv:1802.05637)."""

    def __init__(self, config: CGanConfig, channels: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(config.latent_channels, channels, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.real = nn.Conv2d(2 * channels, 1, 1)
        self.fit = nn.Sequential(
            nn.Linear(config.text + config.styles, config.condition),
            nn.ReLU(),
            nn.Linear(config.condition, 2 * channels),
        )

    def forward(self, latent: Tensor, text: Tensor, style: Tensor) -> Tensor:
        """Return (B,) scores."""
        h: Tensor = self.net(latent)
        fit: Tensor = self.fit(torch.cat([text * 8, style], 1))
        real: Tensor = self.real(h).mean((1, 2, 3))
        return real + (fit * h.mean((2, 3))).mean(1)
