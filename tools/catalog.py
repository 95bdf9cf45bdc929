"""All tools by name: ours, and those that packages add through the entry-point group `atelier.tools`."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from pydantic import Field, create_model

from tools.base import ToolArgs, ToolSpec

log = logging.getLogger(__name__)
GROUP = "atelier.tools"
NAME = r"[a-z][a-z0-9_]{0,63}"
QUEUES = ("planner", "image", "solution")
OURS = ("search_assets", "generate_image", "vary_image", "make_video", "write_text", "consult")


def _ours() -> Iterator[ToolSpec]:
    for name in OURS:
        yield importlib.import_module(f"tools.{name}.spec").SPEC


@dataclass(frozen=True)
class Package:
    """An installed package that brings a tool.

    Attributes:
        name: of the distribution; with its version and what it says of itself in a sentence.
        tool: its spec, or None where it cannot be used.
        error: why not.
    """

    name: str
    version: str
    summary: str
    tool: ToolSpec | None
    error: str | None = None


@cache
def packages() -> tuple[Package, ...]:
    """Give the packages that bring tools; one that is broken says so and stops no other."""
    taken = {spec.name: "the studio" for spec in _ours()}
    found = []
    for point in entry_points(group=GROUP):
        dist = point.dist
        name, version = (dist.name, dist.version) if dist is not None else (point.value, "")
        summary = str(dist.metadata.json.get("summary") or "") if dist is not None else ""
        try:
            tool: ToolSpec | None = _fitting(point.load(), taken)
            error = None
        except Exception as problem:  # noqa: BLE001  # whatever other people's code raises
            tool, error = None, f"{point.name} = {point.value}: {type(problem).__name__}: {problem}"
            log.warning("package %s brings no tool: %s", name, error)
        if tool is not None:
            taken[tool.name] = name
        found.append(Package(name, version, summary, tool, error))
    return tuple(found)


def _fitting(spec: Any, taken: Mapping[str, str]) -> ToolSpec:
    """Check what an entry point gives.

    Raises:
        TypeError: it is no spec.
        ValueError: its name does not fit or is taken, or no worker serves its queue.
    """
    if not isinstance(spec, ToolSpec):
        raise TypeError(f"it gives {type(spec).__name__}, not a ToolSpec")
    if not re.fullmatch(NAME, spec.name):
        raise ValueError(f"a tool is called by small letters, digits and _, not {spec.name!r}")
    if spec.name in taken:
        raise ValueError(f"a tool called {spec.name!r} comes from {taken[spec.name]} already")
    if spec.queue not in QUEUES:
        raise ValueError(f"no worker serves the queue {spec.queue!r}; there are {', '.join(QUEUES)}")
    return spec


@cache
def specs() -> dict[str, ToolSpec]:
    """Give every tool that a plan can call, by name: ours, and those of packages that can be used."""
    theirs = (package.tool for package in packages() if package.tool is not None)
    return {spec.name: spec for spec in (*_ours(), *theirs)}


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
