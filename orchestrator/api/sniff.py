"""What uploaded bytes are, by their first bytes and header fields; nothing is decoded here."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from orchestrator.errors import TooLarge, Unsupported

MAX_PIXELS = 64_000_000
TEXT_BYTES = 1_000_000


@dataclass(frozen=True)
class Sniffed:
    """The type of an upload, and its size in pixels where its header says so."""

    kind: str
    media_type: str
    width: int | None = None
    height: int | None = None


def sniff(content: bytes) -> Sniffed:
    """Say what bytes are.

    Raises:
        Unsupported: they are nothing that a tool can use.
        TooLarge: the picture has too many pixels, or the text is too long.
    """
    found = _picture(content) or _sound_or_film(content) or _text(content)
    if found is None:
        raise Unsupported("the upload is no PNG, JPEG, WebP, GIF, MP4, WebM, WAV, MP3, FLAC, Ogg, MIDI or plain text")
    if (found.width or 0) * (found.height or 0) > MAX_PIXELS:
        raise TooLarge(f"the picture has {found.width} × {found.height} pixels; the most are {MAX_PIXELS:,}")
    return found


def _picture(content: bytes) -> Sniffed | None:
    if content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return Sniffed("image", "image/png", width, height)
    if content[:6] in {b"GIF87a", b"GIF89a"} and len(content) >= 10:
        width, height = struct.unpack("<HH", content[6:10])
        return Sniffed("image", "image/gif", width, height)
    if content.startswith(b"\xff\xd8\xff"):
        return Sniffed("image", "image/jpeg", *_jpeg_size(content))
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Sniffed("image", "image/webp", *_webp_size(content))
    return None


def _sound_or_film(content: bytes) -> Sniffed | None:
    if content[4:8] == b"ftyp":
        return Sniffed("video", "video/mp4")
    if content.startswith(b"\x1a\x45\xdf\xa3"):
        return Sniffed("video", "video/webm")
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        return Sniffed("audio", "audio/wav")
    if content.startswith(b"ID3") or content[:2] in {b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"}:
        return Sniffed("audio", "audio/mpeg")
    if content.startswith(b"fLaC"):
        return Sniffed("audio", "audio/flac")
    if content.startswith(b"OggS"):
        return Sniffed("audio", "audio/ogg")
    if content[:8] == b"MThd\0\0\0\x06":
        return Sniffed("music", "audio/midi")
    return None


def _text(content: bytes) -> Sniffed | None:
    if not content or b"\0" in content:
        return None
    if len(content) > TEXT_BYTES:
        raise TooLarge(f"the text has {len(content):,} bytes; the most are {TEXT_BYTES:,}")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return Sniffed("text", "text/plain")


def _jpeg_size(content: bytes) -> tuple[int | None, int | None]:
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None, None


def _webp_size(content: bytes) -> tuple[int | None, int | None]:
    form = content[12:16]
    if form == b"VP8X" and len(content) >= 30:
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
    if form == b"VP8 " and len(content) >= 30:
        width, height = struct.unpack("<HH", content[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if form == b"VP8L" and len(content) >= 25:
        bits = int.from_bytes(content[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None, None
