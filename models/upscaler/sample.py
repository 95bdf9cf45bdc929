"""Enlarge pictures with the trained upscaler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.upscaler.net import UpscalerConfig, UpscalerNet
from models.weights import files


class Upscaler:
    """The trained net; one picture a forward pass."""

    def __init__(self, net: UpscalerNet, device: str = "cpu") -> None:
        self.net, self.device = net.eval().to(device), device
        self.size_bytes = sum(p.numel() * p.element_size() for p in net.parameters())

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu", **_: Any) -> Upscaler:
        """Load the shipped weights, or those of a folder with a manifest, onto "cpu" or "cuda"."""
        config, arrays = files.read("upscaler", UpscalerConfig, weights)
        net = UpscalerNet(config)
        net.load_state_dict({key: torch.from_numpy(value) for key, value in arrays.items()})
        return cls(net, device)

    def enlarge(self, picture: np.ndarray) -> np.ndarray:
        """Make one picture four times as wide and high.

        Args:
            picture: (H, W, 3) float32 in [0, 1].

        Returns:
            (4 H, 4 W, 3) float32 in [0, 1].
        """
        x = torch.from_numpy(np.ascontiguousarray(picture, np.float32)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            y = self.net(x.to(self.device).contiguous(memory_format=torch.channels_last)).clamp(0, 1)
        return np.ascontiguousarray(y[0].permute(1, 2, 0).cpu().numpy())
