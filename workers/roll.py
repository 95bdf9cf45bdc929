"""A worker's line among those who are there, and its name, which no other live worker has."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from store import presence, steps
from workers.bench import Bench

log = logging.getLogger(__name__)
WATCH_S, LOOK_S = 3.0, 0.25  # a live worker writes its row every second


class Roll:
    """Keeps the row of one worker process."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._started_at = bench.database.clock.now()

    def enter(self) -> None:
        """Take the worker's name, or the next free one like it, and take back what a dead forerunner held.

        Two workers of one name would each take the other's steps back.
        """
        stem, at, host = self._bench.name.partition("@")
        for number in itertools.count(1):
            name = self._bench.name = (stem if number == 1 else f"{stem}-{number}") + at + host
            if self._take(name):
                self._bench.database.transact(lambda c: steps.release(c, name, self._bench.database.clock.now()))  # noqa: B023
                return
            log.warning("a worker called %r is at work already; this one takes another name", name)

    def say(self) -> None:
        """Say that the worker is there; one that was thought dead and replaced takes another name."""
        worker = self._worker()
        if not self._bench.database.transact(lambda connection: presence.here(connection, worker)):
            self.enter()

    def leave(self) -> None:
        """Take the row away."""
        name = self._bench.name
        self._bench.database.transact(lambda connection: presence.gone(connection, name, self._started_at))

    def _take(self, name: str) -> bool:
        seen = self._row(name)
        if seen is not None and self._lives(name, seen):
            return False
        worker = self._worker()
        taken: bool = self._bench.database.transact(lambda connection: presence.take(connection, worker, seen))
        return taken

    def _lives(self, name: str, seen: Mapping[str, Any]) -> bool:
        """Say whether the worker of a row is alive."""
        if self._bench.database.clock.now() - seen["seen_at"] > presence.GONE_S:
            return False
        if seen["host"] == self._bench.host and seen["pid"] != os.getpid():
            return _runs(seen["pid"])
        deadline = time.monotonic() + WATCH_S  # its process cannot be looked at: it is alive if it writes again
        while time.monotonic() < deadline:
            time.sleep(LOOK_S)
            row = self._row(name)
            if row is None or row["seen_at"] != seen["seen_at"]:
                return row is not None
        return False

    def _row(self, name: str) -> dict[str, Any] | None:
        with self._bench.database.read() as connection:
            return presence.get(connection, name)

    def _worker(self) -> presence.Worker:
        bench = self._bench
        return presence.Worker(
            name=bench.name,
            queues=list(bench.queues),
            pid=os.getpid(),
            started_at=self._started_at,
            models=bench.models.loads(),
            host=bench.host,
            version=bench.version,
            device=bench.device,
            tools=bench.offers(),
            families=None if bench.families is None else sorted(bench.families),
            slots=bench.slots,
            busy=bench.leases.busy,
            draining=bench.draining,
        )


def _runs(pid: int) -> bool:
    """Say whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
