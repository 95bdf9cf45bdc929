"""All tools by name: ours, and those that packages add through the entry-point group `atelier.tools`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from pydantic import Field, create_model

from tools.base import ToolArgs, ToolSpec

GROUP = "atelier.tools"
OURS = ("search_assets", "generate_image", "vary_image", "make_video", "write_text", "consult")


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


def with_choices(spec: ToolSpec, names: Mapping[str, Sequence[str]]) -> ToolSpec:
    """Give a tool whose choices are narrowed to the values that there are.

    Args:
        spec: of the tool; `spec.choices` says which arguments are choices.
        names: for each of them, the names of weights that were trained here; those that the tool always has are added.

    Returns:
        A copy whose arguments are a subclass, so that a runner takes them as its own; the same tool if it has no
        choices.
    """
    if not spec.choices:
        return spec
    fields: dict[str, Any] = {}
    for argument in spec.choices:
        info = spec.args.model_fields[argument]
        values = tuple(dict.fromkeys((*spec.always.get(argument, ()), *names.get(argument, ()))))
        if not values:
            continue
        fields[argument] = (Literal[values] | None, Field(info.default, description=info.description))
    return replace(spec, args=_narrowed(spec.args, fields))


def _narrowed(args: type[ToolArgs], fields: dict[str, Any]) -> type[ToolArgs]:
    return create_model(args.__name__, __base__=args, __module__=args.__module__, __doc__=args.__doc__, **fields)


def load(runner: str) -> Callable[..., Any]:
    """Import "package.module:function" and give the function."""
    module, _, name = runner.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
