"""Edits that a caption can name: a colour, or a small sign beside the thing that shows a mood.

They turn "car" into captioned pictures of a "blue car" and a "sleepy car", so that the nets that follow learn what
these words do to any picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from models.emoji.sources import Thing


@dataclass(frozen=True)
class Colour:
    """A colour word: hue in turns (None keeps grey), saturation and value in [0, 1] of its typical pixel."""

    word: str
    hue: float | None
    saturation: float
    value: float


@dataclass(frozen=True)
class Mood:
    """A word beside a thing, the thing whose picture is laid over as its sign, and how captions say it."""

    word: str
    sign: str
    captions: tuple[str, ...]
    on_top: bool = False


COLOURS: tuple[Colour, ...] = (
    Colour("red", 0.99, 0.85, 0.88),
    Colour("orange", 0.08, 0.85, 0.98),
    Colour("yellow", 0.14, 0.80, 1.0),
    Colour("green", 0.34, 0.70, 0.70),
    Colour("blue", 0.59, 0.78, 0.90),
    Colour("purple", 0.77, 0.60, 0.80),
    Colour("pink", 0.92, 0.45, 0.98),
    Colour("brown", 0.06, 0.62, 0.52),
    Colour("black", None, 0.0, 0.27),
    Colour("white", None, 0.0, 0.94),
    Colour("grey", None, 0.0, 0.60),
)

MOODS: tuple[Mood, ...] = (
    Mood("sleepy", "1f4a4", ("sleepy {}", "tired {}", "sleeping {}", "{} taking a nap")),
    Mood("angry", "1f4a2", ("angry {}", "mad {}", "furious {}", "annoyed {}")),
    Mood("sad", "1f4a7", ("sad {}", "crying {}", "unhappy {}", "lonely {}")),
    Mood("loving", "2764", ("{} in love", "loving {}", "lovely {}", "{} with a heart")),
    Mood("happy", "2728", ("happy {}", "joyful {}", "cheerful {}", "shiny {}")),
    Mood("singing", "1f3b5", ("singing {}", "musical {}", "{} making music")),
    Mood("party", "1f389", ("party {}", "birthday {}", "celebrating {}")),
    Mood("royal", "1f451", ("{} with a crown", "royal {}", "{} king", "{} queen"), on_top=True),
    Mood("elegant", "1f3a9", ("{} with a hat", "{} wearing a top hat", "elegant {}"), on_top=True),
)

NATURAL_MOODS = frozenset({"faces", "people", "symbols"})  # groups whose own pictures show moods: no sign is laid over


def takes_mood(thing: Thing, mood: Mood) -> bool:
    """Tell whether a picture of the thing with the mood's sign makes sense."""
    return thing.group not in NATURAL_MOODS and thing.key != mood.sign


def recolour(rgba: np.ndarray, colour: Colour) -> np.ndarray:
    """Give a picture's main colour another hue, saturation and brightness; other colours stay.

    Args:
        rgba: (H, W, 4) uint8.
        colour: the colour to give.

    Returns:
        (H, W, 4) uint8.
    """
    hue, saturation, value = to_hsv(rgba[..., :3])
    weight = main_colour(hue, saturation, value, rgba[..., 3] / 255.0)
    total = weight.sum() + 1e-6
    mean_saturation, mean_value = (weight * saturation).sum() / total, (weight * value).sum() / total
    new_hue = hue if colour.hue is None else np.full_like(hue, colour.hue)
    new_saturation = np.clip(saturation * colour.saturation / max(mean_saturation, 0.25), 0, 1)
    if mean_saturation < 0.25:
        new_saturation = np.clip(colour.saturation * np.clip(1.4 - np.abs(value - mean_value), 0, 1), 0, 1)
    ratio = colour.value / max(float(mean_value), 0.2)
    new_value = np.clip(np.where(ratio > 1, 1 - (1 - value) / ratio, value * ratio), 0, 1)
    tinted = from_hsv(new_hue, new_saturation, new_value)
    mix = weight[..., None]
    rgb = mix * tinted + (1 - mix) * rgba[..., :3]
    return np.concatenate([np.round(rgb).astype(np.uint8), rgba[..., 3:]], -1)


def main_colour(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return how much each pixel belongs to the picture's main colour, (H, W) in [0, 1]."""
    chroma = saturation * value * alpha
    if chroma.sum() < 0.12 * alpha.sum():  # a grey picture: all but its darkest lines
        return np.asarray(np.clip((value - 0.25) * 4, 0, 1) * (alpha > 0), np.float64)
    counts = np.histogram(hue, bins=36, range=(0, 1), weights=chroma)[0]
    smooth = sum(np.roll(counts, shift) for shift in (-2, -1, 0, 1, 2))
    centre = (int(np.argmax(smooth)) + 0.5) / 36
    distance = np.abs((hue - centre + 0.5) % 1 - 0.5)
    return np.asarray(np.clip((0.14 - distance) / 0.04, 0, 1) * np.clip(saturation * 5 - 0.4, 0, 1), np.float64)


def with_sign(rgba: np.ndarray, sign: np.ndarray, mood: Mood) -> np.ndarray:
    """Make a picture a little smaller and lay a sign at its upper right, or above it.

    Args:
        rgba: (64, 64, 4) uint8, the thing.
        sign: (64, 64, 4) uint8, the picture of `mood.sign`.
        mood: says where the sign goes.

    Returns:
        (64, 64, 4) uint8.
    """
    page = Image.new("RGBA", (64, 64))
    thing_px, sign_px = (48, 26) if mood.on_top else (50, 26)
    place = (8, 16) if mood.on_top else (0, 14)
    sign_place = (19, 0) if mood.on_top else (38, 0)
    page.alpha_composite(Image.fromarray(rgba).resize((thing_px, thing_px), Image.Resampling.BOX), place)
    page.alpha_composite(Image.fromarray(sign).resize((sign_px, sign_px), Image.Resampling.BOX), sign_place)
    return np.asarray(page)


def sign_cell(mood: Mood) -> int:
    """Return the left cell, of 8, of the 3 × 3 cells at the top of a latent that hold a mood's sign."""
    return 2 if mood.on_top else 5


def sign_alone(sign: np.ndarray, mood: Mood) -> np.ndarray:
    """Return a page, (64, 64, 4) uint8, with nothing but a sign in its 3 × 3 cells of 8 pixels."""
    page = Image.new("RGBA", (64, 64))
    page.alpha_composite(Image.fromarray(sign).resize((24, 24), Image.Resampling.BOX), (8 * sign_cell(mood), 0))
    return np.asarray(page)


def smaller(rgba: np.ndarray) -> np.ndarray:
    """Make a picture, (64, 64, 4) uint8, smaller and move it down, to leave room for a sign."""
    page = Image.new("RGBA", (64, 64))
    page.alpha_composite(Image.fromarray(rgba).resize((48, 48), Image.Resampling.BOX), (4, 16))
    return np.asarray(page)


def to_hsv(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hue, saturation and value of (…, 3) uint8, each in [0, 1]."""
    hsv = np.asarray(Image.fromarray(rgb).convert("HSV")) / 255.0
    return hsv[..., 0], hsv[..., 1], hsv[..., 2]


def from_hsv(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return (…, 3) float64 in [0, 255] from hue, saturation and value in [0, 1]."""
    sixth = np.asarray([5.0, 3.0, 1.0])
    k = (sixth + hue[..., None] * 6) % 6
    drop = np.clip(np.minimum(k, 4 - k), 0, 1)
    return np.asarray(255 * value[..., None] * (1 - saturation[..., None] * drop))
