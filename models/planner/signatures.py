"""What the line format needs to know of a tool: the names, types and ranges of its arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

TOOLS = Path(__file__).with_name("tools.json")
Type = Literal["string", "strings", "integer", "number", "boolean", "choice", "asset", "assets", "any"]


@dataclass(frozen=True)
class Argument:
    """One argument of a tool.

    Attributes:
        name: as plans write it.
        type: "asset" and "assets" refer to steps or to the library; "choice" is one of `values`.
        required: it has no default.
        low, high: the range of a number.
        values: what a choice offers.
        kinds: the kinds of assets that fit; empty where it takes none.
        default: what the tool takes when it is not given.
    """

    name: str
    type: Type
    required: bool = False
    low: float | None = None
    high: float | None = None
    values: tuple[str | int, ...] = ()
    kinds: tuple[str, ...] = ()
    default: Any = None


@dataclass(frozen=True)
class Signature:
    """A tool as the local planner sees it.

    Attributes:
        name: how plans call it.
        arguments: those that are required first.
        gives: the kind that it makes; None where that is not known before.
    """

    name: str
    arguments: tuple[Argument, ...]
    gives: str | None = None

    def argument(self, name: str) -> Argument | None:
        """Give one argument by name."""
        return next((argument for argument in self.arguments if argument.name == name), None)


def dump(signatures: Mapping[str, Signature]) -> str:
    """Write signatures as JSON."""
    return json.dumps([asdict(signature) for signature in signatures.values()], indent=1) + "\n"


def load(text: str) -> dict[str, Signature]:
    """Read signatures that `dump` wrote."""
    found = {}
    for tool in json.loads(text):
        arguments = tuple(
            Argument(**{**item, "values": tuple(item["values"]), "kinds": tuple(item["kinds"])})
            for item in tool["arguments"]
        )
        found[tool["name"]] = Signature(tool["name"], arguments, tool["gives"])
    return found


def trained() -> dict[str, Signature]:
    """Give the tools that the adapter was trained to call."""
    return load(TOOLS.read_text())
