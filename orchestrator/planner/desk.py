"""The planner's two steps: `studio.plan` turns words into stored steps, `studio.reply` says what came of them.

They are steps like any other (docs/decisions/0001): a planner that is killed while it plans begins again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, or_, select

from models.language.errors import LanguageModelError
from orchestrator.planner.answer import StepResult
from orchestrator.planner.graph import Declined, Dialect, NotUnderstood, Planner
from orchestrator.planner.ground import CONSULT, House
from orchestrator.planner.lines import ASSET_ID, one_line
from orchestrator.planner.plan import AssetLine, Plan, Said
from orchestrator.planner.policy import risk, sending
from store import assets, runs, solutions, versions, views
from store.runs import PLAN, REPLY
from store.steps import Claim
from store.tables import asset_edges, messages, step_assets, steps
from store.tables import assets as assets_table
from store.tables import runs as runs_table
from store.transition import Transition
from tools.base import InvalidInput, Source, ToolFailed, ToolSpec, TryLater
from tools.consult.run import said
from workers.about import keep_private
from workers.bench import Bench, InnerRunner
from workers.planned import new_steps

RECENT_ASSETS = 8
RECENT_MESSAGES = 8
EXCERPT = 400  # characters
READERS = (CONSULT, "search_assets")


def runners(dialect: Dialect) -> dict[str, InnerRunner]:
    """Give the runners of the planner's steps.

    Args:
        dialect: how the language model writes plans.
    """
    return {
        PLAN: lambda bench, claim: _plan(bench, claim, dialect),
        REPLY: lambda bench, claim: _reply(bench, claim, dialect),
    }


def _plan(bench: Bench, claim: Claim, dialect: Dialect) -> Callable[[Transition], None]:
    """Plan what the run asks for.

    Raises:
        InvalidInput: it was not understood; the message is for the user.
        TryLater: the language model does not answer.
        ToolFailed: it refuses (a wrong key, say).
    """
    with bench.database.read() as connection:
        run = connection.execute(select(runs_table).where(runs_table.c.id == claim.run_id)).one()
        context = _context(connection, run)
        house = _house(bench, connection, claim.owner)
        tools = _plannable(bench.tools(claim.owner), house)
        readers = {name for name, spec in tools.items() if spec.reads} | {*READERS}
        history = _history(connection, run, readers)
    keep_private(run.request)
    planner = Planner(bench.chat, tools, dialect=dialect, house=house)
    try:
        drafted = planner.draft(
            run.request,
            context=context,
            history=history,
            find_asset=lambda asset_id: _find(bench, claim.owner, asset_id),
            on_text=lambda text: bench.tell(claim.run_id, "text.delta", text=text),
        )
    except NotUnderstood as error:
        raise InvalidInput(f"I could not make a plan of that: {error.reason}. Say it in other words.") from error
    except (ConnectionError, TimeoutError) as error:
        raise TryLater(f"the language model does not answer: {error}") from error
    except LanguageModelError as error:
        raise ToolFailed(str(error)) from error
    plan = {"steps": [], "reply": drafted.reply} if isinstance(drafted, Declined) else drafted.model_dump(mode="json")
    new = new_steps(plan, tools, bench.max_attempts)
    danger = None
    if not isinstance(drafted, Declined) and sending(drafted, tools):
        with bench.database.read() as connection:
            danger = risk(drafted, tools, context, history, has_read=_has_read(connection, run, readers))
    if danger is not None and run.batch_id is not None:
        raise InvalidInput(f"{danger}; a batch cannot wait for a person: give the tool and its arguments in the line")
    return lambda t: runs.save_plan(t, claim.run_id, plan, new, risk=danger)


def _reply(bench: Bench, claim: Claim, dialect: Dialect) -> Callable[[Transition], None]:
    """Say what came of the run's steps."""
    with bench.database.read() as connection:
        run = connection.execute(select(runs_table).where(runs_table.c.id == claim.run_id)).one()
        results = _results(bench, connection, claim.owner, claim.run_id)
    keep_private(run.request, run.plan)
    planner = Planner(bench.chat, bench.tools(claim.owner), dialect=dialect)
    reply = planner.answer(run.request, Plan.model_validate(run.plan), results)
    return lambda t: runs.set_reply(t, claim.run_id, reply)


def _house(bench: Bench, connection: Connection, owner: str) -> House:
    """Give what a company plugged in, as far as the owner may use it."""
    known = [one for one in solutions.list_(connection, owner) if one.kind == "knowledge"]
    documents = {one.name: tuple(one.declaration.get("about") or ()) for one in known}
    styles = tuple(versions.names(connection, owner, versions.STYLE))
    return House(documents, styles, lambda texts: bench.encoder.encode(list(texts)))


def _plannable(tools: Mapping[str, ToolSpec], house: House) -> Mapping[str, ToolSpec]:
    """Leave out what has nothing to work with, so that no model plans it."""
    return {name: spec for name, spec in tools.items() if name != CONSULT or house.documents}


def _context(connection: Connection, run: Row[Any]) -> list[AssetLine]:
    """Give the last assets of the run's thread, oldest first: those that were named in it, and those that it made."""
    if run.thread_id is None:
        return []
    query = (
        select(step_assets.c.asset_id)
        .join(steps, steps.c.id == step_assets.c.step_id)
        .join(runs_table, runs_table.c.id == steps.c.run_id)
        .where(*_of_thread(run))
        .order_by(runs_table.c.created_at.desc(), steps.c.position.desc(), step_assets.c.position.desc())
        .limit(RECENT_ASSETS)
    )
    told = connection.execute(_recent(run)).all()
    named = [name for message in told for name in reversed(ASSET_ID.findall(message.content))]
    ids = list(dict.fromkeys([*connection.execute(query).scalars(), *named]))[:RECENT_ASSETS]
    return [_line(asset) for asset in reversed(assets.get_many(connection, run.owner, ids))]


def _of_thread(run: Row[Any]) -> tuple[Any, ...]:
    """Give the conditions for the runs of a run's thread, and for those of another that it branched from."""
    told = select(messages.c.run_id).where(messages.c.thread_id == run.thread_id, messages.c.run_id.is_not(None))
    return or_(runs_table.c.thread_id == run.thread_id, runs_table.c.id.in_(told)), runs_table.c.owner == run.owner


def _recent(run: Row[Any]) -> Select[Any]:
    """Give the query for what was said last in a run's thread, newest first."""
    return (
        select(messages.c.role, messages.c.content, messages.c.run_id, runs_table.c.plan)
        .outerjoin(runs_table, runs_table.c.id == messages.c.run_id)
        .where(
            messages.c.thread_id == run.thread_id,
            messages.c.role != "system",
            messages.c.created_at <= run.created_at,
            messages.c.run_id.is_distinct_from(run.id),
        )
        .order_by(messages.c.created_at.desc(), messages.c.id.desc())
        .limit(RECENT_MESSAGES)
    )


def _history(connection: Connection, run: Row[Any], readers: Collection[str]) -> list[Said]:
    """Give what holds for the run, and what was said in its thread before, oldest first.

    Args:
        readers: tools that bring in words from outside.
    """
    if run.thread_id is None:
        return []
    own = select(messages.c.content).where(
        messages.c.thread_id == run.thread_id, messages.c.role == "system", messages.c.run_id == run.id
    )
    rows = reversed(connection.execute(_recent(run)).all())
    said = [Said(row.role, row.content, row.role == "assistant" and _is_foreign(row, readers)) for row in rows]
    return [*(Said("user", content) for content in connection.execute(own).scalars()), *said]


def _is_foreign(answer: Row[Any], readers: Collection[str]) -> bool:
    """Say whether an answer may hold words from outside; nobody knows what is in one that a client tells us of."""
    return answer.run_id is None or _reads(answer.plan, readers)


def _reads(plan: Mapping[str, Any] | None, readers: Collection[str]) -> bool:
    """Say whether a plan brought in words from outside: documents, captions of uploads, solutions (with a dot)."""
    return any(step["tool"] in readers or "." in step["tool"] for step in (plan or {}).get("steps", ()))


def _has_read(connection: Connection, run: Row[Any], readers: Collection[str]) -> bool:
    """Say whether words from outside ever came into the run's thread.

    The planner sees only the end of it, but may have put what it read in its own words: in what it said, and in texts
    that were made from what is foreign.
    """
    if run.thread_id is None:
        return False
    untold = messages.c.thread_id == run.thread_id, messages.c.role == "assistant", messages.c.run_id.is_(None)
    if connection.execute(select(messages.c.id).where(*untold).limit(1)).first() is not None:
        return True
    here = _of_thread(run)
    tools = select(steps.c.tool).join(runs_table, runs_table.c.id == steps.c.run_id).where(*here).distinct()
    found = set(connection.execute(tools).scalars())
    if any(tool in readers or ("." in tool and not tool.startswith("studio.")) for tool in found):
        return True
    return any(asset.sources or asset.recipe is None for asset in connection.execute(_origins(here)))


def _origins(here: tuple[Any, ...]) -> Select[Any]:
    """Give the query for the assets of runs, and all that they were made from."""
    own = (
        select(step_assets.c.asset_id.label("id"))
        .join(steps, steps.c.id == step_assets.c.step_id)
        .join(runs_table, runs_table.c.id == steps.c.run_id)
        .where(*here)
        .cte("origins", recursive=True)
    )
    origins = own.union(select(asset_edges.c.parent_id).join(own, own.c.id == asset_edges.c.child_id))
    columns = (assets_table.c.recipe, assets_table.c.sources)
    return select(*columns).where(assets_table.c.id.in_(select(origins.c.id)))


def _results(bench: Bench, connection: Connection, owner: str, run_id: str) -> Sequence[StepResult]:
    run = views.get(connection, owner, run_id)
    ids = [asset_id for step in run["steps"] for asset_id in step["assets"]]
    known = {asset.id: asset for asset in assets.get_many(connection, owner, ids)}
    return [_result(bench, step, known) for step in run["steps"]]


def _result(bench: Bench, step: Mapping[str, Any], known: Mapping[str, assets.Asset]) -> StepResult:
    error = step["error"]["message"] if step["error"] and step["status"] == "failed" else None
    made = [known[id_] for id_ in step["assets"] if id_ in known]
    found = _excerpt(bench, made[0]) if step["tool"] == CONSULT and made else None
    return StepResult(step["id"], step["status"], [_line(asset) for asset in made], error, found)


def _excerpt(bench: Bench, asset: assets.Asset) -> str:
    """Give the first passage of an answer of documents, without its head, short enough for a reply."""
    first = re.split(r"\n\n(?=\[\d+\] )", bench.blobs.get(asset.sha256).decode(errors="replace"))[0]
    words = one_line(first.partition("\n")[2], EXCERPT)
    return words if len(words) < EXCERPT else words.rsplit(" ", 1)[0] + " …"


def _find(bench: Bench, owner: str, asset_id: str) -> AssetLine | None:
    with bench.database.read() as connection:
        asset = assets.get(connection, owner, asset_id)
    return _line(asset) if asset else None


def _line(asset: assets.Asset) -> AssetLine:
    sources = tuple(dict.fromkeys(said(Source(**source)) for source in asset.sources or ()))
    return AssetLine(asset.id, asset.kind, asset.caption, sources, foreign=bool(sources) or asset.recipe is None)
