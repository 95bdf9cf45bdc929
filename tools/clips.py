"""Videos in and out: H.264 in MP4, the same bytes for the same frames; and sound to go with them."""

from __future__ import annotations

import io
import platform
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.base import InvalidInput
from tools.recipes import xmp

if TYPE_CHECKING:
    import av.container

RATE_HZ = 48_000
CHANNELS = 2
AUDIO_BITS_S = 128_000
FADE_S = 0.02  # where a longer sound is cut
AAC_SAMPLES = 1024  # a frame of AAC
# One thread, and nothing that names a version or a moment: equal frames give equal bytes. x264's routines for AVX-512
# broke that (250 times the same frames gave two files); up to SSE4.2 they give what it makes without any of them.
X264 = {"preset": "fast", "crf": "18", "threads": "1"}
if platform.machine().lower() in {"x86_64", "amd64"}:
    X264["x264-params"] = "asm=SSE4.2"
MP4 = {"movflags": "+faststart", "fflags": "+bitexact"}
BT601 = 6  # how RGB becomes YUV here; said in the file, so that players do not guess
LIMITED = 1
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
FORMATS = "mov,mp4,m4a,matroska,webm,wav,flac,mp3,ogg,aac"
# Playlists and the like make ffmpeg open other files and addresses: only plain files, and nothing besides the bytes.
READING = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}


def encode(
    frames: Iterable[np.ndarray], fps: int, size: int, *, recipe: str | None = None, sound: np.ndarray | None = None
) -> bytes:
    """Give frames as an MP4 with its recipe (comment) and the mark of a generated file (XMP) inside.

    Args:
        frames: each (size, size, 3) uint8; taken one by one, so that a long video needs no memory.
        fps: frames a second, exactly.
        sound: (samples, 2) float32 in [-1, 1] at 48 kHz, as long as the video (see `fitted`).
    """
    import av

    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        path = Path(folder) / "made.mp4"  # the index is moved to the front at the end, which needs a real file
        with av.open(str(path), "w", format="mp4", options=MP4) as container:
            if recipe is not None:
                container.metadata["comment"] = recipe
            video = _video_stream(container, fps, size)
            audio = None if sound is None else _audio_stream(container)
            _mux(container, video, _video_frames(frames, fps))
            if audio is not None and sound is not None:
                _mux(container, audio, _audio_frames(sound))
        return path.read_bytes() + (b"" if recipe is None else _box(xmp()))


def recipe_in(content: bytes) -> str | None:
    """Give the recipe that an MP4 of ours carries."""
    with _opened(content) as container:
        found: str | None = container.metadata.get("comment")
    return found


def first_frame(content: bytes) -> np.ndarray:
    """Give the first frame of a video, (H, W, 3) uint8.

    Raises:
        InvalidInput: it is no video that can be read.
    """
    for frame in frames_of(content):
        return frame
    raise InvalidInput("the video has no frames")


def frames_of(content: bytes) -> Iterator[np.ndarray]:
    """Give the frames of a video one by one, (H, W, 3) uint8."""
    with _opened(content) as container:
        if not container.streams.video:
            raise InvalidInput("the video has no pictures")
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def sound_of(content: bytes, seconds: float) -> np.ndarray:
    """Give the sound of an audio file up to a length, (samples, 2) float32 at 48 kHz.

    Raises:
        InvalidInput: it is no sound that can be read.
    """
    import av

    wanted = round(seconds * RATE_HZ)
    parts: list[np.ndarray] = []
    with _opened(content) as container:
        if not container.streams.audio:
            raise InvalidInput("the audio has no sound in it")
        resampler = av.AudioResampler(format="flt", layout="stereo", rate=RATE_HZ)
        for frame in container.decode(audio=0):
            parts += [part.to_ndarray().reshape(-1, CHANNELS) for part in resampler.resample(frame)]
            if sum(len(part) for part in parts) >= wanted:
                break
        else:
            parts += [part.to_ndarray().reshape(-1, CHANNELS) for part in resampler.resample(None)]
    return np.concatenate(parts)[:wanted] if parts else np.zeros((0, CHANNELS), np.float32)


def fitted(sound: np.ndarray, samples: int) -> np.ndarray:
    """Cut a sound with a short fade, or follow it by silence, to an exact number of samples."""
    if len(sound) < samples:
        return np.pad(sound, ((0, samples - len(sound)), (0, 0)))
    cut = sound[:samples].copy()
    fade = min(samples, round(FADE_S * RATE_HZ))
    cut[samples - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
    return cut


def _video_stream(container: Any, fps: int, size: int) -> Any:
    from av.codec.context import Flags

    stream = container.add_stream("libx264", rate=fps, options=X264)
    stream.width = stream.height = size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.flags |= Flags.bitexact
    context.colorspace = context.color_primaries = context.color_trc = BT601
    context.color_range = LIMITED
    return stream


def _audio_stream(container: Any) -> Any:
    from av.codec.context import Flags

    stream = container.add_stream("aac", rate=RATE_HZ, layout="stereo", options={"threads": "1"})
    stream.bit_rate = AUDIO_BITS_S
    stream.codec_context.flags |= Flags.bitexact
    return stream


def _video_frames(frames: Iterable[np.ndarray], fps: int) -> Iterator[Any]:
    import av

    for number, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts = number
        frame.time_base = Fraction(1, fps)
        yield frame


def _audio_frames(sound: np.ndarray) -> Iterator[Any]:
    import av

    for start in range(0, len(sound), AAC_SAMPLES):
        planes = np.ascontiguousarray(sound[start : start + AAC_SAMPLES].T, np.float32)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
        frame.sample_rate = RATE_HZ
        frame.pts = start
        frame.time_base = Fraction(1, RATE_HZ)
        yield frame


def _mux(container: Any, stream: Any, frames: Iterator[Any]) -> None:
    for frame in frames:
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _box(text: str) -> bytes:
    """Give an MP4 box with an XMP packet; where the file ends, boxes may follow."""
    body = XMP_UUID + text.encode()
    return (8 + len(body)).to_bytes(4, "big") + b"uuid" + body


@contextmanager
def _opened(content: bytes) -> Iterator[av.container.InputContainer]:
    import av

    try:
        with av.open(io.BytesIO(content), "r", options=READING) as container:
            yield container
    except av.FFmpegError as error:
        raise InvalidInput(f"the file is broken, or not one of {FORMATS}: {error}") from error
