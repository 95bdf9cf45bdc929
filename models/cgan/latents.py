"""Turn the captioned pictures into latents and texts that train the generator, and into the memory that ships."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.emoji import data
from models.emoji.captions import plain_captions, short_names
from models.emoji.memory import Memory, MemoryConfig
from models.emoji.sources import STYLES
from models.vae.net import VaeNet
from models.vae.train import to_tensor

ENCODE_BATCH = 64


@dataclass(frozen=True)
class Pairs:
    """Training material. N plain pictures, M captioned and edited ones, T texts.

    Attributes:
        start: (N, C, H, W) latents of the plain pictures.
        thing: (N,) and style (N,) of them.
        target: (M, C, H, W) latents of the captioned pictures.
        source: (M,) the plain picture of each.
        text: (M,) row of `vectors`.
        change: (M, 4) the small change of each.
        vectors: (T, D) text vectors.
        spread: (C,) usual standard deviation of a posterior.
        seen: (M,) bool, False for things held out.
    """

    start: Tensor
    thing: Tensor
    style: Tensor
    target: Tensor
    source: Tensor
    text: Tensor
    change: Tensor
    vectors: Tensor
    spread: Tensor
    seen: Tensor


def encode(net: VaeNet, rgb: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return the means (N, C, H, W) and the mean standard deviation a channel (C,) of pictures' posteriors."""
    means, spreads = [], []
    with torch.inference_mode():
        for start in range(0, len(rgb), ENCODE_BATCH):
            mean, log_variance = net.encoder(to_tensor(np.array(rgb[start : start + ENCODE_BATCH])))
            means.append(mean.contiguous())
            spreads.append((log_variance / 2).exp().mean((0, 2, 3)))
    return torch.cat(means), torch.stack(spreads).mean(0)


def load_pairs(folder: Path, net: VaeNet) -> Pairs:
    """Encode a data set that `models.emoji.captions` has completed; a minute or two."""
    emoji = data.load(folder)
    pool, texts = np.load(folder / "pool.npz"), np.load(folder / "texts.npz")
    start, spread = encode(net, data.on_white(emoji.rgba))
    target, _ = encode(net, np.load(folder / "pool.npy", mmap_mode="r"))
    seen = ~emoji.held_out[emoji.thing[pool["source"]]]
    return Pairs(
        start,
        torch.from_numpy(emoji.thing),
        torch.from_numpy(emoji.style),
        target,
        torch.from_numpy(pool["source"]),
        torch.from_numpy(pool["caption"]),
        torch.from_numpy(pool["change"]),
        torch.from_numpy(texts["vectors"]),
        spread,
        torch.from_numpy(seen),
    )


def text_net(vectors: Tensor, thing: Tensor, things: int, steps: int = 1200) -> nn.Sequential:
    """Train the small net that tells which thing a caption means.

    Args:
        vectors: (T, D).
        thing: (T,) in [0, things).
        things: how many things there are.
        steps: of 256 captions each.
    """
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(vectors.shape[1], 512), nn.ReLU(), nn.Dropout(0.2), nn.Linear(512, things))
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.02)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        rows = torch.randint(len(vectors), (256,))
        loss = functional.cross_entropy(
            net(8 * functional.normalize(vectors[rows] + 0.01 * torch.randn(256, vectors.shape[1]))), thing[rows]
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return net.eval()


def remember(folder: Path, pairs: Pairs) -> Memory:
    """Make the memory of known pictures, held-out things too: they are known to the studio, not to the nets."""
    emoji = data.load(folder)
    words: list[str] = json.loads((folder / "texts.json").read_text())
    texts = np.load(folder / "texts.npz")
    vectors, thing = texts["vectors"], texts["thing"].astype(np.int64)
    row = {text: number for number, text in enumerate(words)}
    names = np.stack([vectors[row[short_names(t)[0]]] for t in emoji.things])
    told = [(i, row[c]) for i, t in enumerate(emoji.things) for c in {*short_names(t), plain_captions(t)[-1]}]
    told.sort()
    net = text_net(torch.from_numpy(vectors), torch.from_numpy(thing), len(emoji.things))
    first, last = net[0], net[3]
    scale = pairs.start.abs().amax((0, 2, 3)) / 127
    return Memory(
        MemoryConfig([t.name for t in emoji.things], [t.key for t in emoji.things]),
        (pairs.start / scale[:, None, None]).round().to(torch.int8).numpy(),
        scale.numpy(),
        pairs.spread.numpy(),
        emoji.thing,
        emoji.style,
        names,
        np.round(vectors[[r for _, r in told]] * 256).astype(np.int8),
        np.array([i for i, _ in told]),
        first.weight.detach().T.numpy() * 8,  # type: ignore[operator]
        first.bias.detach().numpy(),  # type: ignore[operator]
        last.weight.detach().T.numpy(),  # type: ignore[operator]
        last.bias.detach().numpy(),  # type: ignore[operator]
    )


def style_one_hot(style: Tensor) -> Tensor:
    """Return (B, styles) float32."""
    return functional.one_hot(style, len(STYLES)).float()
