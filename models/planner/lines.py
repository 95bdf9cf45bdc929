"""Plans as compact lines, half the tokens of JSON, and back.

    s1=generate_image(prompt="happy cat", count=3)
    s2=make_video(images=$s1, motion="morph", seconds=3)
    reply="Three happy cats and a 3 second morph."

A reference stands bare, as `$s1`, `$s1[0]` or `@a1`; several stand in brackets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from models.planner.signatures import Signature

STEP = re.compile(r"(s\d+)=(\w+)\((.*)\)$")
NAME = re.compile(r"\s*(\w+)\s*=\s*")
REFERENCE = re.compile(r"\$s\d+(\[\d+\])?|@\w+")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
ALWAYS = ("motion",)  # written even at its default: it is what was asked for
IS_REFERENCE = re.compile(r"^(\$s\d+(\[\d+\])?|@(a\d+|asset_\w+))$")


class NotLines(ValueError):
    """The text is not a plan in lines; the message says where."""


def parse(text: str, tools: Mapping[str, Signature]) -> dict[str, Any]:
    """Read a plan.

    Args:
        text: the lines.
        tools: known tools; their signatures say which arguments are lists of assets.

    Returns:
        `{"steps": [{"id", "tool", "args"}], "reply"}`.

    Raises:
        NotLines: a line is neither a step nor the reply.
    """
    steps, reply = [], ""
    for line in (line.strip() for line in text.strip().splitlines()):
        if found := STEP.match(line):
            steps.append({"id": found[1], "tool": found[2], "args": _arguments(found[3], tools.get(found[2]))})
        elif line.startswith("reply="):
            reply = str(_value(line, len("reply="))[0])
        elif line:
            raise NotLines(f"{line!r} is neither a step nor the reply")
    return {"steps": steps, "reply": reply}


def _arguments(text: str, signature: Signature | None) -> dict[str, Any]:
    args: dict[str, Any] = {}
    at = 0
    while at < len(text):
        name = NAME.match(text, at)
        if not name:
            raise NotLines(f"no argument name at {text[at:]!r}")
        value, at = _value(text, name.end())
        argument = signature.argument(name[1]) if signature else None
        args[name[1]] = [value] if argument and argument.type == "assets" and not isinstance(value, list) else value
        while at < len(text) and text[at] in ", ":
            at += 1
    return args


def _value(text: str, at: int) -> tuple[Any, int]:
    if text[at : at + 1] == "[":
        return _list(text, at + 1)
    for word, value in (("true", True), ("false", False), ("null", None)):
        if text.startswith(word, at):
            return value, at + len(word)
    if found := REFERENCE.match(text, at):
        return found[0], found.end()
    if found := NUMBER.match(text, at):
        return (float(found[0]) if found[1] else int(found[0])), found.end()
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text, at)
    except ValueError as error:
        raise NotLines(f"no value at {text[at:]!r}") from error
    return value, end


def _list(text: str, at: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    while True:
        while text[at : at + 1] in {",", " "}:
            at += 1
        if text[at : at + 1] == "]":
            return values, at + 1
        value, at = _value(text, at)
        values.append(value)


def write(plan: Mapping[str, Any], tools: Mapping[str, Signature]) -> str:
    """Write a plan as lines: required arguments first, what is at its default left out."""
    lines = [f"{step['id']}={step['tool']}({_write_arguments(step, tools)})" for step in plan["steps"]]
    return "\n".join([*lines, f"reply={_text(plan.get('reply', ''))}"])


def _write_arguments(step: Mapping[str, Any], tools: Mapping[str, Signature]) -> str:
    signature = tools.get(step["tool"])
    order = [argument.name for argument in signature.arguments] if signature else list(step["args"])
    given = [name for name in order if name in step["args"]] + [name for name in step["args"] if name not in order]
    written = []
    for name in given:
        argument, value = signature.argument(name) if signature else None, step["args"][name]
        if argument and not argument.required and name not in ALWAYS and value == argument.default:
            continue
        written.append(f"{name}={_write_value(value, refers=argument is None or argument.type in {'asset', 'assets'})}")
    return ", ".join(written)


def _write_value(value: Any, *, refers: bool) -> str:
    if isinstance(value, (list, tuple)):
        items = [_write_value(item, refers=refers) for item in value]
        return items[0] if refers and len(items) == 1 else f"[{', '.join(items)}]"
    if isinstance(value, str) and refers and IS_REFERENCE.match(value):
        return value
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)
