"""From a checked plan to the steps that are stored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from store.runs import NewStep
from tools.base import InvalidInput, ToolSpec, draw_seed
from workers.resolve import check_args

_REFERENCE = re.compile(r"^\$([A-Za-z0-9_]+)(?:\[\d+\])?$")


def new_steps(plan: Mapping[str, Any], specs: Mapping[str, ToolSpec], max_attempts: int = 3) -> list[NewStep]:
    """Give the steps of a plan, with the seeds that were not given drawn and recorded.

    Raises:
        InvalidInput: a tool is unknown, an argument does not fit, or a step needs one that does not come before it.
    """
    made: list[NewStep] = []
    for entry in plan.get("steps", ()):
        made.append(_step(entry, specs, {step.name for step in made}, max_attempts))
    return made


def _step(entry: Mapping[str, Any], specs: Mapping[str, ToolSpec], before: set[str], max_attempts: int) -> NewStep:
    name = str(entry.get("id", ""))
    if not re.fullmatch(r"[A-Za-z0-9_]{1,40}", name) or name in before:
        raise InvalidInput(f"step id {name!r}: give each step an id of its own, letters and digits")
    spec = specs.get(str(entry.get("tool")))
    if spec is None:
        raise InvalidInput(
            f"step {name!r}: there is no tool {entry.get('tool')!r}; there are {', '.join(sorted(specs))}"
        )
    args = check_args(spec, entry.get("args") or {})
    values = args.model_dump(mode="json", exclude_none=True)
    if spec.draws and values.get("seed") is None:
        values["seed"] = draw_seed()
    needs = tuple(dict.fromkeys(_references(values)))
    unknown = [need for need in needs if need not in before]
    if unknown:
        raise InvalidInput(f"step {name!r} needs step {unknown[0]!r}, which does not come before it")
    # What sends is not tried again by itself; calls of solutions (with a dot) are logged, and so refused exactly.
    attempts = 1 if spec.sends and "." not in spec.name else max_attempts
    return NewStep(name, spec.name, values, spec.queue, needs, spec.batch_key(args), attempts)


def _references(values: Any) -> list[str]:
    if isinstance(values, dict):
        return [name for value in values.values() for name in _references(value)]
    if isinstance(values, list):
        return [name for value in values for name in _references(value)]
    match = _REFERENCE.match(values) if isinstance(values, str) else None
    return [match[1]] if match else []
