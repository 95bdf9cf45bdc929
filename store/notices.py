"""Tells followers at once that something happened in a run, by PostgreSQL's LISTEN and NOTIFY.

A notice is a hint: whoever follows a run also looks from time to time, so a lost one costs a second and no event. It is
sent after the commit, by a thread that puts many into one statement: a NOTIFY inside a transaction makes all commits
of the database wait for one another.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

log = logging.getLogger(__name__)
CHANNEL = "atelier_runs"
PAYLOAD_IDS = 180  # a payload has at most 8,000 bytes, an id 40
LOOK_S = 0.5  # between two looks whether to end
AGAIN_S = 1.0  # before a connection that was lost is opened again
CLOSE_S = 3.0

Wake = Callable[[], None]


class Notices:
    """Sends and hears notices of one database; each of both has a thread and a connection once it is needed.

    Args:
        options: what psycopg connects with.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = {**options, "autocommit": True}
        self._lock = threading.Condition()
        self._pending: set[str] = set()
        self._wakes: dict[str, set[Wake]] = defaultdict(set)
        self._threads: dict[str, threading.Thread] = {}
        self._ended = threading.Event()
        self.listening = threading.Event()

    def tell(self, run_ids: Iterable[str]) -> None:
        """Say soon that something happened in these runs; never waits, never fails."""
        with self._lock:
            self._pending.update(run_ids)
            self._lock.notify()
            self._start("send notices", self._send)

    @contextmanager
    def on(self, run_id: str, wake: Wake) -> Iterator[None]:
        """Call `wake`, in a thread of ours, whenever something happened in a run, or might have."""
        with self._lock:
            self._wakes[run_id].add(wake)
            self._start("hear notices", self._hear)
        try:
            yield
        finally:
            with self._lock:
                self._wakes[run_id].discard(wake)
                if not self._wakes[run_id]:
                    del self._wakes[run_id]

    def close(self) -> None:
        """End the threads; what is pending is not sent any more."""
        self._ended.set()
        with self._lock:
            self._lock.notify()
        for thread in self._threads.values():
            thread.join(timeout=CLOSE_S)

    def _start(self, name: str, work: Callable[[Any], None]) -> None:
        if name not in self._threads and not self._ended.is_set():
            thread = threading.Thread(target=self._keep, args=(work,), name=name, daemon=True)
            self._threads[name] = thread
            thread.start()

    def _keep(self, work: Callable[[Any], None]) -> None:
        """Do one half of the work over a connection of its own, over a new one after it was lost."""
        failing = False
        while not self._ended.is_set():
            try:
                with psycopg.connect(**self._options) as connection:
                    failing = False
                    work(connection)
            except Exception as error:  # noqa: BLE001 — a thread that ended would never come back
                if not failing:
                    log.warning("no notices for now, followers look by themselves (%s)", type(error).__name__)
                failing = True
                self._ended.wait(AGAIN_S)

    def _send(self, connection: Any) -> None:
        while not self._ended.is_set():
            with self._lock:
                self._lock.wait_for(lambda: self._pending or self._ended.is_set(), LOOK_S)
                ids = [self._pending.pop() for _ in range(min(PAYLOAD_IDS, len(self._pending)))]
            if ids:
                connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, ",".join(ids)))

    def _hear(self, connection: Any) -> None:
        connection.execute(f"LISTEN {CHANNEL}")
        self._wake(list(self._wakes))  # what happened while nobody listened
        self.listening.set()
        try:
            while not self._ended.is_set():
                for notice in connection.notifies(timeout=LOOK_S):
                    self._wake(notice.payload.split(","))
        finally:
            self.listening.clear()

    def _wake(self, run_ids: Iterable[str]) -> None:
        with self._lock:
            wakes = [wake for run_id in run_ids for wake in self._wakes.get(run_id, ())]
        for wake in wakes:
            try:
                wake()
            except Exception as error:  # noqa: BLE001 — whoever waited there is gone; the others are woken
                log.warning("a follower could not be woken (%r)", error)
