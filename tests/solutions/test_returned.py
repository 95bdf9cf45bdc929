"""What a solution gives becomes assets of the right kind, or an error that says what it was."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from tools import clips
from tools.base import Input, Made, Source, ToolFailed
from tools.solutions.arguments import args_model
from tools.solutions.base import OfferedTool, Part, Returned
from tools.solutions.returned import made


def things(*parts: Part, **more: object) -> list[Made]:
    how = {"tool": "acme.find_product", "solution": "acme", "args": {"query": "blue backpack"}, **more}
    return made(Returned(parts), **how)  # type: ignore[arg-type]


def thing(content: bytes, media_type: str = "application/octet-stream", name: str | None = None) -> Made:
    [found] = things(Part(media_type, content, name))
    return found


def picture(form: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 4), (9, 99, 199)).save(file, form)
    return file.getvalue()


def bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """A PNG of a few bytes whose header claims a great many pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def sound(form: str, codec: str) -> bytes:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        samples = np.zeros((1, 48_000), np.float32)
        size = stream.codec_context.frame_size or 4_800
        for start in range(0, 48_000, size):
            part = av.AudioFrame.from_ndarray(samples[:, start : start + size], format="fltp", layout="mono")
            part.sample_rate, part.pts = 48_000, start
            resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=48_000)
            for ready in resampler.resample(part):
                container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_is_kept_as_it_came_whatever_it_was_called(form: str) -> None:
    content = picture(form)
    found = thing(content, "audio/nonsense")
    assert (found.kind, found.media_type) == ("image", f"image/{form.lower()}")
    assert (found.width, found.height) == (6, 4)
    assert found.content == content


@pytest.mark.parametrize(
    ("form", "codec", "media_type"),
    [
        ("wav", "pcm_s16le", "audio/wav"),
        ("flac", "flac", "audio/flac"),
        ("ogg", "flac", "audio/ogg"),
        ("mp3", "libmp3lame", "audio/mpeg"),
    ],
)
def test_a_sound_has_its_length(form: str, codec: str, media_type: str) -> None:
    found = thing(sound(form, codec))
    assert (found.kind, found.media_type) == ("audio", media_type)
    assert found.seconds == pytest.approx(1.0, abs=0.1)


def test_a_video_has_its_size_and_length() -> None:
    frames = [np.full((64, 64, 3), level, np.uint8) for level in (0, 99, 199, 255)]
    found = thing(clips.encode(frames, 4, 64))
    assert (found.kind, found.media_type, found.width, found.height) == ("video", "video/mp4", 64, 64)
    assert found.seconds == pytest.approx(1.0, abs=0.1)


def test_texts_lose_what_no_text_has_and_json_is_readable() -> None:
    plain, data, broken = things(
        Part("text/html", "\ufeffEin <b>größerer</b>\0 Rucksack".encode()),
        Part("application/vnd.acme+json", b'{"name":"Trail 30","colour":"blau"}'),
        Part("application/json", b"{not json"),
    )
    assert plain.content.decode() == "Ein <b>größerer</b> Rucksack"
    assert plain.media_type == "text/plain; charset=utf-8"
    assert json.loads(data.content) == {"name": "Trail 30", "colour": "blau"}
    assert data.content.count(b"\n") == 3
    assert data.media_type == "application/json"
    assert (broken.media_type, broken.content) == ("text/plain; charset=utf-8", b"{not json")
    assert {found.kind for found in (plain, data, broken)} == {"text"}


def test_json_does_not_grow_without_end_and_a_caption_stays_short() -> None:
    deep = b"[" * 900 + b"1," * 20_000 + b"1" + b"]" * 900
    assert thing(deep, "application/json").content == deep
    assert thing(b'"\\ud800"', "application/json").content == b'"?"'
    for content, media_type in ((b"x" * 1_000_000, "text/plain"), (b'"' + b"x" * 1_000_000 + b'"', "application/json")):
        assert len(thing(content, media_type).caption) < 1000


def test_what_was_asked_and_what_came_are_found_by_search() -> None:
    text, image, data = things(
        Part("text/plain", b"The Trail 30 is a light pack for day walks."),
        Part("image/png", picture("PNG"), "trail\n30.png"),
        Part("application/json", b'{"id": 3, "name": "Trail 30"}'),
    )
    assert text.caption == "find product: blue backpack: The Trail 30 is a light pack for day walks."
    assert image.caption == "find product: blue backpack (trail 30.png)"
    assert data.caption == "find product: blue backpack: Trail 30"
    assert text.tags == ("acme", "find_product")
    assert text.sources == (Source("acme", "acme.find_product"),)


def test_the_recipe_names_inputs_by_their_bytes() -> None:
    reference = "@asset_01J00000000000000000000000"
    tool = OfferedTool("find_product", "", {"properties": {"pic": {"type": "string"}, "from": {"type": "string"}}})
    args = args_model("acme.find_product", tool, {"find_product.pic": "image"})
    given = Input(reference[1:], "image", "image/png", "ab12", b"", "a logo")
    [found] = things(
        Part("text/plain", b"ok"),
        args=args.model_validate({"pic": reference, "from": "here"}),
        parents=(given.asset_id,),
        inputs=[given],
    )
    assert found.args == {"pic": "sha256:ab12", "from": "here"}
    assert found.parents == (given.asset_id,)
    assert found.caption == "find product: here: ok"


def test_a_picture_that_claims_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    tracemalloc.start()
    with pytest.raises(ToolFailed, match="pixels, at most 40,000,000 are taken"):
        thing(bomb())
    with pytest.raises(ToolFailed, match=r"8,000 × 8,000 pixels, at most 40,000,000"):
        thing(bomb(8_000, 8_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_half_a_picture_is_refused(form: str) -> None:
    content = picture(form)
    with pytest.raises(ToolFailed, match=f"is a broken {form} picture"):
        thing(content[: len(content) // 2], f"image/{form.lower()}")


@pytest.mark.parametrize(
    ("content", "media_type", "reason"),
    [
        (b"%PDF-1.7", "application/pdf", "gave application/pdf; pictures, sounds, videos and texts are taken"),
        (b"<svg/>", "image/svg+xml", "gave image/svg\\+xml that is none"),
        (b"MZ\x90", "image/png", "gave image/png that is none"),
        (b"\xff\xfeh\x00", "text/plain", "gave text/plain that is not valid UTF-8"),
        (b"x", "", "gave bytes without a type"),
        (b"x", "a" * 500 + "\n", "gave a{59}…; "),
        (b"fLaC" + bytes(50), "audio/flac", "is a broken FLAC file"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(50), "video/mp4", "is a broken MP4 file|nothing to see"),
        (b"#EXTM3U\nfile:///etc/passwd", "audio/mpeg", "gave audio/mpeg that is none"),
    ],
)
def test_what_the_library_does_not_hold_is_named(content: bytes, media_type: str, reason: str) -> None:
    with pytest.raises(ToolFailed, match=rf"acme\.find_product (gave )?({reason})"):
        thing(content, media_type)


def test_a_text_that_looks_like_a_sound_is_a_text() -> None:
    assert thing(b"ID3 tags hold the name of a song", "text/plain").kind == "text"


def test_nothing_and_too_much_are_said() -> None:
    with pytest.raises(ToolFailed, match=r"acme\.find_product gave nothing"):
        things()
    with pytest.raises(ToolFailed, match=r"acme\.find_product gave nothing"):
        things(Part("text/plain", b" \n\0"))
    with pytest.raises(ToolFailed, match="gave 17 parts, at most 16"):
        things(*[Part("text/plain", b"x")] * 17)
