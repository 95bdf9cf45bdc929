"""The threads that keep a worker honest: leases, the reaper, the outbox, lost messages, presence, the search index."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from store import search, steps, transition
from workers.bench import Bench
from workers.roll import Roll

log = logging.getLogger(__name__)
BEAT_S = 0.25
SWEEP_S = 1.0
INDEX_S = 0.5
LOOK_S = 0.5
AWAY_S = 5.0  # without a sweep
OVERLOOKED_S = 2.0  # a step that waits for longer while a thread is free is taken without a message


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
        self._roll = Roll(bench)
        self._swept_at = time.monotonic()
        self._patient_until = 0.0
        jobs: list[tuple[float, Callable[[], object]]] = [
            (BEAT_S, bench.leases.beat),
            (SWEEP_S, self._sweep),
            (LOOK_S, self._look),
        ]
        if indexes:
            jobs.append((INDEX_S, self._push))
        self._threads = [threading.Thread(target=self._repeat, args=job, daemon=True) for job in jobs]

    def start(self) -> None:
        """Take a name that no live worker has, and begin."""
        self._roll.enter()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; they finish what they do. Then nobody waits for this worker any more."""
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=5)
        with contextlib.suppress(SQLAlchemyError):
            self.leave()

    def tell(self) -> None:
        """Say at once what else would be said within a second."""
        self._roll.say()

    def leave(self) -> None:
        """Say that this worker is gone."""
        self._roll.leave()

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
        now = bench.database.clock.now()
        self._roll.say()
        back_at = time.monotonic()
        if back_at - self._swept_at > AWAY_S:  # the database was: whoever still lives gets time to renew its leases
            self._patient_until = back_at + bench.lease_s / 2
        self._swept_at = back_at
        with bench.database.read() as connection:
            expired = steps.any_expired(connection, now)
        if expired and back_at >= self._patient_until:
            log.info("took back %d steps whose lease had ended", bench.change(steps.reap))
        wakes = transition.due(bench.database)
        transition.not_sent(bench.database, wakes[bench.send(wakes) :])

    def _look(self) -> None:
        """Take what was overlooked: SQL is the truth, also where messages are lost or the broker is away."""
        bench = self._bench
        if bench.leases.calls < bench.slots and not bench.draining:
            before = bench.database.clock.now() - OVERLOOKED_S
            with bench.database.read() as connection:
                found = steps.any_claimable(connection, bench.queues, before, bench.able())
            if found:
                self._take()

    def _push(self) -> None:
        while self._bench.watch.indexed(search.push_pending(self._bench.database, self._bench.index)):
            if self._ended.is_set():
                return
