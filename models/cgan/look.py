"""Look at what the shipped weights draw, and measure it.

`python -m models.cgan.look --minilm MODEL_DIR --out DIR [--data DIR --archives DIR]` writes `words.png`, `styles.png`,
`morph.png` and `vary.png`; with a data set it also prints the measures that the card quotes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from models.cgan.sample import CGan
from models.emoji import data, edits
from models.emoji.captions import embed, short_names
from models.emoji.sources import CAPTIONS, STYLES, archive, read_json
from models.vae.sample import Vae

PROMPTS = (
    "happy cat, smiling cat, sad cat, sleepy cat, angry cat, dog, happy dog, sun, car, red car, blue car, "
    "pizza, rocket, tree, house, flower, angry face, sleepy face, happy face, sad face, birthday cake, robot, "
    "fish, moon, snowman, guitar, red heart, green heart, purple dragon, cat with a hat, pink elephant, "
    "black horse, sleepy bear, unicorn, fox, owl, sunflower, strawberry, hamburger, train, bicycle, castle, "
    "rainbow, umbrella, kitten, puppy, vehicle, dessert"
)
PHRASE = str.maketrans({"_": " ", "-": " "})


def grid(pictures: np.ndarray, columns: int) -> Image.Image:
    """Lay (N, H, W, 3) uint8 pictures out in rows."""
    rows = [np.concatenate(list(pictures[i : i + columns]), 1) for i in range(0, len(pictures), columns)]
    return Image.fromarray(np.concatenate(rows))


def draw_sheets(vae: Vae, cgan: CGan, speak: Callable[[list[str]], np.ndarray], out: Path) -> None:
    """Write the four sheets."""
    prompts = PROMPTS.split(", ")
    texts, seeds = np.repeat(speak(prompts), 4, 0), [1, 2, 3, 4] * len(prompts)
    latents = cgan.sample(texts, [None] * len(texts), seeds)
    grid(vae.decode(latents, 128), 16).save(out / "words.png")
    named: list[str | None] = [style for _ in range(8) for style in STYLES]
    latents = cgan.sample(np.repeat(speak(prompts[:32:4]), 4, 0), named, [5] * 32)
    grid(vae.decode(latents, 256), 8).save(out / "styles.png")
    cats = cgan.sample(speak(["happy cat", "sad cat"]), ["noto", "noto"], [1, 2])
    steps = np.linspace(0, 1, 8, dtype=np.float32)[:, None, None, None]
    grid(vae.decode((1 - steps) * cats[0] + steps * cats[1], 128), 8).save(out / "morph.png")
    asked = [None, *speak(["sleepy cat", "blue cat", "cat with a crown"])]
    varied = [cgan.vary(cats[0], text, s, 3) for text in asked for s in (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0)]
    grid(vae.decode(np.stack(varied), 128), 8).save(out / "vary.png")


def phrase_recall(cgan: CGan, speak: Callable[[list[str]], np.ndarray], archives: Path) -> dict[str, float]:
    """Tell how often a phrase that no net has seen (GitHub's shortcodes, as words) finds its thing."""
    shortcodes = read_json(archive(CAPTIONS, archives), "en/shortcodes/github.json")
    place = {key: row for row, key in enumerate(cgan.memory.config.keys)}
    wanted = []
    for hexcode, codes in shortcodes.items():
        row = place.get(hexcode.lower().replace("-fe0f", ""))
        if row is not None:
            names = [codes] if isinstance(codes, str) else codes
            known = cgan.memory.config.names[row].lower().translate(PHRASE)
            wanted += [(name.translate(PHRASE), row) for name in names if name.translate(PHRASE) != known]
    ranks = []
    for vector, (_, row) in zip(speak([words for words, _ in wanted]), wanted, strict=True):
        scores = cgan.memory.scores(vector)
        ranks.append(int((scores > scores[row]).sum()))
    found = np.array(ranks)
    return {"phrases": len(found), "R@1": float((found == 0).mean()), "R@5": float((found < 5).mean())}


def colour_accuracy(vae: Vae, cgan: CGan, speak: Callable[[list[str]], np.ndarray], emoji: data.Emoji) -> float:
    """Tell how often "{colour} {thing}", the thing held out, has that main colour among the eight with a hue."""
    hued = [colour for colour in edits.COLOURS if colour.hue is not None and colour.word != "brown"]
    things = [t for t, held in zip(emoji.things, emoji.held_out, strict=True) if held and t.group != "people"]
    words = [(f"{colour.word} {short_names(thing)[0]}", colour) for thing in things for colour in hued]
    latents = cgan.sample(speak([text for text, _ in words]), [None] * len(words), list(range(len(words))))
    right = [main_hue(picture) == c.word for picture, (_, c) in zip(vae.decode(latents, 64), words, strict=True)]
    return float(np.mean(right))


def main_hue(picture: np.ndarray) -> str:
    """Name the hue word that most of a picture's coloured pixels are nearest to."""
    hue, saturation, value = edits.to_hsv(picture)
    hued = [colour for colour in edits.COLOURS if colour.hue is not None and colour.word != "brown"]
    centres = np.array([colour.hue or 0.0 for colour in hued])
    nearest = np.abs((hue[..., None] - centres + 0.5) % 1 - 0.5).argmin(-1)
    counts = np.bincount(nearest.ravel(), (saturation * value * (saturation > 0.25)).ravel(), len(hued))
    return hued[int(counts.argmax())].word


def thing_recall(vae: Vae, cgan: CGan, speak: Callable[[list[str]], np.ndarray], emoji: data.Emoji) -> dict[str, float]:
    """Tell how often the real picture nearest to a drawn one, in pixels, shows the thing that was named."""
    real = data.on_white(emoji.rgba).reshape(-1, 16, 4, 16, 4, 3).mean((2, 4)).reshape(len(emoji.rgba), -1)
    things = range(0, len(emoji.things), 4)
    latents = cgan.sample(speak([short_names(emoji.things[t])[0] for t in things]), [None] * len(things), list(things))
    drawn = vae.decode(latents, 64).reshape(-1, 16, 4, 16, 4, 3).mean((2, 4)).reshape(len(things), -1)
    order = [np.argsort(((real - one) ** 2).sum(1)) for one in drawn]
    ranks = [next(n for n, row in enumerate(o) if emoji.thing[row] == t) for o, t in zip(order, things, strict=True)]
    return {
        "things": len(ranks),
        "R@1": float(np.mean(np.array(ranks) < 1)),
        "R@5": float(np.mean(np.array(ranks) < 5)),
    }


def reconstruction_db(vae: Vae, emoji: data.Emoji, held_out: bool) -> float:
    """Return the mean PSNR, in dB, of at most 200 pictures that go through the VAE, at 64 pixels."""
    rows = np.flatnonzero(emoji.held_out[emoji.thing] == held_out)
    pictures = data.on_white(emoji.rgba[rows[:: max(1, len(rows) // 200)]])
    error = ((vae.decode(vae.encode(pictures)).astype(float) - pictures) ** 2).mean((1, 2, 3))
    return float((10 * np.log10(255**2 / error)).mean())


def speed_ms(vae: Vae, cgan: CGan, text: np.ndarray, count: int = 20) -> float:
    """Return the milliseconds that one 256-pixel picture takes, from its text vector, one by one (best of three)."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        for seed in range(count):
            vae.decode(cgan.sample(text[None], [None], [seed]), 256)
        times.append((time.perf_counter() - start) / count * 1000)
    return min(times)


def main() -> None:
    """Read the command line, draw and measure."""
    parser = argparse.ArgumentParser(description="Look at the image models")
    parser.add_argument("--minilm", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--archives", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    vae, cgan = Vae.load(args.weights), CGan.load(args.weights)

    def speak(words: list[str]) -> np.ndarray:
        return embed(words, args.minilm)

    draw_sheets(vae, cgan, speak, args.out)
    found: dict[str, object] = {"ms_per_picture": speed_ms(vae, cgan, speak(["happy cat"])[0])}
    if args.data is not None and args.archives is not None:
        emoji = data.load(args.data)
        found["seen_db"] = reconstruction_db(vae, emoji, held_out=False)
        found["unseen_db"] = reconstruction_db(vae, emoji, held_out=True)
        found["phrases"] = phrase_recall(cgan, speak, args.archives)
        found["colours_on_unseen_things"] = colour_accuracy(vae, cgan, speak, emoji)
        found["things"] = thing_recall(vae, cgan, speak, emoji)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
