"""A desk at which a test plays all parts of the studio by hand: client, worker, planner, reaper."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import select

from store import events, runs, steps, transition, views
from store.completion import Ended, complete
from store.database import Database
from store.runs import NewRun, NewStep
from store.steps import Claim
from store.tables import outbox
from store.transition import Transition

T = TypeVar("T")
GONE = -1.0  # a lease of this length has ended when it begins: its worker is dead


class Desk:
    """The transitions as one would tell them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def change(self, change: Callable[[Transition], T]) -> T:
        return transition.run(self.database, change)[0]

    def step(self, name: str, *needs: str, **options: Any) -> NewStep:
        return NewStep(name, options.pop("tool", "draw"), options.pop("args", {}), "image", needs, **options)

    def plan(self, *new: NewStep, owner: str = "ada", **options: Any) -> str:
        """Accept a plan that came ready."""
        plan = {"steps": [{"id": one.name, "tool": one.tool, "args": dict(one.args)} for one in new], "reply": ""}
        return self.change(lambda t: runs.accept(t, NewRun(owner=owner, plan=plan, steps=new, **options))).run_id

    def say(self, request: str = "a cat", owner: str = "ada", **options: Any) -> str:
        """Accept words."""
        return self.change(lambda t: runs.accept(t, NewRun(owner=owner, request=request, **options))).run_id

    def claim(
        self,
        worker: str = "w1",
        queues: Sequence[str] = ("image",),
        lease_s: float = 15.0,
        batch_sizes: Mapping[str, int] | None = None,
        tools: Sequence[str] | None = None,
    ) -> list[Claim]:
        sizes = batch_sizes or {}
        return self.change(
            lambda t: steps.claim(t, queues=queues, worker=worker, lease_s=lease_s, batch_sizes=sizes, tools=tools)
        )

    def one(self, worker: str = "w1", **options: Any) -> Claim:
        """Claim exactly one step."""
        (claim,) = self.claim(worker, **options)
        return claim

    def complete(self, claim: Claim, assets: Sequence[str] = (), **options: Any) -> None:
        def done(t: Transition) -> None:
            steps.guard(t, claim)
            complete(t, [Ended(claim, assets, **options)])

        self.change(done)

    def fail(self, claim: Claim, message: str = "no ink", *, again: bool = False) -> None:
        def done(t: Transition) -> None:
            steps.guard(t, claim)
            steps.fail(t, claim, {"code": "tool_failed", "message": message}, again=again)

        self.change(done)

    def stop(self, claim: Claim) -> None:
        def done(t: Transition) -> None:
            steps.guard(t, claim)
            steps.stop(t, claim)

        self.change(done)

    def reap(self) -> int:
        return self.change(steps.reap)

    def save_plan(self, claim: Claim, *new: NewStep, reply: str = "") -> None:
        """What the planner does when its step completes."""
        plan = {"steps": [{"id": one.name, "tool": one.tool, "args": dict(one.args)} for one in new], "reply": reply}

        def done(t: Transition) -> None:
            steps.guard(t, claim)
            runs.save_plan(t, claim.run_id, plan, new)
            complete(t, [Ended(claim)])

        self.change(done)

    def reply(self, claim: Claim, text: str) -> None:
        """What the planner does when it has answered."""

        def done(t: Transition) -> None:
            steps.guard(t, claim)
            runs.set_reply(t, claim.run_id, text)
            complete(t, [Ended(claim)])

        self.change(done)

    def run(self, run_id: str, owner: str = "ada") -> dict[str, Any]:
        with self.database.read() as connection:
            return views.get(connection, owner, run_id)

    def status(self, run_id: str, owner: str = "ada") -> str:
        return str(self.run(run_id, owner)["status"])

    def steps(self, run_id: str, owner: str = "ada") -> dict[str, str]:
        return {step["id"]: step["status"] for step in self.run(run_id, owner)["steps"]}

    def events(self, run_id: str) -> list[str]:
        with self.database.read() as connection:
            return [event.type for event in events.after(connection, run_id, 0)]

    def calls(self) -> list[tuple[str, str]]:
        """What still calls for a worker: (task, id)."""
        with self.database.read() as connection:
            return [(row.task, row.ref_id) for row in connection.execute(select(outbox).order_by(outbox.c.id))]

    def stuck(self) -> list[str]:
        with self.database.read() as connection:
            return steps.stuck(connection, time.time(), 0)
