"""Captioned pictures for the text-conditional nets: each thing as it is, and edited as its caption says.

`python -m models.emoji.captions --data DIR --minilm MODEL_DIR` adds to the data set
    pool.npy          (M, 64, 64, 3) uint8, pictures, each with its own small change of size, place and hue
    pool.npz          source (M,), the row of the plain picture; caption (M,), index into the texts;
                      change (M, 4) float32, the small change in standard deviations: size, right, down, hue
    texts.npz         vectors (T, 384) float32 of the texts; thing (T,) of each text, plain (T,) bool: names no edit
    texts.json        the texts
    common.npy        (·, 384) float32, the vectors of `common.common_captions()`
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from models.emoji import data, edits
from models.emoji.common import common_captions
from models.emoji.sources import Thing

CHANGES = 4


@dataclass
class Texts:
    """A growing list of captions, each with its thing."""

    words: list[str] = field(default_factory=list)
    thing: list[int] = field(default_factory=list)
    plain: list[bool] = field(default_factory=list)

    def add(self, words: str, thing: int, plain: bool) -> int:
        """Add a caption and return its index."""
        self.words.append(words)
        self.thing.append(thing)
        self.plain.append(plain)
        return len(self.words) - 1


def short_names(thing: Thing) -> list[str]:
    """Return what people call a thing: its name, its name without "face", and the tags that its name holds."""
    name = thing.name.replace(":", "").lower()
    bare = name.removesuffix(" face") if thing.group == "nature" else name
    found = [name, bare, *(tag for tag in thing.tags if tag in name.split())]
    return list(dict.fromkeys(found))


def plain_captions(thing: Thing) -> list[str]:
    """Return captions of the thing as it is: names, tags, pairs of a tag and a name."""
    names, tags = short_names(thing), list(thing.tags[:10])
    pairs = [f"{tag} {names[-1]}" for tag in tags[:6] if tag not in names[-1]]
    return list(dict.fromkeys([*names, *tags, *pairs, ", ".join([names[0], *tags[:5]])]))


def small_change(rgba: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Resize, move and tint a picture a little.

    Args:
        rgba: (64, 64, 4) uint8.
        change: (4,) standard deviations of size (5 %), place to the right and down (2 px each) and hue (8 degrees).

    Returns:
        (64, 64, 4) uint8.
    """
    size, right, down, hue = (float(np.clip(value, -2, 2)) for value in change)
    scale = 0.93 + 0.05 * size
    step = 1 / scale
    matrix = (step, 0, 32 - step * (32 + 2 * right), 0, step, 32 - step * (32 + 2 * down))
    moved = Image.fromarray(rgba).convert("RGBa").transform((64, 64), Image.Transform.AFFINE, matrix, 2)
    found = np.array(moved.convert("RGBA"))
    tinted = np.array(Image.fromarray(found[..., :3]).convert("HSV"))
    tinted[..., 0] = (tinted[..., 0].astype(np.int64) + round(hue * 6)) % 256
    found[..., :3] = _rgb(tinted)
    return found


def _rgb(hsv: np.ndarray) -> np.ndarray:
    parts = hsv / 255.0
    return np.round(edits.from_hsv(parts[..., 0], parts[..., 1], parts[..., 2])).astype(np.uint8)


@dataclass(frozen=True)
class Pool:
    """What `build` makes, see the top of this module."""

    pictures: np.ndarray
    source: np.ndarray
    caption: np.ndarray
    change: np.ndarray
    texts: Texts


def build(emoji: data.Emoji, rng: np.random.Generator, coloured: int = 5, mooded: int = 5, both: int = 2) -> Pool:
    """Caption and edit every picture: 4 as they are, and some with a colour, a mood, or both."""
    texts = Texts()
    plain = [[texts.add(c, i, plain=True) for c in plain_captions(t)] for i, t in enumerate(emoji.things)]
    signs = {(emoji.things[t].key, s): row for row, (t, s) in enumerate(zip(emoji.thing, emoji.style, strict=True))}
    names = [short_names(thing) for thing in emoji.things]
    found: list[tuple[np.ndarray, int, int, np.ndarray]] = []
    for row in range(len(emoji.rgba)):
        thing = int(emoji.thing[row])
        for number in range(4 + coloured + mooded + both):
            kind = "plain" if number < 4 else "colour" if number < 4 + coloured else "mood"
            colour = edits.COLOURS[rng.integers(len(edits.COLOURS))]
            mood = edits.MOODS[rng.integers(len(edits.MOODS))]
            sign = signs.get((mood.sign, int(emoji.style[row])), signs.get((mood.sign, 0)))
            name = names[thing][rng.integers(len(names[thing]))]
            words, picture = name, emoji.rgba[row]
            if kind == "mood" and (sign is None or not edits.takes_mood(emoji.things[thing], mood)):
                continue
            if kind == "colour" or number >= 4 + coloured + mooded:
                words, picture = f"{colour.word} {words}", edits.recolour(picture, colour)
            if kind == "mood" and sign is not None:
                words = mood.captions[rng.integers(len(mood.captions))].format(words)
                picture = edits.with_sign(picture, emoji.rgba[sign], mood)
            change = rng.standard_normal(CHANGES).astype(np.float32)
            options = plain[thing]
            caption = int(rng.choice(options)) if kind == "plain" else texts.add(words, thing, plain=False)
            found.append((data.on_white(small_change(picture, change)), row, caption, change))
    pictures, source, caption_of, changes = zip(*found, strict=True)
    return Pool(np.stack(pictures), np.array(source), np.array(caption_of), np.stack(changes), texts)


def embed(words: list[str], minilm: Path) -> np.ndarray:
    """Return the normalised MiniLM vectors of texts, (T, 384) float32."""
    import torch
    from sentence_transformers import SentenceTransformer

    unique = sorted(set(words))
    torch.set_num_threads(1)  # more of them wait for each other on a busy machine
    model = SentenceTransformer(str(minilm), device="cpu")
    vectors = model.encode(unique, batch_size=128, normalize_embeddings=True, show_progress_bar=False)
    place = {text: row for row, text in enumerate(unique)}
    return np.asarray(vectors, np.float32)[[place[text] for text in words]]


def main() -> None:
    """Read the command line and add captions to a data set."""
    parser = argparse.ArgumentParser(description="Caption and edit the emoji data set")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minilm", type=Path, required=True, help="folder of the all-MiniLM-L6-v2 model")
    args = parser.parse_args()
    pool = build(data.load(args.data), np.random.default_rng(0))
    np.save(args.data / "pool.npy", pool.pictures)
    np.savez(args.data / "pool.npz", source=pool.source, caption=pool.caption, change=pool.change)
    (args.data / "texts.json").write_text(json.dumps(pool.texts.words))
    vectors = embed(pool.texts.words, args.minilm)
    np.savez(args.data / "texts.npz", vectors=vectors, thing=pool.texts.thing, plain=pool.texts.plain)
    np.save(args.data / "common.npy", embed([words for words, _, _ in common_captions()], args.minilm))
    print(f"{len(pool.pictures)} pictures, {len(vectors)} texts")


if __name__ == "__main__":
    main()
