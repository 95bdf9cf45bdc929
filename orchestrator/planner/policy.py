"""What a plan of a language model may do without a person: make and search, never send or delete after reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.planner.plan import AssetLine, Plan, Said
from tools.base import ToolSpec


def sending(plan: Plan, specs: Mapping[str, ToolSpec]) -> list[ToolSpec]:
    """Give the tools of a plan that send, change or delete something outside the studio."""
    return [specs[step.tool] for step in plan.steps if step.tool in specs and specs[step.tool].sends]


def risk(
    plan: Plan,
    specs: Mapping[str, ToolSpec],
    context: Sequence[AssetLine],
    history: Sequence[Said] = (),
    *,
    has_read: bool = False,
) -> str | None:
    """Say why a person has to approve a plan before it runs, or None if it may run.

    Tools that send, change or delete something outside the studio wait, but for those that were declared to be
    trusted; and these wait too where the model had read words from outside, which may have asked for it.

    Args:
        context: the assets that the model saw when it made the plan.
        history: what it read of the conversation.
        has_read: words from outside came into the conversation before.
    """
    read = has_read or any(one.foreign for one in context) or any(one.foreign for one in history)
    waits = [spec.name for spec in sending(plan, specs) if read or not spec.trusted]
    if not waits:
        return None
    names = ", ".join(dict.fromkeys(waits))
    after = ", and the plan was made after reading words from outside" if read else ""
    return f"{names} may send, change or delete something outside the studio{after}"
