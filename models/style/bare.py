"""Company pictures laid bare: what a thing could have looked like before it was drawn in the look.

The shipped pictures are not drawings of the company's things, so nothing tells directly how the look changes a
picture. But a picture in the look can be made plain again: its ground white, its lines eaten up, its colours others.
From such pairs the adapter learns the way back. N pictures, K colours of the palette; the label K is the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

COLOURS = 6
NEAR = 0.28  # of a colour to the ground's, in [-1, 1]
LINES = (3, 5)  # what is less wide, in pixels, is left out as a line
THERE = 0.6  # of a thing must be left without its lines
AS_DRAWN = 0.3  # how often all lines stay
STILL = 0.25  # how often a picture stays as it is
TURN = 0.35  # radians to each side
SMALLEST, LARGEST = 0.75, 1.2  # sizes
SHIFT = 0.12  # of half a picture
SHUFFLED = 0.06  # standard deviation of what chance adds to an area's rank
PAINTS = 8192
LUMINANCE = torch.tensor([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Bare:
    """Pictures as areas of one colour.

    Attributes:
        pixels: (N, 3, 64, 64) in [-1, 1], the pictures themselves.
        areas: (3, N, 64, 64) int64 in [0, K]: with all lines, without thin ones, without thick ones.
        ranks: (K, 2) float32, where each colour of the palette lies among all of the things, from dark 0 to light 1.
        paints: (M, 3) in [0, 1], colours of known things, from dark to light.
        ground: (3, 64, 64), what the pictures have where no thing stands.
    """

    pixels: Tensor
    areas: Tensor
    ranks: Tensor
    paints: Tensor
    ground: Tensor


def lay_bare(x: Tensor, inside: Tensor, paints: Tensor, seed: int = 0) -> Bare:
    """Find the areas of pictures.

    Args:
        x: (N, 3, 64, 64) in [-1, 1].
        inside: (64, 64) bool, the places where things stand; outside it is ground or frame.
        paints: (M, 3), see `paints_of`.
        seed: of the palette's first guess.
    """
    palette = _palette(x, seed)
    areas = ((x[:, None] - palette[None, :, :, None, None]) ** 2).sum(2).argmin(1)
    areas[_ground(x, inside)] = len(palette)
    counts = torch.bincount(areas.flatten(), minlength=len(palette) + 1)[:-1].float()
    ends = torch.zeros(len(palette))
    order = (palette @ LUMINANCE).argsort()
    ends[order] = counts[order].cumsum(0)
    ranks = torch.stack([ends - counts, ends], 1) / counts.sum().clamp_min(1)
    variants = [areas]
    for width in LINES:
        variants.append(_still_there(_without_lines(areas, len(palette) + 1, width), variants[-1], len(palette)))
    return Bare(x, torch.stack(variants), ranks, paints, _ground_alone(x, areas == len(palette)))


def _still_there(fewer: Tensor, areas: Tensor, ground: int) -> Tensor:
    """Give pictures with fewer lines, but as they were where the thing itself was made of lines."""
    left, before = ((one != ground).sum((1, 2)) for one in (fewer, areas))
    return torch.where((left > THERE * before)[:, None, None], fewer, areas)


def paints_of(x: Tensor, seed: int = 0) -> Tensor:
    """Give colours of known things on white, (N, 3, 64, 64) in [-1, 1], from dark to light: (M, 3) in [0, 1]."""
    pixels = x.permute(0, 2, 3, 1).reshape(-1, 3)
    pixels = (pixels[pixels.amin(1) < 0.9] + 1) / 2
    chosen = pixels[torch.randint(len(pixels), (PAINTS,), generator=torch.Generator().manual_seed(seed))].clamp(0, 1)
    return chosen[(chosen @ LUMINANCE).argsort()]


def _palette(x: Tensor, seed: int) -> Tensor:
    """Give the main colours, (K, 3): k-means, started far from each other."""
    generator = torch.Generator().manual_seed(seed)
    pixels = x.permute(0, 2, 3, 1).reshape(-1, 3)
    pixels = pixels[torch.randint(len(pixels), (8192,), generator=generator)]
    centres = pixels[:1]
    for _ in range(COLOURS - 1):
        centres = torch.cat([centres, pixels[torch.cdist(pixels, centres).amin(1).argmax()][None]])
    for _ in range(12):
        nearest = torch.cdist(pixels, centres).argmin(1)
        groups = [pixels[nearest == k] for k in range(COLOURS)]
        centres = torch.stack([g.mean(0) if len(g) else c for g, c in zip(groups, centres, strict=True)])
    return centres


def _ground(x: Tensor, inside: Tensor) -> Tensor:
    """Tell which pixels lie around the thing, (N, 64, 64): what is reached from outside over the ground's colour."""
    edge = _grown((~inside)[None].float(), 5)[0].bool() & inside
    places = x[:, :, edge] if edge.any() else x[:, :, 0]
    colour = places.permute(0, 2, 1).reshape(len(x), -1, 3).median(1).values
    near = (x - colour[:, :, None, None]).abs().amax(1) < NEAR
    reached = (~inside)[None] | torch.zeros_like(near)
    if inside.all():
        reached = near & torch.nn.functional.pad(torch.zeros(62, 62, dtype=torch.bool), (1, 1, 1, 1), value=True)
    for _ in range(128):
        more = reached | (_grown(reached.float(), 3).bool() & near)
        if torch.equal(more, reached):
            break
        reached = more
    return reached


def _ground_alone(x: Tensor, ground: Tensor) -> Tensor:
    """Give the mean of the ground at each place; where things always stand, its colour all over."""
    weight = ground[:, None].float()
    anywhere = (x * weight).sum((0, 2, 3)) / weight.sum().clamp_min(1)
    found = (x * weight).sum(0) / weight.sum(0).clamp_min(1)
    return torch.where(weight.sum(0) > 0, found, anywhere[:, None, None])


def _grown(mask: Tensor, side: int) -> Tensor:
    return functional.max_pool2d(mask[:, None], side, 1, side // 2)[:, 0]


def _without_lines(areas: Tensor, count: int, width: int) -> Tensor:
    """Give areas that are less wide to their neighbours."""
    one_hot = functional.one_hot(areas, count).permute(0, 3, 1, 2).float()
    shrunk = -functional.max_pool2d(-one_hot, width, 1, width // 2)
    kept = one_hot * functional.max_pool2d(shrunk, width, 1, width // 2)
    kept[:, -1] = one_hot[:, -1]
    for _ in range(width):
        empty = kept.sum(1, keepdim=True) == 0
        near = functional.avg_pool2d(kept, 3, 1, 1)
        near[:, -1] = 0  # a thing keeps its size: a line around it goes to what it surrounds
        winner = functional.one_hot(near.argmax(1), count).permute(0, 3, 1, 2).float()
        kept = torch.where(empty & (near.amax(1, keepdim=True) > 0), winner, kept)
    found = kept.argmax(1)
    return torch.where(kept.sum(1) > 0, found, areas)


def pairs(bare: Bare, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Give pictures in the look and the same laid bare, (B, 3, 64, 64) each in [-1, 1].

    Most things are turned, moved, resized or mirrored on their ground, so that no shape is learned by heart.
    """
    count = len(rows)
    thing = (bare.areas[0, rows] != len(bare.ranks))[:, None].float()
    whole = torch.cat([bare.pixels[rows], painted(bare, rows, generator), thing], 1)
    angle = (torch.rand(count, generator=generator) * 2 - 1) * TURN
    size = 1 / (SMALLEST + (LARGEST - SMALLEST) * torch.rand(count, generator=generator))
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    shift = (torch.rand(count, 2, generator=generator) * 2 - 1) * SHIFT
    still = torch.rand(count, generator=generator) < STILL
    angle, size, mirror = (torch.where(still, f, x) for f, x in ((0.0, angle), (1.0, size), (1.0, mirror)))
    shift = torch.where(still[:, None], 0.0, shift)
    across = torch.stack([mirror * size * angle.cos(), -size * angle.sin(), shift[:, 0]], 1)
    down = torch.stack([mirror * size * angle.sin(), size * angle.cos(), shift[:, 1]], 1)
    grid = functional.affine_grid(torch.stack([across, down], 1), [count, 1, 64, 64], align_corners=False)
    moved = functional.grid_sample(whole, grid, padding_mode="zeros", align_corners=False)
    mask = moved[:, 6:]
    ground = torch.where(still[:, None, None, None], bare.pixels[rows], bare.ground)
    return moved[:, :3] * mask + ground * (1 - mask), moved[:, 3:6] * mask + (1 - mask)


def painted(bare: Bare, rows: Tensor, generator: torch.Generator) -> Tensor:
    """Paint some pictures in colours of chance on white, (B, 3, 64, 64) in [-1, 1].

    The colours are those of known things. What is light stays lighter than what is dark, more often than not: a
    colour of the look that covers a third of all things is painted with a third of the known colours.
    """
    count, colours = len(rows), len(bare.ranks)
    chance = torch.rand(count, generator=generator)
    areas = bare.areas[(chance > AS_DRAWN).long() + (chance > (1 + AS_DRAWN) / 2), rows]
    low, high = bare.ranks.unbind(1)
    rank = low + (high - low) * torch.rand(count, colours, generator=generator)
    rank = rank + SHUFFLED * torch.randn(count, colours, generator=generator)
    paint = bare.paints[(rank.clamp(0, 1) * (len(bare.paints) - 1)).round().long()]
    paint = torch.cat([paint, torch.ones(count, 1, 3)], 1)
    found = torch.gather(paint, 1, areas.reshape(count, -1, 1).expand(-1, -1, 3)).reshape(count, 64, 64, 3)
    shade = torch.randn(count, 2, generator=generator) * 0.1
    side = torch.linspace(-1, 1, 64)
    slope = shade[:, 0, None, None] * side[:, None] + shade[:, 1, None, None] * side
    ground = (areas == colours)[..., None]
    found = torch.where(ground, found, (found + slope[..., None]).clamp(0, 1))
    x = found.permute(0, 3, 1, 2) * 2 - 1
    return torch.where(
        torch.rand(count, 1, 1, 1, generator=generator) < 0.5,
        functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
        x,
    )
