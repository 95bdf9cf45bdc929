"""The official client, and a hand that plays the workers while it waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import openai
import pytest

from benchmarks.desk import Desk
from store import runs, steps
from store.completion import Ended, complete
from store.steps import Claim
from store.transition import Transition

SOON_S = 30.0


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=60) as client:
        yield client


class Hand:
    """Does in the background what the workers would; what it could not do is raised at the end."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._threads: list[threading.Thread] = []
        self._faults: list[BaseException] = []

    def meanwhile(self, work: Callable[[Hand], object]) -> None:
        """Begin to do something."""

        def do() -> None:
            try:
                work(self)
            except BaseException as fault:
                self._faults.append(fault)

        thread = threading.Thread(target=do)
        self._threads.append(thread)
        thread.start()

    def claim(self, queue: str = "planner") -> Claim:
        """Wait for a step and take it."""
        deadline = time.monotonic() + SOON_S
        while not (found := self.desk.claim(queues=(queue,))):
            assert time.monotonic() < deadline, f"nothing waits in {queue!r}"
            time.sleep(0.01)
        return found[0]

    def say(self, reply: str) -> str:
        """Plan nothing and answer, and give the run's id."""
        claim = self.claim()
        self.desk.save_plan(claim, reply=reply)
        return claim.run_id

    def tell(self, run_id: str, event: str, **fields: object) -> None:
        """Say something of a run."""
        self.desk.change(lambda t: t.emit(run_id, event, **fields))

    def draw(self, *assets: str, reply: str = "Here.", tool: str = "generate_image") -> str:
        """Plan one step, make its assets, answer, and give the run's id."""
        claim = self.claim()
        self.desk.save_plan(claim, self.desk.step("s1", tool=tool, args={"prompt": "a cat"}), reply=reply)
        self.desk.complete(self.claim("image"), assets, link=True)
        self.desk.reply(self.claim(), reply)
        return claim.run_id

    def ask_first(self, why: str) -> str:
        """Plan one step that a person has to approve, and give the run's id."""
        claim = self.claim()
        plan = {"steps": [{"id": "s1", "tool": "acme.send", "args": {}}], "reply": ""}

        def done(t: Transition) -> None:
            steps.guard(t, claim)
            runs.save_plan(t, claim.run_id, plan, [self.desk.step("s1", tool="acme.send")], risk=why)
            complete(t, [Ended(claim)])

        self.desk.change(done)
        return claim.run_id

    def fail(self, message: str = "no ink") -> str:
        """Plan one step, fail it, say so, and give the run's id."""
        claim = self.claim()
        self.desk.save_plan(claim, self.desk.step("s1", tool="generate_image"))
        self.desk.fail(self.claim("image"), message)
        self.desk.reply(self.claim(), f"This failed: {message}.")
        return claim.run_id

    def close(self) -> None:
        """Wait for all of it."""
        for thread in self._threads:
            thread.join(SOON_S)
        if self._faults:
            raise self._faults[0]


@pytest.fixture
def hand(desk: Desk) -> Iterator[Hand]:
    made = Hand(desk)
    yield made
    made.close()
