"""The upscaler: convolutions at 64 pixels, then each pixel becomes 4 × 4 (ESPCN, arXiv:1609.05158)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class UpscalerConfig:
    """Width and depth."""

    channels: int = 28
    layers: int = 3


class UpscalerNet(nn.Module):
    """(B, 3, H, W) in [0, 1] to (B, 3, 4 H, 4 W); adds detail to a bicubic enlargement."""

    def __init__(self, config: UpscalerConfig) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, config.channels, 5, padding=2)
        self.middle = nn.ModuleList(
            nn.Conv2d(config.channels, config.channels, 3, padding=1) for _ in range(config.layers)
        )
        self.last = nn.Conv2d(config.channels, 48, 3, padding=1)
        for layer in (self.first, *self.middle):
            nn.init.kaiming_normal_(layer.weight, a=0.1)  # torch's own start lets the signal die in four layers
        nn.init.normal_(self.last.weight, std=0.003)

    def forward(self, x: Tensor) -> Tensor:
        """Return the enlarged pictures, not clipped."""
        h = functional.leaky_relu(self.first(2 * x - 1), 0.1)
        for layer in self.middle:
            h = functional.leaky_relu(layer(h), 0.1)
        detail = functional.pixel_shuffle(self.last(h), 4)
        return functional.interpolate(x, scale_factor=4, mode="bicubic", align_corners=False) + detail
