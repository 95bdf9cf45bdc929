"""Grounds a plan on what a company plugged in: its documents, its look, and what its services know.

A large model plans these itself from the tools' descriptions; what it leaves out although the request asks for it is
added here, and so is all of it for the small local model, which was not trained on a company's tools.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.planner.plan import Plan, Step
from tools.base import ToolSpec

CONSULT, WRITE, DRAW, VARY = "consult", "write_text", "generate_image", "vary_image"
ALIKE = 0.5  # cosine with an example request, from which a service's tool is meant
OURS = r"\b(?:our|my company'?s|the company'?s|the brand'?s)\s+(?:own\s+)?"
MATTERS = (
    r"(?:[\w-]+\s+){0,2}?(?:voice|tone|guidelines?|rules?|palette|colou?rs?|polic(?:y|ies)|documents?|handbook|manual|"
    r"wording|warranty|returns?|claims?|standards?)\b"
)
HOUSE_WORDS = re.compile(OURS + MATTERS, re.IGNORECASE)
HOUSE_LOOK = re.compile(OURS + r"(?:[\w-]+\s+)?(?:style|look)\b", re.IGNORECASE)
QUESTION = re.compile(
    r"\?\s*$|^\s*(?:what|which|who|when|where|how|why|do|does|may|can|is|are|tell me)\b", re.IGNORECASE
)
TO_DRAW = re.compile(r"\b(?:draw|paint|sketch|illustrate|pictures?|images?|drawings?|illustrations?)\b", re.IGNORECASE)
LENGTH = re.compile(
    r"\d|\b(?:words?|lines?|sentences?|short|brief|long|caption|title|slogan|headline|name)\b", re.IGNORECASE
)
ABOUT = re.compile(r"\b(?:for|about|of)\s+(?:the |our |a |an )?(.+?)(?=\s+(?:in|with|and|using|that)\b|[.,;!?]|$)")
_STEP = re.compile(r"\$s(\d+)")

Embed = Callable[[Sequence[str]], Any]


@dataclass(frozen=True)
class House:
    """What a company plugged in, as far as an owner may use it.

    Attributes:
        documents: names of solutions with documents, and the phrases that ask for them.
        styles: names of the looks that were trained.
        embed: gives unit vectors of texts; None leaves services to the model.
    """

    documents: Mapping[str, Sequence[str]] = field(default_factory=dict)
    styles: Sequence[str] = ()
    embed: Embed | None = None


def grounded(plan: Plan, request: str, house: House, specs: Mapping[str, ToolSpec]) -> Plan:
    """Give the plan with the house's look, passages and facts where the request asks for them."""
    plan = _in_house_style(plan, request, house)
    whole = _with_subjects(plan, request)
    before: list[Step] = []
    if house.documents and not any(step.tool == CONSULT for step in plan.steps):
        before += _consulted(whole, request, house)
    if house.embed is not None and not any("." in step.tool for step in plan.steps):
        before += _asked(whole, request, house.embed, specs)
    return _put_before(_of_any_length(whole, request), before) if before else plan


def _with_subjects(plan: Plan, request: str) -> Plan:
    """Let a text be about what the request says: "a product text" becomes "a product text for the blue backpack"."""

    def wished(step: Step) -> Step:
        prompt = str(step.args.get("prompt", ""))
        said = re.search(rf"\b{re.escape(prompt)}\s+{ABOUT.pattern}", request) if prompt else None
        whole = said is not None and said[1].lower() not in {"it", "them", "this", "that"}
        return step.model_copy(update={"args": {**step.args, "prompt": said[0]}}) if said and whole else step

    return plan.model_copy(update={"steps": [wished(step) if step.tool == WRITE else step for step in plan.steps]})


def _in_house_style(plan: Plan, request: str, house: House) -> Plan:
    """Let what is drawn have the look, and draw what the request asks to be drawn in it."""
    named = [name for name in house.styles if _names(request, name)]
    is_ours = HOUSE_LOOK.search(request) is not None
    if is_ours and not named and len(house.styles) > 1:
        which = f"There are several looks of yours, so say which: {', '.join(house.styles)}."
        return plan.model_copy(update={"reply": f"{plan.reply} {which}".strip()})
    if not (named or (is_ours and house.styles)):
        return plan
    style = (named or list(house.styles))[0]
    steps = [
        _drawn_in(step, style) if step.tool == DRAW and not _names(request, step.args.get("style")) else step
        for step in plan.steps
    ]
    subject = _subject(plan, request)
    is_missing = steps and subject and not any(step.tool in {DRAW, VARY} for step in steps)
    if not (is_missing and TO_DRAW.search(HOUSE_LOOK.sub("", request))):
        return plan.model_copy(update={"steps": steps})
    drawn = Step(id=f"s{len(steps) + 1}", tool=DRAW, args={"prompt": subject, "style": style})
    return plan.model_copy(update={"steps": [*steps, drawn], "reply": ""})


def _drawn_in(step: Step, style: str) -> Step:
    """Give a step the style, and take the words for it out of what is drawn: "cat in acme style" is a cat."""
    args = {**step.args, "style": style}
    words = re.compile(rf",?\s+in\s+(?:the\s+)?{re.escape(style)}(?:'s)?\s+(?:style|look)\b", re.IGNORECASE)
    if bare := words.sub("", str(args.get("prompt", ""))).strip():
        args["prompt"] = bare
    return step.model_copy(update={"args": args})


def _names(request: str, style: str | None) -> bool:
    return style is not None and re.search(rf"\b{re.escape(style)}\b", request, re.IGNORECASE) is not None


def _of_any_length(plan: Plan, request: str) -> Plan:
    """Take off limits of words that nobody asked for: a text from documents needs room for what they say."""
    if LENGTH.search(request) or not any(step.tool == WRITE and "max_words" in step.args for step in plan.steps):
        return plan
    steps = [
        step.model_copy(update={"args": {name: value for name, value in step.args.items() if name != "max_words"}})
        if step.tool == WRITE
        else step
        for step in plan.steps
    ]
    return plan.model_copy(update={"steps": steps, "reply": ""})


def _consulted(plan: Plan, request: str, house: House) -> list[Step]:
    """Give the step that reads the documents that a request names, if it writes something or is a question."""
    low = request.lower()
    phrases = [
        (name, phrase) for name, known in house.documents.items() for phrase in (*known, name) if phrase.lower() in low
    ]
    said = HOUSE_WORDS.search(request)
    if not phrases and said is None:
        return []
    writes = [str(step.args.get("prompt", "")) for step in plan.steps if step.tool == WRITE]
    if not writes and (plan.steps or not QUESTION.search(request)):
        return []
    words = phrases[0][1] if phrases else said[0] if said else ""
    args: dict[str, Any] = {"question": f"{words}: {writes[0]}"[:500] if writes else request[:500]}
    names = {name for name, _ in phrases}
    if len(names) == 1 and len(house.documents) > 1:
        args["solution"] = names.pop()
    return [Step(id="", tool=CONSULT, args=args)]


def _asked(plan: Plan, request: str, embed: Embed, specs: Mapping[str, ToolSpec]) -> list[Step]:
    """Give the step that asks a service for facts about what a text is written about.

    Only tools that read, with one required text; the service is meant where the request is like one of its examples.
    """
    writes = any(step.tool == WRITE for step in plan.steps)
    if not writes and (plan.steps or not QUESTION.search(request)):
        return []
    subject = _subject(plan, request)
    tools = {name: argument for name, spec in specs.items() if (argument := _text_argument(spec)) is not None}
    says = [(name, example.say) for name in tools for example in specs[name].examples]
    if not says or not subject:
        return []
    vectors = embed([request, *(say for _, say in says)])
    cosines = vectors[1:] @ vectors[0]
    best = int(cosines.argmax())
    if cosines[best] < ALIKE:
        return []
    name = says[best][0]
    return [Step(id="", tool=name, args={tools[name]: subject})]


def _text_argument(spec: ToolSpec) -> str | None:
    if "." not in spec.name or spec.sends:
        return None
    required = [name for name, info in spec.args.model_fields.items() if info.is_required()]
    is_text = len(required) == 1 and spec.args.model_fields[required[0]].annotation is str
    return required[0] if is_text else None


def _subject(plan: Plan, request: str) -> str:
    drawn = [str(step.args["prompt"]) for step in plan.steps if step.tool == DRAW and step.args.get("prompt")]
    written = [str(step.args.get("prompt", "")) for step in plan.steps if step.tool == WRITE]
    named = [match[1] for text in (*written, request) if (match := ABOUT.search(text))]
    return (drawn or named or [""])[0][:200]


def _put_before(plan: Plan, before: Sequence[Step]) -> Plan:
    """Put steps first, name all anew, and let texts be about what the new ones give."""
    shift = len(before)
    new = [step.model_copy(update={"id": f"s{number}"}) for number, step in enumerate(before, 1)]
    for number, step in enumerate(plan.steps, shift + 1):
        args = {name: _shifted(value, shift) for name, value in step.args.items()}
        if step.tool == WRITE:
            given = args.get("about") or []
            about = [given] if isinstance(given, str) else list(given)
            args["about"] = [*(f"$s{one}" for one in range(1, shift + 1)), *about]
        new.append(step.model_copy(update={"id": f"s{number}", "args": args}))
    return plan.model_copy(update={"steps": new, "reply": plan.reply if plan.steps else ""})


def _shifted(value: Any, by: int) -> Any:
    if isinstance(value, list | tuple):
        return [_shifted(one, by) for one in value]
    if isinstance(value, str) and value.startswith("$"):
        return _STEP.sub(lambda match: f"$s{int(match[1]) + by}", value)
    return value
