"""Celery's thread pool, which also tells the event loop that a thread is free."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from celery.concurrency.thread import TaskPool


class WakingPool(TaskPool):  # type: ignore[misc]
    """A worker that takes no message ahead looks for the next one when its event loop turns.

    Nothing turns it when a thread ends its task, so without this a waiting message lies for up to a second.
    """

    _hub: Any = None

    def register_with_event_loop(self, hub: Any) -> None:
        """Remember the loop that is to be turned."""
        self._hub = hub

    def on_apply(self, *args: Any, **kwargs: Any) -> Any:
        """Run a task in a thread."""
        result = super().on_apply(*args, **kwargs)
        result.f.add_done_callback(self._ended)
        return result

    def run(self, work: Callable[..., Any], *args: Any) -> None:
        """Run something in a thread of the pool as if a message had asked for it; not when the pool ends."""
        with suppress(RuntimeError):
            self.executor.submit(work, *args)

    def turn(self) -> None:
        """Let the loop look around."""
        if self._hub is not None:
            self._hub.call_soon(_nothing)

    def _ended(self, _: Future[Any]) -> None:
        self.turn()


def _nothing() -> None:
    """Turn the loop once."""
