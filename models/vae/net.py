"""The networks of the VAE. Letters: B batch, C channels, H height, W width."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from models.vae.config import VaeConfig


def start_at_zero(layer: nn.Conv2d) -> None:
    """Make a convolution give zeros until it is trained."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class Residual(nn.Module):
    """Two 3 × 3 convolutions around an identity; the second starts at zero, so no normalisation is needed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        start_at_zero(self.second)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, C, H, W)."""
        y: Tensor = self.second(functional.relu(self.first(functional.relu(x))))
        return x + y


class Encoder(nn.Module):
    """Pictures (B, 3, 64, 64) in [-1, 1] to the mean and log variance of latents (B, C, 8, 8)."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, config.encoder_16, 3, padding=1),
            *(Residual(config.encoder_16) for _ in range(config.encoder_blocks)),
            nn.ReLU(),
            nn.Conv2d(config.encoder_16, config.encoder_8, 4, stride=2, padding=1),
            *(Residual(config.encoder_8) for _ in range(config.encoder_blocks)),
            nn.ReLU(),
            nn.Conv2d(config.encoder_8, 2 * config.latent_channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, the latter within [-10, 4]."""
        mean, log_variance = self.net(x).chunk(2, 1)
        return mean, log_variance.clamp(-10, 4)


class Decoder(nn.Module):
    """Latents (B, C, 8, 8) to pictures (B, 3, 64, 64), near [-1, 1], not clipped."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(config.latent_channels, config.decoder_8, 3, padding=1),
            *(Residual(config.decoder_8) for _ in range(config.decoder_blocks)),
            nn.ReLU(),
            nn.Conv2d(config.decoder_8, 4 * config.decoder_16, 1),
            nn.PixelShuffle(2),
            *(Residual(config.decoder_16) for _ in range(config.decoder_blocks)),
            nn.ReLU(),
            nn.Conv2d(config.decoder_16, 4 * config.decoder_32, 1),
            nn.PixelShuffle(2),
            Residual(config.decoder_32),
            nn.ReLU(),
            nn.Conv2d(config.decoder_32, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return pictures."""
        return self.net(z)  # type: ignore[no-any-return]


class VaeNet(nn.Module):
    """Encoder and decoder together."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)


class Critic(nn.Module):
    """Scores the realness of 16-pixel patches: (B, 3, 64, 64) to (B, 1, 8, 8); used in training alone."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(3, width, 4, stride=2, padding=1),
                nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
                nn.Conv2d(2 * width, 2 * width, 4, stride=2, padding=1),
            ]
        )
        self.head = nn.Conv2d(2 * width, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the scores and the features of each layer."""
        features = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.head(x), features
