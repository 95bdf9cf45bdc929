"""A worker without a process: its bench, tools that are functions of the test, and messages that go nowhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.desk import Desk
from models.embedding import HashEncoder
from store.blobs import Blobs
from store.database import Database
from store.index import ExactIndex
from store.runs import NewRun
from store.transition import Wake
from tools import catalog
from tools.base import AnyRef, Job, Made, ToolArgs, ToolSpec
from workers.bench import Bench
from workers.planned import new_steps
from workers.work import work

Runner = Callable[[Sequence[Job]], list[Any]]


class DrawArgs(ToolArgs):
    """What every tool of these tests takes."""

    what: str = "cat"
    seed: int | None = None
    about: tuple[AnyRef, ...] = ()


def drawn(job: Job, content: str | None = None) -> Made:
    """Give what a tool made."""
    args = job.args.model_dump(exclude_none=True)
    text = content or f"{job.args.what} {job.args.seed}"
    return Made("text", "text/plain", text.encode(), text, args, seed=job.args.seed)


@dataclass
class Messages:
    """Stands in for the broker: writes down what is sent, and can be away."""

    sent: list[Wake] = field(default_factory=list)
    away: bool = False

    def send(self, wakes: Sequence[Wake]) -> int:
        """Take messages, or none of them."""
        self.sent += [] if self.away else wakes
        return 0 if self.away else len(wakes)

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Shop:
    """A worker with its tools."""

    bench: Bench
    messages: Messages
    runners: dict[str, Runner]
    specs: dict[str, ToolSpec]

    def tool(self, name: str, runner: Runner, **options: Any) -> None:
        """Add a tool."""
        self.runners[name] = runner
        given = {"gives": "text", "queue": "image", "runner": name, **options}
        self.specs[name] = ToolSpec(name, name, DrawArgs, **given)

    def order(self, *entries: dict[str, Any], **options: Any) -> str:
        """Accept a plan: {"tool": …, "args": …}, named s1, s2, …"""
        plan = {"steps": [{"id": f"s{n}", **entry} for n, entry in enumerate(entries, 1)], "reply": ""}
        steps = new_steps(plan, self.specs)
        new = NewRun(owner="ada", plan=plan, steps=steps, **options)
        run_id: str = self.bench.change(lambda t: self._accept(t, new)).run_id
        return run_id

    def _accept(self, t: Any, new: NewRun) -> Any:
        from store import runs

        return runs.accept(t, new)

    def work(self) -> int:
        """Work until there is nothing to do, and say how many steps were carried out."""
        total = 0
        while done := work(self.bench):
            total += done
        return total


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


@pytest.fixture
def shop(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    runners: dict[str, Runner] = {}
    monkeypatch.setattr(catalog, "load", lambda name: runners[name])
    messages = Messages()
    specs: dict[str, ToolSpec] = {}
    bench = Bench(
        name="w1",
        queues=("image",),
        database=database,
        blobs=Blobs(tmp_path / "blobs"),
        index=ExactIndex(),
        messenger=messages,  # type: ignore[arg-type]
        specs=specs,
        load_encoder=lambda: HashEncoder(8),
        load_chat=lambda: None,
        load_model=lambda family: family.upper(),
    )
    made = Shop(bench, messages, runners, specs)
    made.tool("draw", lambda jobs: [[drawn(job)] for job in jobs], draws=True, batch=4, batch_key=lambda _: "k")
    return made
