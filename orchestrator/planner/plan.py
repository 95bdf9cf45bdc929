"""The plan: steps as data, and the check that nothing runs without."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.planner.signatures import takes
from tools.base import KINDS, REFERENCE, ToolArgs, ToolSpec

MAX_STEPS = 16
MAX_PICTURES = 64
_STEP_REFERENCE = re.compile(r"^\$(s\d+)(?:\[(\d+)\])?$")

KindOf = Callable[[str], str | None]
"""Gives the kind of an asset by its id, or None when the caller has no such asset."""


class Step(BaseModel):
    """One step: a tool and its arguments, references as "$s1", "$s1[0]" or "@asset_…"."""

    model_config = ConfigDict(extra="forbid")

    id: str
    tool: str
    args: dict[str, Any] = Field(default_factory=dict)


class Plan(BaseModel):
    """Steps in the order in which they were planned, and what is said about them."""

    model_config = ConfigDict(extra="forbid")

    steps: list[Step] = Field(default_factory=list)
    reply: str = ""

    def step(self, step_id: str) -> Step | None:
        """Give a step by its id."""
        return next((step for step in self.steps if step.id == step_id), None)


@dataclass(frozen=True)
class Problem:
    """Why a plan cannot run as it is.

    Attributes:
        step: the step's id; empty where the whole plan is meant.
        argument: the argument's name; empty where the whole step is meant.
        message: what is wrong and what would fit.
    """

    step: str
    argument: str
    message: str

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.step, self.argument) if part)
        return f"{where}: {self.message}" if where else self.message


@dataclass(frozen=True)
class AssetLine:
    """An asset as the planner sees it: never its bytes.

    Attributes:
        sources: where its words come from, as people read it: "brand-voice.md › Tone".
        foreign: its caption or its words come from outside: an upload, a document, a solution.
    """

    id: str
    kind: str
    caption: str
    sources: tuple[str, ...] = ()
    foreign: bool = False


@dataclass(frozen=True)
class Said:
    """What was said in the conversation before.

    Attributes:
        role: "user" or "assistant".
        foreign: the studio's answer holds words from outside: of a document, a solution, an error of theirs.
    """

    role: str
    text: str
    foreign: bool = False


def references(value: Any) -> Iterator[str]:
    """Give the references in a value of an argument that takes assets."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from references(item)


def needs(step: Step, specs: Mapping[str, ToolSpec]) -> list[str]:
    """Give the ids of the steps that a step waits for, in order, each once."""
    found = [match[1] for _, reference in _refers(step, specs) if (match := _STEP_REFERENCE.match(reference))]
    return list(dict.fromkeys(found))


def assets_used(plan: Plan, specs: Mapping[str, ToolSpec]) -> list[str]:
    """Give the ids of the library's assets that a plan refers to, each once."""
    found = [reference[1:] for step in plan.steps for _, reference in _refers(step, specs) if reference.startswith("@")]
    return list(dict.fromkeys(found))


def _refers(step: Step, specs: Mapping[str, ToolSpec]) -> Iterator[tuple[str, str]]:
    spec = specs.get(step.tool)
    for name, field in spec.args.model_fields.items() if spec else ():
        if takes(field) is not None:
            for reference in references(step.args.get(name)):
                yield name, reference


def check(plan: Plan, specs: Mapping[str, ToolSpec], kind_of: KindOf) -> list[Problem]:
    """Check a plan before anything runs.

    Args:
        plan: what was planned; no steps are no problem.
        specs: the tools.
        kind_of: the caller's assets.

    Returns:
        Everything that is wrong, in the order of the steps; empty if it can run.
    """
    problems = list(_check_ids(plan))
    if len(plan.steps) > MAX_STEPS:
        problems.append(Problem("", "", f"a plan has {MAX_STEPS} steps at most, this one has {len(plan.steps)}"))
    parsed: dict[str, ToolArgs] = {}
    for step in plan.steps:
        spec = specs.get(step.tool)
        if spec is None:
            problems.append(Problem(step.id, "", f"there is no tool {step.tool!r}; there are {', '.join(specs)}"))
            continue
        problems.extend(_check_args(step, spec, parsed))
        problems.extend(_check_references(plan, step, specs, parsed, kind_of))
    pictures = sum(specs[step.tool].cost(parsed[step.id]) for step in plan.steps if step.id in parsed)
    if pictures > MAX_PICTURES:
        problems.append(Problem("", "", f"a plan makes {MAX_PICTURES} pictures at most, this one makes {pictures}"))
    return problems


def _check_ids(plan: Plan) -> Iterator[Problem]:
    for number, step in enumerate(plan.steps, 1):
        if step.id != f"s{number}":
            yield Problem(step.id, "", f"step {number} is called 's{number}', not {step.id!r}")


def _check_args(step: Step, spec: ToolSpec, parsed: dict[str, ToolArgs]) -> Iterator[Problem]:
    try:
        parsed[step.id] = spec.args.model_validate(step.args)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            name = str(fault["loc"][0]) if fault["loc"] else ""
            yield Problem(step.id, name, _say(fault, spec, name))


def _say(fault: Any, spec: ToolSpec, name: str) -> str:
    if fault["type"] == "extra_forbidden":
        return f"{spec.name} has no such argument; it has {', '.join(spec.args.model_fields)}"
    if fault["type"] == "string_pattern_mismatch" and fault["ctx"].get("pattern") == REFERENCE:
        return f"{fault['input']!r} is no asset; write an earlier step as '$s1' or '$s1[0]', or an asset as '@asset_…'"
    message = str(fault["msg"]).removeprefix("Value error, ")
    given = "" if fault["type"] in {"missing", "value_error"} else f" (it is {fault['input']!r})"
    limits = _range(spec, name)
    return message + (f"; it goes {limits}" if limits else "") + given


def _range(spec: ToolSpec, name: str) -> str:
    from orchestrator.planner.signatures import signature

    argument = signature(spec).argument(name)
    if argument is None or argument.low is None or argument.high is None:
        return ""
    return f"from {argument.low} to {argument.high}"


def _check_references(
    plan: Plan, step: Step, specs: Mapping[str, ToolSpec], parsed: Mapping[str, ToolArgs], kind_of: KindOf
) -> Iterator[Problem]:
    earlier = {other.id: other for other in plan.steps[: plan.steps.index(step)]}
    for name, reference in _refers(step, specs):
        kinds = takes(specs[step.tool].args.model_fields[name]) or KINDS
        if match := _STEP_REFERENCE.match(reference):
            message = _step_problem(plan, step, match, earlier, specs, parsed, kinds)
        elif reference.startswith("@"):
            message = _asset_problem(reference[1:], kinds, kind_of)
        else:
            continue  # the arguments' own check names what is no reference
        if message:
            yield Problem(step.id, name, message)


def _asset_problem(asset_id: str, kinds: tuple[str, ...], kind_of: KindOf) -> str | None:
    kind = kind_of(asset_id)
    if kind is None:
        return f"there is no asset {asset_id!r}"
    return None if kind in kinds else f"@{asset_id} is of kind {kind!r}, and {' or '.join(kinds)} is needed"


def _step_problem(
    plan: Plan,
    step: Step,
    match: re.Match[str],
    earlier: Mapping[str, Step],
    specs: Mapping[str, ToolSpec],
    parsed: Mapping[str, ToolArgs],
    kinds: tuple[str, ...],
) -> str | None:
    source = earlier.get(match[1])
    if source is None:
        if match[1] == step.id:
            return f"{match[0]} is the step itself; only earlier steps can be used"
        there = plan.step(match[1]) is not None
        return f"{match[0]} comes later; only earlier steps can be used" if there else f"there is no step {match[1]!r}"
    spec = specs.get(source.tool)
    if spec is None:
        return None
    kind = spec.gives or source.args.get("kind")
    if kind in KINDS and kind not in kinds:
        return f"{match[1]} gives {kind}, and {' or '.join(kinds)} is needed"
    args = parsed.get(source.id)
    if match[2] is not None and spec.gives and args is not None:
        made = max(1, spec.cost(args))
        if int(match[2]) >= made:
            return f"{match[0]} does not exist: {match[1]} makes {made}, the last is ${match[1]}[{made - 1}]"
    return None
