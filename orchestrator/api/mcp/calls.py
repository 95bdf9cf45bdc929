"""Tool calls: each tool of the owner's catalogue is a run of one step; the others look at runs and the library."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from anyio import to_thread
from mcp_types import CallToolResult, ListToolsResult, Tool, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api import accepting
from orchestrator.api.mcp import MOST_S, cancelling, contents, following
from orchestrator.api.mcp.following import Report
from orchestrator.api.mcp.turn import Desk
from orchestrator.api.search import Wanted, search_by_body
from store import assets, keys
from tools.base import ToolSpec


class Say(BaseModel):
    """What to make, in words."""

    model_config = ConfigDict(extra="forbid")
    say: str = Field(min_length=1, max_length=8000, description="what you want, in words, as you would tell a person")


class OfRun(BaseModel):
    """Which run."""

    model_config = ConfigDict(extra="forbid")
    run_id: str = Field(max_length=60, description="the id of a run, run_…")


class Wait(OfRun):
    """Which run to wait for, and how long."""

    seconds: float = Field(MOST_S, ge=0, le=MOST_S, description="how long to wait at most, in seconds")


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        key: names its run, where a later message can cancel the call.
        closes: whether closing the stream cancels it.
        report: where its progress is told.
    """

    desk: Desk
    args: Mapping[str, Any]
    key: str | None
    closes: bool
    report: Report


@dataclass(frozen=True)
class Own:
    """A tool that is no step of a plan."""

    description: str
    args: type[BaseModel]
    answer: Callable[[Call, Any], Awaitable[CallToolResult]]
    makes: bool = False


async def _make(call: Call, args: Say) -> CallToolResult:
    return await _run(call, partial(accepting.accept, request=args.say))


async def _step(call: Call, spec: ToolSpec) -> CallToolResult:
    """Run one tool. What sends something waits for a person: what its caller has read before is not known here."""
    plan = {"steps": [{"id": "s1", "tool": spec.name, "args": dict(call.args)}], "reply": ""}
    return await _run(call, partial(accepting.accept, plan=plan, needs_approval=spec.sends))


async def _run(call: Call, accept: Callable[..., dict[str, Any]]) -> CallToolResult:
    context, owner = call.desk.context, call.desk.owner
    run_id: str | None = None
    try:
        # Not abandoned when the call is cancelled: a run that was accepted has to be known, to be cancelled too.
        run_id = (await to_thread.run_sync(partial(accept, context, owner, idempotency_key=call.key)))["id"]
        return await _wait_for(call, str(run_id), MOST_S)
    except anyio.get_cancelled_exc_class():
        if run_id is not None and call.closes and call.desk.turn.is_left:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(cancelling.of_run, context, owner, run_id)
        raise


async def _wait_for(call: Call, run_id: str, wait_s: float) -> CallToolResult:
    context, owner = call.desk.context, call.desk.owner
    run = await following.wait(context, owner, run_id, wait_s, call.report)
    return await to_thread.run_sync(partial(contents.of_run, context, owner, run, waited_s=wait_s))


async def _wait(call: Call, args: Wait) -> CallToolResult:
    return await _wait_for(call, args.run_id, args.seconds)


async def _get(call: Call, args: OfRun) -> CallToolResult:
    def look() -> CallToolResult:
        run = accepting.view(call.desk.context, call.desk.owner, args.run_id)
        return contents.of_run(call.desk.context, call.desk.owner, run)

    return await to_thread.run_sync(look)


async def _cancel(call: Call, args: OfRun) -> CallToolResult:
    await to_thread.run_sync(cancelling.of_run, call.desk.context, call.desk.owner, args.run_id)
    found = await _get(call, args)
    return found.model_copy(update={"is_error": False})


async def _search(call: Call, wanted: Wanted) -> CallToolResult:
    def look() -> CallToolResult:
        context, owner = call.desk.context, call.desk.owner
        found = search_by_body(wanted, context, owner)["data"]
        with context.database.read() as connection:
            linked = assets.get_many(connection, owner, [one["id"] for one in found])
        return contents.of_hits(found, linked)

    return await to_thread.run_sync(look)


OWN = {
    "make": Own(
        "Say in words what you want; the studio plans it, makes it and answers with pictures, sounds and texts. "
        "Use it for anything of more than one step.",
        Say,
        _make,
        makes=True,
    ),
    "search_assets": Own("Find what is in the library by words, or by likeness to an asset.", Wanted, _search),
    "get_run": Own("Look at a run at once: how far it is, and what it made.", OfRun, _get),
    "wait_run": Own(f"Wait for a run, at most {MOST_S:g} s, and give what it made.", Wait, _wait),
    "cancel_run": Own("Stop a run.", OfRun, _cancel, makes=True),
}


def listed(desk: Desk) -> ListToolsResult:
    """List the tools that the caller may call."""
    may_make = desk.turn.caller.may(keys.MAKE)
    own = [_own(name, tool) for name, tool in OWN.items() if may_make or not tool.makes]
    specs = desk.context.tools(desk.owner) if may_make else {}
    return ListToolsResult(tools=[*own, *(_tool(spec) for name, spec in specs.items() if name not in OWN)])


def _own(name: str, tool: Own) -> Tool:
    hints = ToolAnnotations(read_only_hint=not tool.makes, destructive_hint=False)
    return Tool(name=name, description=tool.description, input_schema=tool.args.model_json_schema(), annotations=hints)


def _tool(spec: ToolSpec) -> Tool:
    waits = " A person has to approve it before it runs." if spec.sends else ""
    examples = [{"say": example.say, "args": example.args} for example in spec.examples]
    return Tool(
        name=spec.name,
        description=f"{spec.description}{waits} An asset is given as @asset_…",
        input_schema=spec.args.model_json_schema(),
        annotations=ToolAnnotations(read_only_hint=False, destructive_hint=spec.sends, open_world_hint=spec.reads),
        _meta={"atelier/examples": examples} if examples else None,
    )


async def answer(call: Call, name: str) -> CallToolResult | None:
    """Answer a call, or None where there is no such tool.

    Raises:
        StudioError: it was refused; the message says why.
        ValidationError: the arguments do not fit.
    """
    own = OWN.get(name)
    if own is not None:
        if own.makes:
            call.desk.turn.require_make()
        return await own.answer(call, own.args.model_validate(dict(call.args)))
    spec = (await to_thread.run_sync(call.desk.context.tools, call.desk.owner)).get(name)
    if spec is None:
        return None
    call.desk.turn.require_make()
    return await _step(call, spec)
