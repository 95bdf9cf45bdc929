"""Low-rank adapters on the linears of a llama-shaped net, and their file.

Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021, equation 3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.language.gguf_llama import LINEARS

SCALE = 2.0


class Adapted(nn.Module):
    """A frozen linear plus SCALE · B A; A and B are kept in float32 and used in the linear's type."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features) * base.in_features**-0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (…, in) to (…, out)."""
        low = nn.functional.linear(x, self.down.to(x.dtype))
        out: torch.Tensor = self.base(x) + nn.functional.linear(low, (SCALE * self.up).to(x.dtype))
        return out


def adapt(net: Any, rank: int) -> dict[str, Adapted]:
    """Freeze a net and put an adapter on every linear of its blocks.

    Returns:
        The adapters by their GGUF name, "blk.0.attn_q".
    """
    net.requires_grad_(requires_grad=False)
    found = {}
    for number, layer in enumerate(net.model.layers):
        for short, long in LINEARS.items():
            parent, name = layer.get_submodule(long.rpartition(".")[0]), long.rpartition(".")[2]
            found[f"blk.{number}.{short}"] = Adapted(getattr(parent, name), rank)
            setattr(parent, name, found[f"blk.{number}.{short}"])
    return found


def parameters(adapters: dict[str, Adapted]) -> dict[str, nn.Parameter]:
    """Give what is trained, by name."""
    return {f"{name}.{part}": getattr(module, part) for name, module in adapters.items() for part in ("down", "up")}


def save(adapters: dict[str, Adapted], path: Path) -> None:
    """Write the adapter as float16 safetensors, whole or not at all."""
    from safetensors.torch import save_file

    tensors = {name: value.detach().to(torch.float16).contiguous() for name, value in parameters(adapters).items()}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"scale": str(SCALE)})
    temporary.replace(path)
