"""Uploads are decoded with care; results say what they are."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tools import pictures, thumbnails
from tools.base import InvalidInput, Made
from tools.recipes import TRAINED_MEDIA


def saved(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, **{"format": "PNG", **options})  # type: ignore[arg-type]
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_pixels_and_recipe_come_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 32, 3), np.uint8)
    content = pictures.encode(pixels, '{"tool":"über"}')
    np.testing.assert_array_equal(pictures.decode(content), pixels)
    assert pictures.recipe_in(content) == '{"tool":"über"}'
    assert TRAINED_MEDIA.encode() in content
    assert content == pictures.encode(pixels, '{"tool":"über"}')
    assert pictures.recipe_in(pictures.encode(pixels)) is None


def test_transparency_becomes_white_and_photos_stand_upright() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (pictures.decode(saved(clear)) == 255).all()
    palette = Image.new("P", (4, 4), 0)
    assert pictures.decode(saved(palette, transparency=0)).shape == (4, 4, 3)
    photo = Image.new("RGB", (8, 4), (9, 9, 9))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert pictures.decode(saved(photo, format="JPEG", exif=exif)).shape == (8, 4, 3)
    assert pictures.decode(saved(Image.new("I;16", (4, 4)))).shape == (4, 4, 3)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_the_known_formats_are_read(format_: str) -> None:
    assert pictures.decode(saved(Image.new("RGB", (5, 4)), format=format_)).shape == (4, 5, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        saved(Image.new("RGB", (64, 64), (1, 2, 3)))[:60],
        saved(Image.new("RGB", (64, 64)), format="TIFF"),
        saved(Image.effect_noise((64, 64), 50), format="JPEG")[:400],
    ],
    ids=["empty", "text", "svg", "eps", "cut-png", "tiff", "cut-jpeg"],
)
def test_what_is_no_picture_is_said_so(content: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"cat\.png"):
        pictures.decode(content, "cat.png")


@pytest.mark.parametrize("side", [7_000, 12_000, 60_000])
def test_a_bomb_is_not_decoded(side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    with pytest.raises(InvalidInput, match="at most 40,000,000"):
        pictures.decode(bomb)


def test_a_file_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "BYTES", 10)
    with pytest.raises(InvalidInput, match="bytes"):
        pictures.decode(bytes(11))


def test_fit_keeps_the_whole_picture_in_the_middle() -> None:
    fitted = pictures.fit(np.zeros((10, 40, 3), np.uint8), 64)
    assert fitted.shape == (64, 64, 3)
    assert (fitted[0] == 255).all()
    assert (fitted[32] == 0).all()


def test_thumbnails_are_small_pngs() -> None:
    content = pictures.encode(np.zeros((256, 512, 3), np.uint8))
    made = Made("image", "image/png", content, "x", {})
    small = thumbnails.thumbnail(made)
    assert small is not None
    assert pictures.decode(small).shape == (64, 128, 3)
    assert thumbnails.of("image", b"broken") is None
    assert thumbnails.of("video", b"broken") is None
    assert thumbnails.of("text", b"words") is None
