"""Make the emoji data set: `python -m models.emoji.data --out DIR [--from DIR_WITH_TGZ]`.

DIR gets
    pictures.npz    rgba (N, 64, 64, 4) uint8, thing (N,) int64, style (N,) int64 (index into `STYLES`)
    large.npy       (N, 256, 256, 3) uint8, the same pictures on white; read it with `mmap_mode="r"`
    captions.json   a list of {"key", "name", "tags", "group", "subgroup", "held_out"}, `thing` counts in it
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from models.emoji.sources import CAPTIONS, PICTURES, Thing, archive, icon_bodies, read_json, things

SMALL_PX = 64
LARGE_PX = 256
HELD_OUT_PERCENT = 5
HELD_OUT_SALT = 37


@dataclass(frozen=True)
class Emoji:
    """The data set in memory.

    Attributes:
        rgba: (N, 64, 64, 4) uint8.
        thing: (N,) int64, index into `things`.
        style: (N,) int64, index into `STYLES`.
        things: what the pictures show.
        held_out: one bool a thing; no net learns from these, all measures on unseen things use them.
    """

    rgba: np.ndarray
    thing: np.ndarray
    style: np.ndarray
    things: list[Thing]
    held_out: np.ndarray


def is_held_out(key: str) -> bool:
    """Tell whether a thing is kept from training: one in twenty, drawn by a salted hash of its code points.

    The salt is the first that leaves about a hundred of the most wanted things (cat, car, pizza …) in training.
    """
    return int(hashlib.sha256(f"{HELD_OUT_SALT} {key}".encode()).hexdigest(), 16) % 100 < HELD_OUT_PERCENT


def load(folder: Path) -> Emoji:
    """Read what `make` wrote."""
    with np.load(folder / "pictures.npz") as arrays:
        rgba, thing, style = arrays["rgba"], arrays["thing"], arrays["style"]
    rows = json.loads((folder / "captions.json").read_text())
    held_out = np.array([row.pop("held_out") for row in rows])
    found = [Thing(**{**row, "tags": tuple(row["tags"])}) for row in rows]
    return Emoji(rgba, thing, style, found, held_out)


def on_white(rgba: np.ndarray) -> np.ndarray:
    """Lay (…, H, W, 4) uint8 pictures on white and return (…, H, W, 3) uint8."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def rasterise(svg: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a drawing as (64, 64, 4) and, laid on white, (256, 256, 3) uint8; the small is the large one's mean."""
    import resvg_py

    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=LARGE_PX, height=LARGE_PX))
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    if image.size != (LARGE_PX, LARGE_PX):
        square = Image.new("RGBA", (LARGE_PX, LARGE_PX))
        image.thumbnail((LARGE_PX, LARGE_PX))
        square.paste(image, ((LARGE_PX - image.width) // 2, (LARGE_PX - image.height) // 2))
        image = square
    large = np.asarray(image)
    small = np.asarray(image.convert("RGBa").reduce(LARGE_PX // SMALL_PX).convert("RGBA"))
    return small, on_white(large)


def make(out: Path, archives: Path) -> Emoji:
    """Fetch, check, rasterise and write the data set; takes about two minutes."""
    out.mkdir(parents=True, exist_ok=True)
    wanted = things(read_json(archive(CAPTIONS, archives), "en/data.json"))
    known: dict[str, set[str]] = {}
    bodies = [icon_bodies(source, archive(source, archives), wanted, known) for source in PICTURES]
    pairs = [(t, s, bodies[s][w.key]) for t, w in enumerate(wanted) for s in range(len(bodies)) if w.key in bodies[s]]
    shape = (len(pairs), LARGE_PX, LARGE_PX, 3)
    large = np.lib.format.open_memmap(out / "large.npy", mode="w+", dtype=np.uint8, shape=shape)
    small = np.empty((len(pairs), SMALL_PX, SMALL_PX, 4), np.uint8)
    for row, (_, _, svg) in enumerate(pairs):
        small[row], large[row] = rasterise(svg)
    large.flush()
    thing, style = (np.array([pair[column] for pair in pairs], np.int64) for column in (0, 1))
    np.savez_compressed(out / "pictures.npz", rgba=small, thing=thing, style=style)
    held_out = np.array([is_held_out(w.key) for w in wanted])
    rows = [{**asdict(w), "held_out": bool(h)} for w, h in zip(wanted, held_out, strict=True)]
    (out / "captions.json").write_text(json.dumps(rows, ensure_ascii=False, indent=0))
    return Emoji(small, thing, style, wanted, held_out)


def main() -> None:
    """Read the command line and make the data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--from", dest="archives", type=Path, help="a folder that holds the npm archives")
    args = parser.parse_args()
    emoji = make(args.out, args.archives or args.out / "archives")
    print(f"{len(emoji.rgba)} pictures of {len(emoji.things)} things, {int(emoji.held_out.sum())} held out")


if __name__ == "__main__":
    main()
