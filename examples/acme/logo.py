"""Draws Acme's logo: an orange tent before pine hills, on a badge of sand, alone or beside the name."""

from __future__ import annotations

import io
from typing import Literal

from palette import BY_NAME
from PIL import Image, ImageDraw, ImageFont

Variant = Literal["badge", "wide", "one_colour"]
Points = tuple[tuple[int, int], ...]
Ink = tuple[int, ...]
CLEAR: Ink = (0, 0, 0, 0)
SCALE = 4  # drawn larger, then reduced: smooth edges
WIDE = 2.7  # the wide logo is so many times as wide as high
# Points of a badge that is 100 units wide and high.
FAR_HILL = ((14, 65), (36, 29), (50, 47), (60, 37), (86, 65))
NEAR_HILL = ((10, 73), (30, 55), (50, 65), (74, 51), (90, 73))
TENT = ((28, 75), (50, 37), (72, 75))
DOOR = ((43, 75), (50, 55), (57, 75))


def draw(variant: Variant, size_px: int) -> bytes:
    """Give the logo as PNG bytes, `size_px` pixels wide, its ground transparent."""
    high = round(size_px / WIDE) if variant == "wide" else size_px
    picture = Image.new("RGBA", (size_px * SCALE, high * SCALE), (0, 0, 0, 0))
    _badge(ImageDraw.Draw(picture), high * SCALE, plain=variant == "one_colour")
    if variant == "wide":
        _name(picture, high * SCALE)
    file = io.BytesIO()
    picture.resize((size_px, high), Image.Resampling.LANCZOS).save(file, "PNG", optimize=True)
    return file.getvalue()


def _badge(pen: ImageDraw.ImageDraw, side: int, *, plain: bool) -> None:
    line = max(1, side * 4 // 100)
    box = (line, line, side - line, side - line)
    if plain:
        paper = BY_NAME["paper"].rgb
        pen.rounded_rectangle(box, side * 22 // 100, None, paper, line)
        _shape(pen, FAR_HILL, side, CLEAR, paper, line)
        _shape(pen, TENT, side, paper, paper, line)
        _shape(pen, DOOR, side, CLEAR, CLEAR, line // 2)
        return
    ink = BY_NAME["ink"].rgb
    pen.rounded_rectangle(box, side * 22 // 100, BY_NAME["sand"].rgb, ink, line)
    _shape(pen, FAR_HILL, side, BY_NAME["lichen"].rgb, ink, line)
    _shape(pen, NEAR_HILL, side, BY_NAME["deep pine"].rgb, ink, line)
    _shape(pen, TENT, side, BY_NAME["signal orange"].rgb, ink, line)
    _shape(pen, DOOR, side, ink, ink, line // 2)


def _shape(pen: ImageDraw.ImageDraw, points: Points, side: int, fill: Ink, stroke: Ink, line: int) -> None:
    scaled = [(x * side / 100, y * side / 100) for x, y in points]
    pen.polygon(scaled, fill)
    pen.line([*scaled, scaled[0], scaled[1]], stroke, max(1, line), joint="curve")


def _name(picture: Image.Image, high: int) -> None:
    pen = ImageDraw.Draw(picture)
    ink, pine = BY_NAME["ink"].rgb, BY_NAME["deep pine"].rgb
    left = round(high * 1.18)
    pen.text((left, high * 0.14), "ACME", ink, ImageFont.load_default(high * 0.46), stroke_width=high // 60)
    pen.text((left + high * 0.02, high * 0.62), "O U T D O O R", pine, ImageFont.load_default(high * 0.2))
