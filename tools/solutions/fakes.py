"""A solution in memory, for tests and for trying the studio without a company."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.solutions.base import OfferedTool, Part, Returned, SolutionAway, SolutionError

Answer = Returned | SolutionError | Callable[[Mapping[str, Any]], Returned]
STEP_S = 0.05


def text(words: str) -> Returned:
    """Give an answer of one text."""
    return Returned((Part("text/plain", words.encode()),))


@dataclass
class FakeClient:
    """Implements `tools.solutions.base.Client`.

    Attributes:
        tools: what it offers; an error is raised instead.
        answers: what it answers, by tool; an error is raised, a function gets the arguments.
        takes_s: how long an answer takes.
        asked: the calls, in order. closed: how often it was closed.
    """

    tools: list[OfferedTool] | SolutionError = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    takes_s: float = 0.0
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    closed: int = 0

    def offered(self) -> list[OfferedTool]:
        """See `tools.solutions.base.Client.offered`."""
        if isinstance(self.tools, SolutionError):
            raise self.tools
        return list(self.tools)

    def call(
        self,
        tool: str,
        args: Mapping[str, Any],
        *,
        on_progress: Callable[[float], None] = lambda fraction: None,
        timeout_s: float,
    ) -> Returned:
        """See `tools.solutions.base.Client.call`."""
        self.asked.append((tool, dict(args)))
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < self.takes_s:
            if passed > timeout_s:
                raise SolutionAway(f"no answer within {timeout_s:g} s")
            on_progress(passed / self.takes_s)
            time.sleep(STEP_S)
        answer = self.answers[tool]
        if isinstance(answer, SolutionError):
            raise answer
        return answer if isinstance(answer, Returned) else answer(args)

    def close(self) -> None:
        """See `tools.solutions.base.Client.close`."""
        self.closed += 1
