"""Small pictures of what was made, for lists."""

from __future__ import annotations

import logging

from tools.base import InvalidInput, Made

log = logging.getLogger(__name__)


def thumbnail(made: Made) -> bytes | None:
    """Give a PNG of at most 128 pixels for a picture or a video, None for other kinds or where none can be made."""
    return made.thumbnail or of(made.kind, made.content)


def of(kind: str, content: bytes) -> bytes | None:
    """Give the thumbnail of an asset's bytes, uploads too."""
    from tools import clips, pictures

    try:
        if kind == "image":
            return pictures.thumbnail(pictures.decode(content))
        if kind == "video":
            return pictures.thumbnail(clips.first_frame(content))
    except InvalidInput:
        log.warning("no thumbnail for a broken %s of %d bytes", kind, len(content))
    return None
