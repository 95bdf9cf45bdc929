"""Turn the captioned pictures into latents and texts that train the generator, and into the memory that ships."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.emoji import data, edits
from models.emoji.captions import plain_captions, short_names
from models.emoji.common import COMMON, common_captions
from models.emoji.memory import Memory, MemoryConfig
from models.emoji.sources import STYLES, Thing
from models.vae.net import VaeNet
from models.vae.train import to_tensor

ENCODE_BATCH = 64

Layers = tuple[nn.Linear, nn.Linear]


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
        plain: (M,) bool, True where the caption names no edit.
        coloured: (M,) bool, True where the caption names a colour alone.
        small: (N, C, H, W) latents of the plain pictures made smaller, to leave room for a sign.
        signs: (moods, styles, C, 3, 3) latents of signs.
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
    plain: Tensor
    coloured: Tensor
    small: Tensor
    signs: Tensor


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
        torch.from_numpy(texts["plain"][pool["caption"]]),
        coloured_captions(folder)[pool["caption"]],
        *encode_signs(net, emoji),
    )


def coloured_captions(folder: Path) -> Tensor:
    """Tell of each text, (T,) bool, whether it names an edit that is a colour and nothing else."""
    plain = np.load(folder / "texts.npz")["plain"]
    words: list[str] = json.loads((folder / "texts.json").read_text())
    return torch.tensor([not p and mood_of(w) < 0 for w, p in zip(words, plain, strict=True)])


def encode_signs(net: VaeNet, emoji: data.Emoji) -> tuple[Tensor, Tensor]:
    """Return the latents of all pictures made smaller, and those of each mood's sign in each style."""
    small, _ = encode(net, data.on_white(np.stack([edits.smaller(picture) for picture in emoji.rgba])))
    place = {(emoji.things[t].key, s): row for row, (t, s) in enumerate(zip(emoji.thing, emoji.style, strict=True))}
    found = []
    for mood in edits.MOODS:
        rows = [place.get((mood.sign, style), place[mood.sign, 0]) for style in range(len(STYLES))]
        pages = data.on_white(np.stack([edits.sign_alone(emoji.rgba[row], mood) for row in rows]))
        left = edits.sign_cell(mood)
        found.append(encode(net, pages)[0][:, :, :3, left : left + 3])
    return small, torch.stack(found)


def text_net(vectors: Tensor, thing: Tensor, common: int, things: int, steps: int = 1200) -> Layers:
    """Train the small net that tells which thing a caption means.

    Args:
        vectors: (T, D).
        thing: (T,) in [0, things).
        common: how many of the captions, at the end, say common words; a quarter of each batch is theirs.
        things: how many things there are.
        steps: of 256 captions each.
    """
    torch.manual_seed(0)
    first, last = nn.Linear(vectors.shape[1], 512), nn.Linear(512, things)
    net = nn.Sequential(first, nn.ReLU(), nn.Dropout(0.2), last)
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.02)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        other = torch.randint(len(vectors) - common, (192,))
        rows = torch.cat([other, len(vectors) - 1 - torch.randint(common, (64,))])
        noisy = functional.normalize(vectors[rows] + 0.01 * torch.randn(256, vectors.shape[1]))
        loss = functional.cross_entropy(net(8 * noisy), thing[rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return first, last


def misleads(words: str, name: str) -> bool:
    """Tell whether a caption uses a common word for what people do not mean by it ("red car" for a tram car)."""
    used = [word for word in words.split() if word in COMMON]
    return any(name not in COMMON[word] for word in used) and name.lower() not in words


def remember(folder: Path, pairs: Pairs) -> Memory:
    """Make the memory of known pictures, held-out things too: they are known to the studio, not to the nets."""
    emoji = data.load(folder)
    words: list[str] = json.loads((folder / "texts.json").read_text())
    texts = np.load(folder / "texts.npz")
    vectors, thing = texts["vectors"], texts["thing"].astype(np.int64)
    row = {text: number for number, text in enumerate(words)}
    place = {t.name: number for number, t in enumerate(emoji.things)}
    names = np.stack([vectors[row[short_names(t)[0]]] for t in emoji.things])
    told = [(i, vectors[row[c]]) for i, t in enumerate(emoji.things) for c in own_captions(t)]
    rows = [(place[name], vector, plain) for name, vector, plain in _common(np.load(folder / "common.npy"))]
    told += [(i, vector) for i, vector, plain in rows if plain]
    kept = np.array([not misleads(w, emoji.things[t].name) for w, t in zip(words, thing, strict=True)])
    all_vectors = torch.from_numpy(np.concatenate([vectors[kept], np.stack([vector for _, vector, _ in rows])]))
    all_things = torch.from_numpy(np.concatenate([thing[kept], np.array([i for i, _, _ in rows])]))
    first, last = text_net(all_vectors, all_things, len(rows), len(emoji.things))
    scale = pairs.start.abs().amax((0, 2, 3)) / 127
    edited = _edited_memory(emoji, words, texts, pairs, scale)
    names = calm(names, emoji.things, edited["mood"], edited["mood_bias"])
    return Memory(
        MemoryConfig([t.name for t in emoji.things], [t.key for t in emoji.things]),
        (pairs.start / scale[:, None, None]).round().to(torch.int8).numpy(),
        scale.numpy(),
        pairs.spread.numpy(),
        emoji.thing,
        emoji.style,
        names,
        np.round(np.stack([vector for _, vector in told]) * 256).clip(-127, 127).astype(np.int8),
        np.array([i for i, _ in told]),
        first.weight.detach().T.numpy() * 8,
        first.bias.detach().numpy(),
        last.weight.detach().T.numpy(),
        last.bias.detach().numpy(),
        **edited,
    )


def calm(names: np.ndarray, things: list[Thing], weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return what the generator is told of each thing, (K, D): its name, unless that sounds like a mood.

    "birthday cake" and "crying cat" sound like edits; the mean of like things that do not is told instead.
    """
    scores = names @ weight + bias
    chances = np.exp(scores - np.logaddexp.reduce(scores, axis=1)[:, None])
    moody = chances[:, 0] < 0.8
    found = names.copy()
    for row in np.flatnonzero(moody):
        like = [n for n, t in enumerate(things) if t.subgroup == things[row].subgroup and not moody[n]]
        like = like or [n for n, t in enumerate(things) if t.group == things[row].group and not moody[n]]
        mean = names[like].mean(0)
        found[row] = mean / np.linalg.norm(mean)
    return found


def _edited_memory(
    emoji: data.Emoji, words: list[str], texts: Mapping[str, np.ndarray], pairs: Pairs, scale: Tensor
) -> dict[str, np.ndarray]:
    """Return what the memory needs to show moods and colours."""
    found: dict[str, np.ndarray] = {
        "small": (pairs.small / scale[:, None, None]).round().clamp(-127, 127).to(torch.int8).numpy(),
        "signs": pairs.signs.numpy(),
        "takes_sign": np.array([t.group not in edits.NATURAL_MOODS for t in emoji.things], np.uint8),
    }
    vectors = torch.from_numpy(texts["vectors"])
    sets = {"mood": [mood_of(w) for w in words], "colour": [colour_of(w) for w in words]}
    for name, labels in sets.items():
        found[name], found[f"{name}_bias"] = line(vectors, torch.tensor(labels) + 1)
    colour = np.array(sets["colour"])
    plain = texts["plain"]
    base = texts["vectors"][plain].mean(0)
    only = (np.array(sets["mood"]) < 0) & ~plain
    shifts = [texts["vectors"][only & (colour == c)].mean(0) - base for c in range(len(edits.COLOURS))]
    return {**found, "colour_shift": np.stack(shifts)}


def mood_of(words: str) -> int:
    """Return the mood, an index, whose captions a text was made from, or -1."""
    for number, mood in enumerate(edits.MOODS):
        for caption in mood.captions:
            before, after = caption.split("{}")
            if (not before or f" {words}".find(f" {before}") >= 0) and (not after or words.endswith(after)):
                return number
    return -1


def colour_of(words: str) -> int:
    """Return the colour, an index, whose word a text holds, or -1."""
    used = set(words.replace(",", " ").split())
    return next((n for n, colour in enumerate(edits.COLOURS) if colour.word in used), -1)


def line(vectors: Tensor, label: Tensor, steps: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Train a linear classifier of texts; return its weights (D, classes) and biases."""
    torch.manual_seed(0)
    net = nn.Linear(vectors.shape[1], int(label.max()) + 1)
    optimiser = torch.optim.Adam(net.parameters(), 0.05)
    for _ in range(steps):
        rows = torch.randint(len(vectors), (512,))
        loss = functional.cross_entropy(net(vectors[rows]), label[rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return net.weight.detach().T.numpy(), net.bias.detach().numpy()


def own_captions(thing: Thing) -> list[str]:
    """Return the captions of a thing that the memory keeps: its name, the name without "face", name and tags."""
    names = short_names(thing)
    bare = [name for name in names[:2] if name == names[0].removesuffix(" face")]
    return list(dict.fromkeys([names[0], *bare, plain_captions(thing)[-1]]))


def _common(vectors: np.ndarray) -> list[tuple[str, np.ndarray, bool]]:
    captions = common_captions()
    return [(name, v, plain) for (_, names, plain), v in zip(captions, vectors, strict=True) for name in names]


def style_one_hot(style: Tensor) -> Tensor:
    """Return (B, styles) float32."""
    return functional.one_hot(style, len(STYLES)).float()
