"""The colours of Acme Outdoor: one place for the pictures, the documents and the brand server."""

from __future__ import annotations

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
