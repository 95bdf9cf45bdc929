"""The step that looks at a solution because somebody asked: what it offers, or what its documents hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from store import runs, solutions, versions
from store.runs import NewRun, NewStep, UnknownId
from store.solutions import Solution
from store.steps import Claim
from store.transition import Transition
from tools.base import InvalidInput, ToolFailed
from tools.solutions.base import KnowledgeDeclaration, SolutionError
from workers import knowledge
from workers.knowledge import Refreshed
from workers.workshop import StepWorkshop

if TYPE_CHECKING:
    from workers.bench import Bench

CHECK = "studio.check"
QUEUE = "solution"


def new_run(owner: str, name: str) -> NewRun:
    """Give the run that looks at a solution; its reply says what it offers."""
    step = NewStep("check", CHECK, {"solution": name}, QUEUE, max_attempts=1)
    plan = {"steps": [{"id": "check", "tool": CHECK, "args": {"solution": name}}], "reply": ""}
    return NewRun(owner=owner, plan=plan, steps=[step], priority=runs.DIRECT)


def run(bench: Bench, claim: Claim) -> Callable[[Transition], None]:
    """Look at the solution that the step names.

    Raises:
        InvalidInput: there is no such solution.
        ToolFailed: it did not say what it offers.
    """
    name = str(claim.args["solution"])
    try:
        with bench.database.read() as connection:
            solution = solutions.require(connection, name)
        said = _LOOKS.get(solution.kind, _offered)(bench, claim, solution)
        with bench.database.read() as connection:
            state = solutions.require(connection, name).state
    except UnknownId as error:
        raise InvalidInput(str(error)) from error
    except SolutionError as error:
        raise ToolFailed(f"solution {name!r}: {error}") from error
    return lambda t: runs.set_reply(t, claim.run_id, f"{name} is {state}; it {said}.")


def _offered(bench: Bench, claim: Claim, solution: Solution) -> str:
    offered = bench.solutions.check(solution.name).offered or ()
    return "offers " + (", ".join(str(tool["name"]) for tool in offered) or "no tools")


def _trained(bench: Bench, claim: Claim, solution: Solution) -> str:
    with bench.database.read() as connection:
        found = versions.newest(connection, claim.owner, versions.STYLE, solution.name)
    if found is None:
        return f"is a look that was not learned yet: atelier styles train {solution.name}"
    return "is a look that was learned"


def _refreshed(bench: Bench, claim: Claim, solution: Solution) -> str:
    """Read the documents of a solution again, and say what there is."""
    workshop = StepWorkshop(bench, claim)
    declaration = KnowledgeDeclaration.model_validate(solution.declaration)
    done = knowledge.refresh_one(bench, solution.name, declaration, lambda n, of: workshop.progress(n / max(1, of)))
    news = ", ".join(f"{number} {what}" for what, number in _news(done) if number)
    return f"holds {done.passages} passages" + (f" ({news})" if news else "")


def _news(done: Refreshed) -> list[tuple[str, int]]:
    return [
        ("documents added", done.added),
        ("changed", done.changed),
        ("removed", done.removed),
        ("not readable", done.failed),
    ]


_LOOKS: dict[str, Callable[[Bench, Claim, Solution], str]] = {"knowledge": _refreshed, "style": _trained}
