"""How far pictures are from a look, and from themselves. Letter: B batch, pictures (B, 3, 64, 64) in [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

PATCH = 5
PROJECTIONS = 48
SAMPLES = 4096  # patches a batch and size
PLACE_WEIGHT = (0.0, 0.7, 1.4)  # how much of a patch's place is compared, for pictures at a whole, half, quarter


def look_distance(drawn: Tensor, real: Tensor, generator: torch.Generator) -> Tensor:
    """Return how far the patches of drawn pictures are from those of real ones, (B, 3, 64, 64) each.

    The mean over random directions of the distance between sorted projections, at three sizes.

    Source: sliced Wasserstein distance of patches, Elnekave and Weiss 2022 (arXiv:2203.11862).
    """
    total = drawn.new_zeros(())
    for weight in PLACE_WEIGHT:
        filters = torch.randn(PROJECTIONS, 3, PATCH, PATCH, generator=generator)
        filters = (filters / filters.flatten(1).norm(dim=1)[:, None, None, None]).to(drawn)
        towards = (weight * torch.randn(PROJECTIONS, 2, generator=generator)).to(drawn)
        one, other = (_projected(x, filters, towards, generator) for x in (drawn, real))
        total = total + (one.sort(1).values - other.sort(1).values).abs().mean()
        drawn, real = functional.avg_pool2d(drawn, 2), functional.avg_pool2d(real, 2)
    return total


def _projected(x: Tensor, filters: Tensor, towards: Tensor, generator: torch.Generator) -> Tensor:
    found = functional.conv2d(x, filters)
    side = torch.linspace(-1, 1, found.shape[2], device=x.device)
    found = found + towards[:, 0, None, None] * side[:, None] + towards[:, 1, None, None] * side
    flat = found.transpose(0, 1).flatten(1)
    rows = torch.randint(flat.shape[1], (SAMPLES,), generator=generator).to(x.device)
    return flat[:, rows]


def own_distance(drawn: Tensor, real: Tensor) -> Tensor:
    """Return the error of the company's own pictures, drawn from their latents: pixels, edges, mean colours."""
    error = functional.l1_loss(drawn, real)
    across = functional.l1_loss(drawn.diff(dim=3), real.diff(dim=3))
    down = functional.l1_loss(drawn.diff(dim=2), real.diff(dim=2))
    colour = functional.l1_loss(functional.avg_pool2d(drawn, 8), functional.avg_pool2d(real, 8))
    return error + across + down + colour
