"""The planner: a LangGraph graph that drafts a plan, checks it, and mends it twice at most.

    draft ─▶ check ─▶ done
               │▲
               ▼│
              mend

It runs in memory: it takes about a second, and a planner that is killed drafts again. What must last, the steps and
their results, is the truth of SQL (docs/decisions/0001), not of a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langgraph.graph import END, START, StateGraph

from models.language.errors import translated
from models.planner.lines import NotLines
from models.planner.prompt import SYSTEM
from models.planner.signatures import trained
from orchestrator.planner import prompts
from orchestrator.planner.answer import StepResult, answer
from orchestrator.planner.ground import House, grounded
from orchestrator.planner.lines import Sheet
from orchestrator.planner.plan import AssetLine, Plan, Problem, Said, check
from orchestrator.planner.signatures import signatures
from orchestrator.planner.stream import ReplyStream
from tools.base import ToolSpec

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

MENDS = 2
MAX_REQUEST = 6000  # characters
MEND_TEMPERATURE = 0.6
Dialect = Literal["lines", "json"]
OnText = Callable[[str], None]
HOUSE = House()  # of whoever plugged nothing in


class NotUnderstood(Exception):
    """The model gave no plan that can run, and mending did not help; the message is for the user."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Declined:
    """Nothing is to be made: a greeting, a question, or a wish that no tool fulfils.

    Attributes:
        reply: what is said, in words.
    """

    reply: str


@dataclass
class Draft:
    """What one drafting works with; it is not kept.

    Attributes:
        request: the user's words.
        context: the thread's last assets, oldest first.
        history: what was said in the thread, oldest first.
        find: gives an asset by id, also one that is not in the context.
        on_text: is told the words of an answer that needs no steps, as they come.
    """

    request: str
    context: Sequence[AssetLine] = ()
    history: Sequence[Said] = ()
    find: Callable[[str], AssetLine | None] = lambda _: None
    on_text: OnText | None = None
    known: dict[str, AssetLine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known = {asset.id: asset for asset in self.context}

    def asset(self, asset_id: str) -> AssetLine | None:
        """Give an asset by its id."""
        if asset_id not in self.known and (found := self.find(asset_id)):
            self.known[asset_id] = found
        return self.known.get(asset_id)

    def kind_of(self, asset_id: str) -> str | None:
        """Give the kind of an asset."""
        found = self.asset(asset_id)
        return found.kind if found else None


class _State(TypedDict, total=False):
    answer: str
    plan: Plan | None
    problems: list[Problem]
    mends: int


class Planner:
    """Turns requests into checked plans.

    Args:
        model: any LangChain chat model.
        specs: the tools by name.
        dialect: "lines" for the local model that was trained on them, "json" for large models.
        find_asset: gives an asset of the user by id, for requests that name one.
        house: what a company plugged in.
    """

    def __init__(
        self,
        model: BaseChatModel,
        specs: Mapping[str, ToolSpec],
        *,
        dialect: Dialect = "lines",
        find_asset: Callable[[str], AssetLine | None] | None = None,
        house: House = HOUSE,
    ) -> None:
        self.model, self.specs, self.dialect = model, specs, dialect
        self.find_asset = find_asset or (lambda _: None)
        self.house = house
        self.tools = signatures(
            specs if dialect == "json" else {name: specs[name] for name in trained() if name in specs}
        )

    def draft(
        self,
        request: str,
        *,
        context: Sequence[AssetLine] = (),
        history: Sequence[Said] = (),
        on_text: OnText | None = None,
        find_asset: Callable[[str], AssetLine | None] | None = None,
    ) -> Plan | Declined:
        """Plan a request.

        Args:
            request: the user's words.
            context: the thread's last assets, oldest first.
            history: what was said in the thread, oldest first; the local model does without.
            on_text: is told the words of a `Declined`, piece by piece.
            find_asset: gives an asset by id, in place of the planner's own.

        Returns:
            A plan that passed the check, or what to say instead.

        Raises:
            NotUnderstood: no plan could be made that passes the check, or the request is too long.
            LanguageModelAway: the language model does not answer just now.
            LanguageModelError: the language model refused.
        """
        if len(request) > MAX_REQUEST:
            raise NotUnderstood(f"the request has {len(request)} characters, and {MAX_REQUEST} is the most")
        work = Draft(request, context, history, find_asset or self.find_asset, on_text)
        done = self._graph(work).invoke({"mends": 0})
        plan: Plan | None = done.get("plan")
        if plan is None or done["problems"]:
            raise NotUnderstood("; ".join(str(problem) for problem in done["problems"]))
        return plan if plan.steps else Declined(plan.reply or "I do not know what to make of that.")

    def answer(self, request: str, plan: Plan, results: Sequence[StepResult]) -> str:
        """Say what came of a plan, in a sentence or two; `request` is there for models that write the answer anew."""
        return answer(plan, results, is_small=self.dialect == "lines")

    def _graph(self, work: Draft) -> CompiledStateGraph[Any]:
        graph = StateGraph(_State)
        graph.add_node("draft", lambda state: self._ask(work, state))
        graph.add_node("check", lambda state: self._check(work, state))
        graph.add_node("mend", lambda state: self._ask(work, state))
        graph.add_edge(START, "draft")
        graph.add_edge("draft", "check")
        graph.add_edge("mend", "check")
        graph.add_conditional_edges("check", _after_check, {"mend": "mend", "done": END})
        return graph.compile()

    def _ask(self, work: Draft, state: _State) -> _State:
        mends = state["mends"] + 1 if "answer" in state else 0
        said, given = self._prompt(work, state, mends)
        stream = ReplyStream(work.on_text if mends == 0 else None, self.dialect)
        with translated():
            for chunk in self.model.stream(said, **given):
                stream.take(str(chunk.text))
        return {"answer": stream.text, "mends": mends}

    def _prompt(self, work: Draft, state: _State, mends: int) -> tuple[list[BaseMessage], dict[str, Any]]:
        if self.dialect == "json":
            said = prompts.messages(work.request, self.specs, work.context, work.history)
            return said + (prompts.mend(state["answer"], state["problems"]) if mends else []), {}
        sheet = self._sheet(work)
        given: dict[str, Any] = {"grammar": sheet.grammar(self.tools)}
        if mends:  # it was not trained to mend: it tries another way
            given |= {"temperature": MEND_TEMPERATURE, "seed": mends}
        return [SystemMessage(SYSTEM), HumanMessage(sheet.text)], given

    def _sheet(self, work: Draft) -> Sheet:
        return Sheet(work.request, work.context, work.asset)

    def _check(self, work: Draft, state: _State) -> _State:
        try:
            plan = grounded(self._read(work, state["answer"]), work.request, self.house, self.specs)
        except (NotLines, prompts.NotJson, ValueError) as error:
            return {"plan": None, "problems": [Problem("", "", str(error).splitlines()[0])]}
        return {"plan": plan, "problems": check(plan, self.specs, work.kind_of)}

    def _read(self, work: Draft, text: str) -> Plan:
        return self._sheet(work).plan(text, self.tools) if self.dialect == "lines" else prompts.read(text)


def _after_check(state: _State) -> str:
    return "mend" if state["problems"] and state["mends"] < MENDS else "done"
