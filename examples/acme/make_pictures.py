"""Make `pictures/`: sixty things in the look of Acme, restyled from Fluent Emoji (MIT).

    python examples/acme/make_pictures.py [--archives DIR]

Each drawing's own colours become deep pine, signal orange, paper or ink by their hue and lightness; it gets a thick ink
outline and stands on a rounded badge of sand.
"""

from __future__ import annotations

import argparse
import colorsys
import csv
import io
import re
import sys
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from palette import BY_NAME, Rgb, rgb  # noqa: E402

from models.emoji.sources import PICTURES, Thing, archive, icon_bodies  # noqa: E402

PX = 256
SCALE = 4  # drawn larger, then reduced: smooth edges
BADGE_MARGIN = 6  # all lengths are pixels of the finished picture
BADGE_RADIUS = 56
BADGE_LINE = 7
THING_PX = 168
OUTLINE = 6
SEAM = 3
SEAM_CHANGE = 12  # of 255: how much the original's brightness changes at a line
FILL = re.compile(r'(fill|stroke|stop-color)="(#[0-9a-fA-F]{3,6})"')
FLAT = ("sand", "ink", "deep pine", "signal orange", "paper")
BLENDS = 6  # steps from one flat colour to another: smooth edges in a PNG with a small table of colours

# What the pictures show: the character of the drawing, and the caption.
THINGS = (
    # animals
    "🦊 fox", "🐻 bear", "🐺 wolf", "🦆 duck", "🐢 turtle", "🦋 butterfly", "🦔 hedgehog", "🐐 goat", "🐝 bee",
    "🐧 penguin", "🐸 frog", "🐌 snail",
    # outdoors
    "🔥 campfire", "🧭 compass", "🪓 axe", "🔦 flashlight", "⚓ anchor", "🎣 fishing rod", "🛶 canoe", "🪵 log of wood",
    "🗻 snowy peak",
    # food
    "🍎 red apple", "🥕 carrot", "🧀 cheese", "🍞 bread", "🍄 mushroom", "🍪 cookie", "🍓 strawberry", "🍐 pear",
    # weather
    "🌧️ rain cloud", "☂️ umbrella", "❄️ snowflake", "🌈 rainbow", "⚡ lightning", "🌙 crescent moon",
    "💧 drop of water",
    # vehicles
    "🚌 bus", "🚂 steam train", "🚁 helicopter", "⛵ sailing boat", "🛵 scooter", "🚚 delivery van",
    # tools
    "🔨 hammer", "🔧 wrench", "🗝️ old key", "✂️ scissors", "🧰 toolbox", "⚙️ gear wheel",
    # plants
    "🌵 cactus", "🍁 maple leaf", "🍀 four-leaf clover", "🌻 sunflower", "🌷 tulip", "🪴 plant in a pot",
    # faces
    "😀 grinning face", "😎 smiling face with sunglasses", "🤔 thinking face", "😉 winking face",
    "🤠 face with a cowboy hat", "😴 sleeping face",
)  # fmt: skip

# Never among the sixty, so that they show whether the look carries over to things that it was not learned from.
HELD_OUT = (
    "backpack", "tent", "cat", "dog", "owl", "fish", "boot", "lantern", "bottle", "bicycle", "car", "house", "sun",
    "evergreen tree", "pizza",
)  # fmt: skip


def main() -> None:
    """Read the command line and make the pictures."""
    parser = argparse.ArgumentParser(description="Make the pictures of Acme Outdoor.")
    parser.add_argument("--archives", type=Path, default=Path(tempfile.gettempdir()) / "acme-archives")
    parser.add_argument("--out", type=Path, default=HERE / "pictures")
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    rows = [row.split(" ", 1) for row in THINGS]
    bodies = drawings([sign for sign, _ in rows], args.archives)
    with (args.out / "captions.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "caption"])
        for sign, caption in rows:
            name = f"{caption.replace(' ', '_')}.png"
            badge(bodies[sign]).save(args.out / name, optimize=True)
            table.writerow([name, caption])


def drawings(signs: list[str], archives: Path) -> dict[str, str]:
    """Give the SVG of each character."""
    source = next(source for source in PICTURES if source.style == "fluent")
    keys = {sign: "-".join(f"{ord(one):x}" for one in sign if one != "\ufe0f") for sign in signs}
    wanted = [Thing(key, sign, (), "", 0) for sign, key in keys.items()]
    found = icon_bodies(source, archive(source, archives), wanted, {})
    return {sign: found[key] for sign, key in keys.items()}


def badge(svg: str) -> Image.Image:
    """Draw a thing on its badge, (256, 256) with a table of colours."""
    large = PX * SCALE
    picture = Image.new("RGB", (large, large), "white")
    edge = BADGE_MARGIN * SCALE
    box = (edge, edge, large - edge - 1, large - edge - 1)
    ImageDraw.Draw(picture).rounded_rectangle(
        box, BADGE_RADIUS * SCALE, fill=BY_NAME["sand"].rgb, outline=BY_NAME["ink"].rgb, width=BADGE_LINE * SCALE
    )
    thing = rasterise(restyled(svg), THING_PX * SCALE)
    thing.paste(BY_NAME["ink"].rgb, mask=seams(rasterise(svg, THING_PX * SCALE)))
    thing = thing.crop(thing.getchannel("A").getbbox())
    fit = THING_PX * SCALE / max(thing.size)
    thing = thing.resize((round(thing.width * fit), round(thing.height * fit)))
    at = ((large - thing.width) // 2, (large - thing.height) // 2)
    shape = Image.new("L", picture.size)
    shape.paste(thing.getchannel("A"), at)
    picture.paste(BY_NAME["ink"].rgb, mask=thickened(shape, OUTLINE * SCALE))
    picture.paste(thing, at, thing)
    small = picture.resize((PX, PX), Image.Resampling.LANCZOS)
    return in_flat_colours(small)


def in_flat_colours(picture: Image.Image) -> Image.Image:
    """Give a picture with a small table of colours: the flat ones, white, and the blends between any two."""
    flat = np.array([(255, 255, 255), *(BY_NAME[name].rgb for name in FLAT)], float)
    steps = np.arange(1, BLENDS)[:, None] / BLENDS
    blends = [one + (other - one) * steps for one, other in combinations(flat, 2)]
    table = np.concatenate([flat, *blends]).round().astype(np.uint8)
    seen, place = np.unique(np.asarray(picture).reshape(-1, 3), axis=0, return_inverse=True)
    far = np.abs(seen[:, None].astype(int) - table[None]).sum(2)
    chosen = far.argmin(1).astype(np.uint8)[place].reshape(picture.height, picture.width)
    made = Image.fromarray(chosen)
    made.putpalette(table.tobytes())
    return made


def restyled(svg: str) -> str:
    """Give a drawing in the colours of the house."""
    return FILL.sub(lambda found: f'{found[1]}="{house_colour(rgb(found[2]))}"', svg)


def house_colour(colour: Rgb) -> str:
    """Give the colour of the house that stands for any colour: by lightness, then by hue."""
    hue, _, saturation = colorsys.rgb_to_hls(*(part / 255 for part in colour))
    light = (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255
    warm = saturation > 0.2 and (hue < 0.18 or hue > 0.88)
    if light < 0.24 or (warm and light < 0.36):
        name = "ink"
    elif light > 0.83 or (light > 0.72 and saturation < 0.25):
        name = "paper"
    elif warm:
        name = "signal orange"
    else:
        name = "deep pine"
    return BY_NAME[name].hex


def seams(drawing: Image.Image) -> Image.Image:
    """Give a mask of the lines where two colours of the original meet: parts stay told apart by ink."""
    flat = Image.new("RGB", drawing.size, "white")
    flat.paste(drawing, mask=drawing)
    change = ImageChops.difference(flat.filter(ImageFilter.MaxFilter(3)), flat.filter(ImageFilter.MinFilter(3)))
    strong = change.convert("L").point(lambda value: 255 if value > SEAM_CHANGE else 0)
    return ImageChops.multiply(thickened(strong, SEAM * SCALE // 2), drawing.getchannel("A"))


def rasterise(svg: str, px: int) -> Image.Image:
    """Give a drawing as (px, px) RGBA."""
    import resvg_py

    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=px, height=px)))).convert("RGBA")


def thickened(shape: Image.Image, width: int) -> Image.Image:
    """Give a mask that is wider by `width` on all sides."""
    grown = shape.filter(ImageFilter.GaussianBlur(width / 2))
    return grown.point(lambda value: 255 if value > 6 else 0)


if __name__ == "__main__":
    main()
