"""What bytes are, by their first bytes and their header; what others say of them is not believed."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from tools.base import Kind, ToolFailed
from tools.pictures import PIXELS

PNG, JPEG, GIF, WEBP = "image/png", "image/jpeg", "image/gif", "image/webp"
PICTURES = {PNG: "PNG", JPEG: "JPEG", GIF: "GIF", WEBP: "WEBP"}
SOUNDS = {"audio/wav": "WAV", "audio/flac": "FLAC", "audio/mpeg": "MP3", "audio/ogg": "Ogg"}
VIDEOS = {"video/mp4": "MP4", "video/webm": "WebM"}
STARTS = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
)
INSIDE_RIFF = {b"WEBP": WEBP, b"WAVE": "audio/wav"}
MPEG_SYNC = 0xFFE0  # eleven bits; then version and layer
MPEG_NO_LAYER = 0b0110


@dataclass(frozen=True)
class Media:
    """What was found in bytes that can be seen or heard."""

    kind: Kind
    media_type: str
    width: int | None = None
    height: int | None = None
    seconds: float | None = None


def media_type(content: bytes) -> str | None:
    """Give the type of a picture, a sound or a video; None for anything else."""
    for start, found in STARTS:
        if content.startswith(start):
            return found
    if content.startswith(b"RIFF"):
        return INSIDE_RIFF.get(content[8:12])
    if content[4:8] == b"ftyp":
        return "video/mp4"
    first = int.from_bytes(content[:2], "big")
    is_mpeg = first & MPEG_SYNC == MPEG_SYNC and first & MPEG_NO_LAYER != 0
    return "audio/mpeg" if is_mpeg and len(content) > 2 else None


def media(content: bytes, name: str) -> Media | None:
    """Give what can be seen or heard, read far enough to know that it is whole; None for anything else.

    Args:
        content: the bytes.
        name: what they are called in a message.

    Raises:
        ToolFailed: it is broken or too large; said before more than its header is decoded.
    """
    found = media_type(content)
    if found in PICTURES:
        width, height = _size(content, found, name)
        return Media("image", found, width, height)
    return _playable(content, found, name) if found in SOUNDS or found in VIDEOS else None


def _size(content: bytes, found: str, name: str) -> tuple[int, int]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=(PICTURES[found],)) as picture:
                _check_pixels(*picture.size, name)
                picture.load()
                return picture.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ToolFailed(f"{name} has too many pixels, at most {PIXELS:,} are taken") from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise ToolFailed(f"{name} is a broken {PICTURES[found]} picture: {str(error)[:100]}") from error


def _check_pixels(width: int, height: int, name: str) -> None:
    if width * height > PIXELS:
        raise ToolFailed(f"{name} has {width:,} × {height:,} pixels, at most {PIXELS:,} are taken")


def _playable(content: bytes, found: str, name: str) -> Media:
    import av

    from tools.clips import READING

    try:
        with av.open(io.BytesIO(content), "r", options=READING) as container:
            seconds = container.duration / av.time_base if container.duration else None
            if not container.streams.video or found in SOUNDS:  # a cover inside a sound counts as video there
                if not container.streams.audio:
                    raise ToolFailed(f"{name} has nothing to see or to hear in it")
                return Media("audio", "audio/mp4" if found == "video/mp4" else found, seconds=seconds)
            video = container.streams.video[0]
            _check_pixels(video.width, video.height, name)
            return Media("video", found, video.width, video.height, seconds)
    except (av.FFmpegError, ValueError) as error:
        shown = {**SOUNDS, **VIDEOS}[found]
        raise ToolFailed(f"{name} is a broken {shown} file: {str(error)[:100]}") from error
