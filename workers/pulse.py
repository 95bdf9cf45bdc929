"""The threads that keep a worker honest: leases, the reaper, the outbox, lost messages, presence, the search index."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection

from store import presence, search, steps, transition
from workers.bench import Bench

log = logging.getLogger(__name__)
BEAT_S = 0.25
SWEEP_S = 1.0
INDEX_S = 0.5
LOOK_S = 0.5
OVERLOOKED_S = 2.0  # a step that waits for longer while we are idle is taken without a message


class Pulse:
    """Runs beside the work in threads of its own until `stop`.

    Args:
        indexes: this process also brings new vectors into the search index.
        take: called to do the work that is next, in whatever thread works here.
    """

    def __init__(self, bench: Bench, *, indexes: bool, take: Callable[[], object]) -> None:
        self._bench = bench
        self._take = take
        self._ended = threading.Event()
        self._started_at = time.time()
        jobs: list[tuple[float, Callable[[], object]]] = [
            (BEAT_S, bench.leases.beat),
            (SWEEP_S, self._sweep),
            (LOOK_S, self._look),
        ]
        if indexes:
            jobs.append((INDEX_S, self._push))
        self._threads = [threading.Thread(target=self._repeat, args=job, daemon=True) for job in jobs]

    def start(self) -> None:
        """Take back what a dead worker of our name held, and begin."""
        bench = self._bench
        bench.database.transact(lambda connection: steps.release(connection, bench.name, time.time()))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; they finish what they do."""
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _repeat(self, every_s: float, job: Callable[[], object]) -> None:
        failing = False
        while not self._ended.is_set():
            try:
                job()
                failing = False
            except Exception:
                if not failing:  # once, not once a second
                    log.exception("%s failed; it goes on trying", job)
                failing = True
            self._ended.wait(every_s)

    def _sweep(self) -> None:
        bench = self._bench
        now = time.time()

        def here(connection: Connection) -> None:
            presence.here(
                connection,
                name=bench.name,
                queues=bench.queues,
                pid=os.getpid(),
                started_at=self._started_at,
                models=bench.models.loads(),
            )

        bench.database.transact(here)
        with bench.database.read() as connection:
            expired = steps.any_expired(connection, now)
        if expired:
            log.info("took back %d steps whose lease had ended", bench.change(steps.reap))
        wakes = transition.due(bench.database)
        transition.not_sent(bench.database, wakes[bench.send(wakes) :])

    def _look(self) -> None:
        """Take what was overlooked: SQL is the truth, also where messages are lost or the broker is away."""
        if self._bench.leases.idle:
            with self._bench.database.read() as connection:
                found = steps.any_claimable(connection, self._bench.queues, time.time() - OVERLOOKED_S)
            if found:
                self._take()

    def _push(self) -> None:
        while search.push_pending(self._bench.database, self._bench.index):
            if self._ended.is_set():
                return
