"""Pictures in and out: uploads decoded with care, results as PNG with their recipe inside."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from tools.base import InvalidInput
from tools.recipes import xmp

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
PIXELS = 40_000_000  # an upload may have at most so many
BYTES = 64 << 20
COMPRESSION = 1  # zlib's level: 6 takes four times as long for a tenth less
RECIPE_KEY = "atelier"
XMP_KEY = "XML:com.adobe.xmp"
THUMBNAIL_PX = 128
BACKGROUND = (255, 255, 255)


def encode(pixels: np.ndarray, recipe: str | None = None) -> bytes:
    """Give (H, W, 3) uint8 as PNG, with its recipe and the mark of a generated picture inside."""
    notes = PngInfo()
    if recipe is not None:
        notes.add_itxt(RECIPE_KEY, recipe)
        notes.add_itxt(XMP_KEY, xmp())
    return _png(Image.fromarray(pixels), notes)


def recipe_in(content: bytes) -> str | None:
    """Give the recipe that a PNG of ours carries."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
        picture.load()  # text may stand behind the pixels
        found = picture.info.get(RECIPE_KEY)
    return None if found is None else str(found)


def decode(content: bytes, name: str = "the picture") -> np.ndarray:
    """Give any raster picture as (H, W, 3) uint8, upright, transparent parts white.

    Raises:
        InvalidInput: it is no picture that we know, is broken, or is too large; said before it is decoded.
    """
    if len(content) > BYTES:
        raise InvalidInput(f"{name} has {len(content):,} bytes, at most {BYTES:,} are taken")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                _check_size(picture, name)
                return np.asarray(_flat(ImageOps.exif_transpose(picture)))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidInput(f"{name} has too many pixels, at most {PIXELS:,} are taken") from error
    except UnidentifiedImageError as error:
        raise InvalidInput(f"{name} is not a PNG, JPEG, WebP, GIF or BMP picture") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InvalidInput(f"{name} is broken: {error}") from error


def fit(pixels: np.ndarray, size: int) -> np.ndarray:
    """Fit (H, W, 3) into a square (size, size, 3), its middle in the middle, on white."""
    if pixels.shape[:2] == (size, size):
        return pixels
    picture = Image.fromarray(pixels)
    return np.asarray(ImageOps.pad(picture, (size, size), Image.Resampling.LANCZOS, color=BACKGROUND))


def thumbnail(pixels: np.ndarray) -> bytes:
    """Give (H, W, 3) uint8 as a small PNG, at most 128 pixels wide and high."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return _png(picture)


def _png(picture: Picture, notes: PngInfo | None = None) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=COMPRESSION, pnginfo=notes)
    return file.getvalue()


def _check_size(picture: Picture, name: str) -> None:
    width, height = picture.size
    if width * height > PIXELS:
        raise InvalidInput(f"{name} has {width} × {height} pixels, at most {PIXELS:,} are taken")


def _flat(picture: Picture) -> Picture:
    if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (*BACKGROUND, 255))
        picture = Image.alpha_composite(ground, picture)
    return picture.convert("RGB")
