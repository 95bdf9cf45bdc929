"""Ends a worker in order: it takes nothing new, finishes what it holds, and gives back what takes too long."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from celery.worker import state

from store import steps
from store.steps import Claim, LeaseLost
from store.transition import Transition
from workers.bench import Bench

log = logging.getLogger(__name__)
AGAIN_S = 0.5  # a signal that follows sooner is the same wish: Ctrl-C reaches a whole group, whose head passes it on
LOOK_S = 0.05
CLOSE_S = 2.0  # for the message loop to close; whoever does not answer it, nothing is lost without its farewell
LAST_S = 3.0  # for what is written at the end


class Drain:
    """Waits for SIGTERM or SIGINT. A second one means at once.

    Args:
        drain_s: how long the steps that are held may go on.
        tell: says to the others that this worker ends.
        turn: lets the message loop see that it shall end.
        leave: takes this worker off the list of those who are there.
    """

    def __init__(
        self,
        bench: Bench,
        drain_s: float,
        *,
        tell: Callable[[], None],
        turn: Callable[[], None],
        leave: Callable[[], None],
    ) -> None:
        self._bench, self._drain_s = bench, drain_s
        self._tell, self._turn, self._leave = tell, turn, leave
        self._asked, self._now = threading.Event(), threading.Event()
        self._asked_at = 0.0

    def listen(self) -> None:
        """Take the signals over; in the main thread."""
        threading.Thread(target=self._end, daemon=True, name="drain").start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        if not self._asked.is_set():
            self._asked_at = time.monotonic()
            self._bench.draining = True
            state.should_stop = os.EX_OK  # the message loop takes no more, and waits for the threads
            self._asked.set()
        elif time.monotonic() - self._asked_at > AGAIN_S:
            self._now.set()

    def _end(self) -> None:
        self._asked.wait()
        log.info("ending: %d steps may go on for %g s", self._bench.leases.busy, self._drain_s)
        self._turn()
        _quietly(self._tell)
        self._wait()
        last = threading.Thread(target=self._give_up, daemon=True)
        last.start()
        last.join(LAST_S)  # the database may be away
        os._exit(os.EX_OK)

    def _wait(self) -> None:
        """Wait until the time is over, a second signal comes, or there is nothing left to do."""
        deadline = idle_until = time.monotonic() + self._drain_s
        while time.monotonic() < min(deadline, idle_until) and not self._now.wait(LOOK_S):
            if not self._bench.leases.idle:
                idle_until = deadline
            elif idle_until == deadline:
                idle_until = min(deadline, time.monotonic() + CLOSE_S)

    def _give_up(self) -> None:
        for claim in self._bench.leases.held():
            log.warning("step %s takes too long and is given back", claim.name)
            _quietly(lambda claim=claim: give_back(self._bench, claim))  # type: ignore[misc]
        _quietly(self._leave)


def give_back(bench: Bench, claim: Claim) -> None:
    """Put a step that runs here back into its queue at once, as if it had not been begun.

    What sends may have sent: it is not begun again by itself, and ends as when its worker dies.
    """
    spec = bench.specs.get(claim.tool)
    error = {"code": "worker_ended", "message": f"worker {bench.name!r} ended", "type": "try_later", "param": None}

    def back(t: Transition) -> None:
        steps.guard(t, claim)
        steps.fail(t, claim, error, again=spec is None or not spec.sends, after_s=0.0)

    try:
        bench.change(back)
    except LeaseLost:
        log.info("step %s has ended meanwhile", claim.name)


def _quietly(what: Callable[[], Any]) -> None:
    try:
        what()
    except Exception:
        log.exception("not done at the end; others find out by themselves")
