"""The words at the end of a run: the plan's own reply, and what came out otherwise than planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.planner.plan import AssetLine, Plan, Step

NAMES = {
    "generate_image": "drawing",
    "vary_image": "varying the picture",
    "make_video": "making the video",
    "write_text": "writing the text",
    "search_assets": "searching",
    "consult": "consulting the documents",
}
SHOWN = 3
SOURCES = 6
LOOSE = "The small local model wrote this loosely: check it against its sources, or connect a larger model."


@dataclass(frozen=True)
class StepResult:
    """How a step ended.

    Attributes:
        id: the step's id in the plan.
        status: "completed", "failed", "skipped" or "cancelled".
        assets: what it made or found.
        error: why it failed, for people.
        excerpt: the best passage of what was found in documents.
    """

    id: str
    status: str
    assets: list[AssetLine] = field(default_factory=list)
    error: str | None = None
    excerpt: str | None = None


def _label(step: Step) -> str:
    what = str(step.args.get("prompt") or step.args.get("query") or "")
    name = NAMES.get(step.tool, step.tool.replace("_", " "))
    return f"{name} ({what})" if what else name


def _found(step: Step, result: StepResult) -> str:
    query = step.args.get("query")
    about = f' for "{query}"' if query else ""
    if not result.assets:
        offer = f' Shall I draw "{query}"?' if query else ""
        return f"I found nothing{about}.{offer}"
    captions = list(dict.fromkeys(asset.caption for asset in result.assets if asset.caption))
    shown = ", ".join(captions[:SHOWN]) + (", …" if len(captions) > SHOWN else "")
    return f"I found {len(result.assets)}{about}" + (f": {shown}." if shown else ".")


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text[-1:] in {".", "!", "?", "…"} else f"{text}."


def _consulted(step: Step, result: StepResult) -> str:
    if not result.assets:
        return f'The documents say nothing about "{step.args.get("question")}".'
    return _sentence(result.excerpt) if result.excerpt else ""


def _cited(results: Sequence[StepResult]) -> str:
    sources = list(dict.fromkeys(source for result in results for asset in result.assets for source in asset.sources))
    more = "; …" if len(sources) > SOURCES else ""
    return f"Sources: {'; '.join(sources[:SOURCES])}{more}." if sources else ""


def _is_written_from_sources(pairs: Sequence[tuple[Step, StepResult]]) -> bool:
    return any(step.tool == "write_text" and any(asset.sources for asset in result.assets) for step, result in pairs)


def answer(plan: Plan, results: Sequence[StepResult], *, is_small: bool = False) -> str:
    """Say what came of a plan.

    Args:
        plan: what was planned.
        results: how its steps ended; a step that is missing counts as skipped.
        is_small: the model is the small local one, which does not keep to what it was given.

    Returns:
        The plan's own reply where all went well; else what was made, and why the rest was not.
    """
    ended = {result.id: result for result in results}
    pairs = [(step, ended.get(step.id, StepResult(step.id, "skipped"))) for step in plan.steps]
    done = [(step, result) for step, result in pairs if result.status == "completed"]
    finds = [_found(step, result) for step, result in done if step.tool == "search_assets"]
    asks_only = all(step.tool == "consult" for step in plan.steps)
    finds += [
        said
        for step, result in done
        if step.tool == "consult" and (asks_only or not result.assets) and (said := _consulted(step, result))
    ]
    cited = _cited([result for _, result in done])
    if is_small and _is_written_from_sources(done):
        cited = f"{LOOSE} {cited}"
    failed = [(step, result) for step, result in pairs if result.status == "failed"]
    stopped = [step for step, result in pairs if result.status == "cancelled"]
    left = [step for step, result in pairs if result.status == "skipped"]
    if not failed and not stopped and not left:
        only_search = len(finds) == len(pairs) and finds
        words = finds if only_search else [*finds, *([_sentence(plan.reply)] if plan.reply else [])]
        return " ".join([*(words or ["Done."]), *([cited] if cited else [])])
    made = [_label(step) for step, _ in done if step.tool not in {"search_assets", "consult"}]
    parts = list(finds)
    if made:
        parts.append(f"Done: {', '.join(made)}.")
    parts += [
        f"This failed: {_label(step)}. {_sentence(result.error or 'The reason is not known')}"
        for step, result in failed
    ]
    if stopped:
        parts.append(f"You stopped this: {', '.join(_label(step) for step in stopped)}.")
    if left:
        parts.append(f"So this was left out: {', '.join(_label(step) for step in left)}.")
    return " ".join([*parts, *([cited] if cited else [])])
