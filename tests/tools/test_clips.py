"""Videos are exact in length and frame rate, and the same frames make the same bytes."""

from __future__ import annotations

import io
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tools import clips
from tools.base import InvalidInput
from tools.recipes import TRAINED_MEDIA


def moving(count: int, size: int = 64) -> list[np.ndarray]:
    frames = np.full((count, size, size, 3), 255, np.uint8)
    for number in range(count):
        frames[number, 8:40, 4 + number % 16 : 36 + number % 16] = (250, 190, 40)
    return list(frames)


def tone(seconds: float, rate_hz: int = 22_050) -> bytes:
    file = io.BytesIO()
    samples = np.sin(np.arange(round(seconds * rate_hz)) * 2 * np.pi * 440 / rate_hz)
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes((samples * 20_000).astype("<i2").tobytes())
    return file.getvalue()


@pytest.mark.parametrize(("count", "fps"), [(1, 24), (7, 1), (36, 24), (50, 25), (31, 60)])
def test_length_and_rate_are_exact(count: int, fps: int) -> None:
    content = clips.encode(moving(count), fps, 64)
    with av.open(io.BytesIO(content)) as container:
        video = container.streams.video[0]
        times = [frame.pts * frame.time_base for frame in container.decode(video)]
        assert video.codec_context.name == "h264"
        assert video.codec_context.pix_fmt == "yuv420p"
        assert video.frames == count
        assert video.average_rate == fps
        assert video.duration * video.time_base == Fraction(count, fps)
    assert times == [Fraction(number, fps) for number in range(count)]


def test_the_same_frames_make_the_same_bytes_with_the_recipe_inside() -> None:
    recipe = '{"args":{"images":["sha256:00"]},"tool":"make_video — ü"}'
    content = clips.encode(moving(12), 24, 64, recipe=recipe, sound=np.zeros((24_000, 2), np.float32))
    assert content == clips.encode(moving(12), 24, 64, recipe=recipe, sound=np.zeros((24_000, 2), np.float32))
    assert clips.recipe_in(content) == recipe
    assert TRAINED_MEDIA.encode() in content
    assert content.index(b"moov") < content.index(b"mdat")  # it plays while it loads


def test_a_hundred_videos_of_the_same_frames_are_one() -> None:
    frames = moving(12)
    assert len({clips.encode(frames, 24, 64) for _ in range(100)}) == 1


def test_colours_survive() -> None:
    found = list(clips.frames_of(clips.encode(moving(3), 24, 64)))
    np.testing.assert_allclose(found[0][20, 20].astype(int), (250, 190, 40), atol=8)
    np.testing.assert_allclose(found[0][60, 60].astype(int), (255, 255, 255), atol=3)
    np.testing.assert_array_equal(clips.first_frame(clips.encode(moving(3), 24, 64)), found[0])


@pytest.mark.parametrize("seconds", [0.4, 1.5, 4])
def test_sound_is_cut_or_padded_to_the_picture(seconds: float) -> None:
    sound = clips.fitted(clips.sound_of(tone(seconds), 1.5 + clips.FADE_S), 72_000)
    assert sound.shape == (72_000, 2)
    content = clips.encode(moving(36), 24, 64, sound=sound)
    with av.open(io.BytesIO(content)) as container:
        audio = container.streams.audio[0]
        assert audio.codec_context.name == "aac"
        assert audio.duration * audio.time_base == pytest.approx(1.5, abs=0.022)  # a frame of AAC
        assert container.duration / 1e6 == pytest.approx(1.5, abs=0.022)
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio)])
    loud = np.abs(heard[: round(min(seconds, 1.4) * 48_000)]).max()
    assert loud > 0.4
    if seconds < 1:
        assert np.abs(heard[40_000:70_000]).max() < 0.01
    with av.open(io.BytesIO(content)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 36


@pytest.mark.parametrize("content", [b"", b"hello" * 100, tone(0.1)], ids=["empty", "text", "sound"])
def test_what_is_no_video_is_said_so(content: bytes) -> None:
    with pytest.raises(InvalidInput):
        clips.first_frame(content)


def test_what_has_no_sound_is_said_so() -> None:
    with pytest.raises(InvalidInput, match="no sound"):
        clips.sound_of(clips.encode(moving(3), 24, 64), 1)


def test_a_playlist_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(tone(1))
    lines = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile '{tmp_path}/secret.wav'\n"
    for playlist in (lines, concat):
        with pytest.raises(InvalidInput, match="not one of"):
            clips.sound_of(playlist.encode(), 1)


def test_a_failed_frame_leaves_no_file(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def frames() -> object:
        yield moving(1)[0]
        raise KeyError("the net broke")

    with pytest.raises(KeyError, match="broke"):
        clips.encode(frames(), 24, 64)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []  # type: ignore[attr-defined]
