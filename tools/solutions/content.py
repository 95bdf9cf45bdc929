"""What an MCP server says, as the studio says it: its tools, and the content of its answers."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import mcp_types as types

from tools.solutions.base import OfferedTool, Part, Returned, SolutionFault
from tools.solutions.talk import Talk

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
EXAMPLES = "atelier/examples"  # in a tool's _meta: [{"say": "…", "args": {…}}]
MOST_EXAMPLES = 8
DESCRIPTION = 8_000  # characters; people read them before they approve a tool
TEXT = "text/plain"
BYTES = "application/octet-stream"


def offered(tools: Sequence[types.Tool], only: Sequence[str] | None, talk: Talk) -> list[OfferedTool]:
    """Give the tools that a server lists.

    Args:
        tools: as it lists them.
        only: the names that are wanted; None takes all.
        talk: who lists them.

    Raises:
        SolutionFault: a name cannot be used in plans or stands there twice, or a description is too long to be read.
    """
    found: dict[str, OfferedTool] = {}
    for tool in tools:
        if only is not None and tool.name not in only:
            continue
        if not NAME.fullmatch(tool.name):
            said = talk.shown(tool.name[:80])
            raise SolutionFault(f"{talk.name} has a tool called {said!r}; a name has 1 to 64 letters, digits and ._-")
        if tool.name in found:
            raise SolutionFault(f"{talk.name} has two tools called {tool.name!r}")
        description = tool.description or tool.title or ""
        if len(description) > DESCRIPTION:
            raise SolutionFault(
                f"{talk.name} describes {tool.name!r} in {len(description):,} characters, "
                f"at most {DESCRIPTION:,} are read"
            )
        found[tool.name] = OfferedTool(
            name=tool.name,
            description=description,
            parameters=tool.input_schema,
            sends=not (tool.annotations is not None and tool.annotations.read_only_hint is True),
            examples=tuple(_examples(tool.meta or {})),
        )
    return list(found.values())


def refused(answer: types.CallToolResult) -> str:
    """Give the words in which a server refused a call."""
    texts = [block.text for block in answer.content if isinstance(block, types.TextContent)]
    return " ".join(texts) or "it refused without a word"


def returned(answer: types.CallToolResult, talk: Talk) -> Returned:
    """Give the content of an answer.

    Raises:
        SolutionFault: it is longer than this solution's answers may be, or not what it says.
    """
    structured = answer.structured_content
    blocks = answer.content
    if structured is not None:
        blocks = [block for block in blocks if not _says(block, structured)]
    parts = [_part(block, talk) for block in blocks]
    if structured is not None and not (parts and _is_wrapped(structured)):
        parts.append(Part("application/json", json.dumps(structured).encode()))
    if sum(len(part.content) for part in parts) > talk.limit_bytes:
        raise talk.too_much()
    return Returned(tuple(parts))


def _examples(meta: dict[str, Any]) -> Iterator[dict[str, Any]]:
    given = meta.get(EXAMPLES)
    for example in given[:MOST_EXAMPLES] if isinstance(given, list) else ():
        if isinstance(example, dict) and isinstance(example.get("say"), str) and isinstance(example.get("args"), dict):
            yield {"say": example["say"], "args": example["args"]}


def _is_wrapped(structured: Any) -> bool:
    """Say whether it only repeats what the content says: servers wrap what is no object that way."""
    return isinstance(structured, dict) and list(structured) == ["result"]


def _says(block: types.ContentBlock, structured: Any) -> bool:
    """Say whether a text is the structured content again, for clients that do not know it."""
    if not isinstance(block, types.TextContent):
        return False
    try:
        return bool(json.loads(block.text) == structured)
    except (ValueError, RecursionError):
        return False


def _part(block: types.ContentBlock, talk: Talk) -> Part:
    if isinstance(block, types.TextContent):
        return _text(block.text)
    if isinstance(block, types.ImageContent | types.AudioContent):
        return Part(block.mime_type, _bytes(block.data, talk))
    if isinstance(block, types.ResourceLink):
        return _text("\n".join(filter(None, [block.title or block.name, block.description, block.uri])))
    resource = block.resource
    name = resource.uri.rpartition("/")[2] or None
    if isinstance(resource, types.TextResourceContents):
        return _text(resource.text, resource.mime_type or TEXT, name)
    return Part(resource.mime_type or BYTES, _bytes(resource.blob, talk), name)


def _text(text: str, media_type: str = TEXT, name: str | None = None) -> Part:
    return Part(media_type, text.encode(errors="replace"), name)


def _bytes(letters: str, talk: Talk) -> bytes:
    try:
        return base64.b64decode(letters, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SolutionFault(f"{talk.name} answered with base64 that is none") from error
