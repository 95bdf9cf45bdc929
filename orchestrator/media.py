"""The types of files that the library holds."""

from __future__ import annotations

ENDINGS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/midi": "mid",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/json": "json",
}
# What a browser may show in place; a page or a drawing with scripts in it is none of these.
INLINE = frozenset(name for name in ENDINGS if not name.startswith(("text/", "application/")))


def ending(media_type: str) -> str:
    """Give the ending of a file's name, "bin" for a type that is not known."""
    return ENDINGS.get(media_type.partition(";")[0].strip(), "bin")
