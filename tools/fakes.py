"""A workshop for tests of tools: everything in memory, fake models, and a note of what the tool said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.embedding import HashEncoder
from models.fakes import FakeCGan, FakeVae
from tools.base import Cancelled, Found, Input, InvalidInput, Passage
from tools.solutions.base import Returned


def fake_models() -> dict[str, Any]:
    """Give a stand-in for each family."""
    return {"vae": FakeVae(), "cgan": FakeCGan()}


@dataclass
class FakeWorkshop:
    """Implements `tools.base.Workshop`.

    Attributes:
        library: what `inputs` finds, by asset id.
        found: what `search` gives.
        writes: what the language model writes, given a prompt.
        cancel_at: the fraction of the work at which the run turns out to be cancelled.
        told: the fractions that the tool reported. previews: the pictures that came with them.
        passages: what `consult` gives. answers: what a solution's tool gives, by its whole name.
        asked: arguments of `search`, `write`, `consult` and `ask`, in order.
    """

    library: Mapping[str, Input] = field(default_factory=dict)
    models: Mapping[str, Any] = field(default_factory=fake_models)
    found: Sequence[Found] = ()
    writes: Callable[[str], str] = lambda prompt: f"About {prompt}."
    passages: Sequence[Passage] = ()
    answers: Mapping[str, Callable[[Mapping[str, Any]], Returned]] = field(default_factory=dict)
    cancel_at: float = 2.0
    told: list[float] = field(default_factory=list)
    previews: list[bytes] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def progress(self, fraction: float, preview: bytes | None = None) -> None:
        """See `tools.base.Workshop.progress`."""
        self.told.append(fraction)
        if preview is not None:
            self.previews.append(preview)
        if fraction >= self.cancel_at:
            raise Cancelled("the run was cancelled")

    def inputs(self, references: str | Sequence[str]) -> list[Input]:
        """See `tools.base.Workshop.inputs`."""
        given = [references] if isinstance(references, str) else references
        try:
            return [self.library[reference.removeprefix("@")] for reference in given]
        except KeyError as error:
            raise InvalidInput(f"there is no asset {error}") from error

    def model(self, family: str) -> Any:
        """See `tools.base.Workshop.model`."""
        return self.models[family]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """See `tools.base.Workshop.embed`."""
        return HashEncoder().encode(texts)

    def search(self, **asked: Any) -> list[Found]:
        """See `tools.base.Workshop.search`."""
        self.asked.append(asked)
        return list(self.found)

    def write(self, prompt: str, *, about: Sequence[str], max_words: int, seed: int) -> str:
        """See `tools.base.Workshop.write`."""
        self.asked.append({"prompt": prompt, "about": list(about), "max_words": max_words, "seed": seed})
        return self.writes(prompt)

    def consult(self, question: str, *, solution: str | None, limit: int) -> list[Passage]:
        """See `tools.base.Workshop.consult`."""
        self.asked.append({"question": question, "solution": solution, "limit": limit})
        return list(self.passages)[:limit]

    def ask(self, tool: str, args: Mapping[str, Any]) -> Returned:
        """See `tools.base.Workshop.ask`."""
        self.asked.append({"tool": tool, "args": dict(args)})
        return self.answers[tool](args)
