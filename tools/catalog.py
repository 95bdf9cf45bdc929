"""All tools by name: ours, and those that packages add through the entry-point group `atelier.tools`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from tools.base import ToolSpec

GROUP = "atelier.tools"
OURS = ("search_assets", "generate_image", "vary_image", "make_video", "write_text")


def _ours() -> Iterator[ToolSpec]:
    for name in OURS:
        yield importlib.import_module(f"tools.{name}.spec").SPEC


def _theirs() -> Iterator[ToolSpec]:
    for point in entry_points(group=GROUP):
        spec = point.load()
        if not isinstance(spec, ToolSpec):
            raise TypeError(f"entry point {point.name!r} of {GROUP} gives {type(spec).__name__}, not a ToolSpec")
        yield spec


@cache
def specs() -> dict[str, ToolSpec]:
    """Give every tool that a plan can call, by name.

    Raises:
        ValueError: two packages bring a tool of one name.
        TypeError: an entry point gives something else than a ToolSpec.
    """
    found: dict[str, ToolSpec] = {}
    for spec in (*_ours(), *_theirs()):
        if spec.name in found:
            raise ValueError(f"two tools are called {spec.name!r}: {found[spec.name].runner} and {spec.runner}")
        found[spec.name] = spec
    return found


def load(runner: str) -> Callable[..., Any]:
    """Import "package.module:function" and give the function."""
    module, _, name = runner.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
