"""The colours of Acme Outdoor: one place for the pictures, the documents and the brand server."""

from __future__ import annotations

import math
from dataclasses import dataclass

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Colour:
    """A colour of the house: its name, its hex code, the part it plays, and when to use it."""

    name: str
    hex: str
    part: str
    use: str

    @property
    def rgb(self) -> Rgb:
        """Give it as three bytes."""
        return rgb(self.hex)


PALETTE = (
    Colour("deep pine", "#1F4D3F", "main", "Large areas, headings, the badge of the logo."),
    Colour("signal orange", "#F26B21", "accent", "One thing a page that must be seen. Never for running text."),
    Colour("sand", "#E8D5AC", "ground", "Behind pictures and products."),
    Colour("paper", "#FBF5E6", "ground", "Behind text, and for light parts of a drawing."),
    Colour("ink", "#14211D", "line", "Text and outlines. We never use pure black."),
    Colour("lichen", "#8FA98B", "season", "Spring and summer pages, beside pine."),
    Colour("frost", "#C9DDE3", "season", "Winter pages, beside ink."),
    Colour("lake", "#2F6F94", "season", "Water: bottles, rain wear, paddling."),
)
BY_NAME = {colour.name: colour for colour in PALETTE}


def rgb(code: str) -> Rgb:
    """Read "#RRGGBB" or "#RGB".

    Raises:
        ValueError: it is no such code.
    """
    digits = code.strip().removeprefix("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    if len(digits) != 6 or not set(digits) <= set("0123456789abcdefABCDEF"):
        raise ValueError(f"{code!r} is no hex colour; write it as '#1F4D3F'")
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def contrast(one: Rgb, other: Rgb) -> float:
    """Give the contrast ratio of two colours, 1 to 21.

    Source: WCAG 2.2, "contrast ratio" and "relative luminance".
    """
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def distance(one: Rgb, other: Rgb) -> float:
    """Give how different two colours look: their distance in OKLab, 0 to about 1.

    Source: B. Ottosson, "A perceptual color space for image processing" (2020).
    """
    return math.dist(_oklab(one), _oklab(other))


def _linear(colour: Rgb) -> tuple[float, float, float]:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (one / 255 for one in colour)
    )
    return red, green, blue


def _luminance(colour: Rgb) -> float:
    red, green, blue = _linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _oklab(colour: Rgb) -> tuple[float, float, float]:
    red, green, blue = _linear(colour)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )
