"""When is a plan fully right: tools, data flow, used assets and every argument that the request settles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from models.planner.signatures import Signature

LITTLE = {"a", "an", "the", "of", "about", "for", "to", "and", "its", "it", "short", "on", "in", "who", "that"}


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'’-]+", text.lower())


def _same_picture(given: str, wanted: str) -> bool:
    """The same words, whatever their order and articles; `wanted` offers several, divided by "|"."""
    said = sorted(word for word in _words(given) if word not in {"a", "an", "the"})
    return any(
        said == sorted(word for word in _words(one) if word not in {"a", "an", "the"}) for one in wanted.split("|")
    )


def _same_text(given: str, wanted: str) -> bool:
    """Every word that matters of what was wanted is there."""
    said = set(_words(given))
    return all(word in said for word in _words(wanted) if word not in LITTLE)


def _same(tool: str, name: str, given: Any, wanted: Any) -> bool:
    if isinstance(given, str) and isinstance(wanted, str) and name in {"prompt", "query"}:
        return _same_text(given, wanted) if tool == "write_text" else _same_picture(given, wanted)
    if isinstance(given, (int, float)) and isinstance(wanted, (int, float)):
        return abs(given - wanted) < 1e-6
    return bool(given == wanted)


def _full(step: Mapping[str, Any], tools: Mapping[str, Signature]) -> dict[str, Any]:
    defaults = {argument.name: argument.default for argument in tools[step["tool"]].arguments}
    return {**defaults, **step["args"]}


def same_step(given: Mapping[str, Any], wanted: Mapping[str, Any], tools: Mapping[str, Signature]) -> bool:
    """Say whether a step does what was wanted; arguments at their default count as not given."""
    if given["id"] != wanted["id"] or given["tool"] != wanted["tool"] or given["tool"] not in tools:
        return False
    one, other = _full(given, tools), _full(wanted, tools)
    return one.keys() == other.keys() and all(_same(given["tool"], name, one[name], other[name]) for name in other)


def fully_right(given: Mapping[str, Any], wanted: Mapping[str, Any], tools: Mapping[str, Signature]) -> bool:
    """Say whether a plan is right in every step; the words of the reply do not count."""
    steps, others = given["steps"], wanted["steps"]
    return len(steps) == len(others) and all(same_step(a, b, tools) for a, b in zip(steps, others, strict=True))
