"""Makes the paths of a declaration absolute: they are relative to where it is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATHS = ("cwd", "images", "captions")


def place(declared: dict[str, Any], folder: Path) -> None:
    """Make the relative paths of a declaration, as it is written in a file, relative to a folder.

    A program without a folder of its own starts in this one.
    """
    for name in PATHS:
        if isinstance(declared.get(name), str):
            declared[name] = str(folder / declared[name])
    if isinstance(declared.get("folders"), list):
        declared["folders"] = [str(folder / one) for one in declared["folders"]]
    document = declared.get("document")
    if isinstance(document, str) and "://" not in document:
        declared["document"] = str(folder / document)
    if declared.get("kind") == "mcp" and "command" in declared:
        declared.setdefault("cwd", str(folder))
    for secret in _secrets(declared):
        secret["file"] = str(folder / secret["file"])


def relative(declared: Any) -> list[str]:
    """Give the paths of a declaration that are relative, which mean nothing to a worker elsewhere."""
    found = [str(declared[name]) for name in PATHS if isinstance(declared.get(name), str)]
    found += [str(one) for one in declared.get("folders") or ()]
    found += [str(secret["file"]) for secret in _secrets(declared)]
    if isinstance(declared.get("document"), str) and "://" not in declared["document"]:
        found.append(declared["document"])
    return [one for one in found if not Path(one).is_absolute()]


def _secrets(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("file"), str) and set(value) <= {"file", "env"}:
            yield value
        for one in value.values():
            yield from _secrets(one)
    elif isinstance(value, list):
        for one in value:
            yield from _secrets(one)
