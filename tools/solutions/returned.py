"""What a solution gave becomes things of the library: sniffed, measured, captioned, and with their source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from tools import words
from tools.base import Input, Made, Source, ToolArgs, ToolFailed
from tools.recipes import args_of, by_content
from tools.solutions.arguments import one_line
from tools.solutions.base import Part, Returned
from tools.solutions.sniffed import media

PARTS = 16
NAME = 60  # characters of a part's own name in captions
GROWTH, SMALL = 4, 4096  # how much longer JSON may become by its lines, in characters
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


def made(
    returned: Returned,
    *,
    tool: str,
    args: ToolArgs | Mapping[str, Any],
    solution: str,
    parents: tuple[str, ...] = (),
    inputs: Sequence[Input] = (),
    max_parts: int = PARTS,
) -> list[Made]:
    """Give the parts of an answer as things, in their order; empty texts are left out.

    Args:
        returned: the answer.
        tool: the whole name of the tool, `<solution>.<tool>`.
        args: its arguments, as the step has them.
        solution: whose tool it is.
        parents: ids of the assets that it was given.
        inputs: those assets, where the recipe shall name them by their bytes.
        max_parts: the most that are taken.

    Raises:
        ToolFailed: it gave nothing, too much, something broken, or what the library does not hold.
    """
    if len(returned.parts) > max_parts:
        raise ToolFailed(f"{tool} gave {len(returned.parts)} parts, at most {max_parts} are taken")
    own = tool.removeprefix(f"{solution}.")
    given = args_of(args) if isinstance(args, ToolArgs) else dict(args)
    asked = words.first_words(" ".join(_strings(given)))
    recipe = _by_content(given, {f"@{one.asset_id}": by_content(one) for one in inputs})
    common = {
        "args": recipe,
        "tags": words.tags("", solution, own),
        "parents": parents,
        "sources": (Source(solution, tool),),
    }
    topic = f"{own.replace('_', ' ')}: {asked}" if asked else own.replace("_", " ")
    found = [thing for part in returned.parts if (thing := _thing(part, tool, topic, common)) is not None]
    if not found:
        raise ToolFailed(f"{tool} gave nothing")
    return found


def _thing(part: Part, tool: str, topic: str, common: Mapping[str, Any]) -> Made | None:
    """Give one part; None for an empty text."""
    said = part.media_type.partition(";")[0].strip().lower()
    caption = topic + (f" ({one_line(part.name, NAME)})" if part.name else "")
    if said.startswith("text/") or _is_json(said):
        return _written(_text(part.content, said, tool), caption, common, is_json=_is_json(said))
    seen = media(part.content, f"what {tool} gave")
    if seen is None:
        raise ToolFailed(_why_not(said, tool))
    thing = Made(kind=seen.kind, media_type=seen.media_type, content=part.content, caption=caption, **common)
    return replace(thing, width=seen.width, height=seen.height, seconds=seen.seconds)


def _written(text: str, caption: str, common: Mapping[str, Any], *, is_json: bool) -> Made | None:
    if not text.strip():
        return None
    written = _pretty(text) if is_json else None
    content = text if written is None else written
    opening = words.first_words(
        text if written is None else " ".join(islice(_strings(json.loads(written)), words.CAPTION_WORDS + 1)) or text
    )
    return Made(
        kind="text",
        media_type=TEXT if written is None else JSON,
        content=content.encode(),
        caption=f"{caption}: {opening}",
        **common,
    )


def _text(content: bytes, said: str, tool: str) -> str:
    """Give a text without what no text has."""
    try:
        return content.decode("utf-8-sig").replace("\0", "")
    except UnicodeDecodeError as error:
        raise ToolFailed(f"{tool} gave {one_line(said, NAME)} that is not valid UTF-8") from error


def _pretty(text: str) -> str | None:
    """Give JSON as people read it; None for what is no JSON, which stays a text.

    Lines of deeply nested JSON begin with thousands of spaces: what would grow too much stays as it came.
    """
    encoder = json.JSONEncoder(indent=2, ensure_ascii=False, allow_nan=False)
    room = GROWTH * len(text) + SMALL
    pieces = []
    try:
        for piece in encoder.iterencode(json.loads(text)):
            room -= len(piece)
            if room < 0:
                return text
            pieces.append(piece)
    except (ValueError, RecursionError):
        return None
    return "".join(pieces).encode("utf-8", "replace").decode()  # JSON can hold halves of characters


def _is_json(said: str) -> bool:
    return said == JSON or said.endswith("+json")


def _why_not(said: str, tool: str) -> str:
    if said.startswith(("image/", "audio/", "video/")):
        return (
            f"{tool} gave {one_line(said, NAME)} that is none: its bytes are no PNG, JPEG, WebP or GIF picture, "
            "no WAV, FLAC, MP3 or Ogg sound, and no MP4 or WebM video"
        )
    return f"{tool} gave {one_line(said, NAME) or 'bytes without a type'}; pictures, sounds, videos and texts are taken"


def _strings(value: Any) -> Iterator[str]:
    """Give the texts in arguments or in JSON, in order; references are none."""
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)
    elif isinstance(value, str) and not value.startswith(("@asset_", "$s")):
        yield value


def _by_content(value: Any, names: Mapping[str, str]) -> Any:
    """Replace references to assets by the sha256 of their bytes."""
    if isinstance(value, Mapping):
        return {name: _by_content(one, names) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_by_content(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value
