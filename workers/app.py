"""A worker process: a Celery consumer whose messages are wake-up calls, and the threads beside it."""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery, signals

from store.transition import Wake
from workers import feeding
from workers.bench import Bench
from workers.brokers import queue_of
from workers.drain import Drain
from workers.messages import FEED, STEP, VECTOR, VECTORS
from workers.pool import WakingPool
from workers.pulse import Pulse
from workers.work import work

log = logging.getLogger(__name__)


def serve(bench: Bench, *, threads: int, warm: bool = True, drain_s: float = 60.0) -> None:
    """Work until the process is told to end (SIGTERM: what runs is finished first).

    Args:
        threads: how many steps run at once in this process.
        warm: load the text encoder before the first message, so that the first step is not slow.
        drain_s: how long what runs may go on when the process is told to end; then it is given back.
    """
    signals.setup_logging.connect(_leave_alone)
    bench.slots = threads
    worker = register(bench).Worker(
        pool=WakingPool,
        concurrency=threads,
        queues=list(bench.queues),
        hostname=bench.name,
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=False,
        quiet=True,
    )
    pulse = Pulse(bench, indexes="planner" in bench.queues, take=lambda: worker.pool.run(_unasked, bench))
    Drain(bench, drain_s, tell=pulse.tell, turn=worker.pool.turn, leave=pulse.leave).listen()
    worker.install_platform_tweaks = _leave_signals  # they are ours
    pulse.start()
    if warm:
        bench.encoder.encode(["warm"])
    log.info("worker %s serves %s with %d threads", bench.name, ", ".join(bench.queues), threads)
    try:
        worker.start()
    finally:
        pulse.stop()
        bench.close()


def register(bench: Bench) -> Celery:
    """Give the Celery application of a bench with its tasks."""
    app = bench.messenger.app

    @app.task(name=STEP, ignore_result=True, bind=True)  # type: ignore[untyped-decorator]
    def step(self: Any, step_id: str) -> None:
        """Do the work that is next; the id only says that there is some."""
        if bench.draining:  # the call came after the signal: another worker shall hear it
            bench.send([Wake("step", step_id, queue_of(self.request.delivery_info["routing_key"]))])
        else:
            work(bench)

    @app.task(name=FEED, ignore_result=True)  # type: ignore[untyped-decorator]
    def feed(batch_id: str) -> None:
        """Turn the next lines of a batch into runs."""
        feeding.feed(bench, batch_id)

    @app.task(name=VECTOR, ignore_result=False)  # type: ignore[untyped-decorator]
    def vector(text: str) -> list[float]:
        """Give the unit vector of a query."""
        return [float(value) for value in bench.encoder.encode([text])[0]]

    @app.task(name=VECTORS, ignore_result=False)  # type: ignore[untyped-decorator]
    def vectors(texts: list[str]) -> list[list[float]]:
        """Give the unit vectors of several texts."""
        return [[float(value) for value in one] for one in bench.encoder.encode(texts)]

    return app


def _unasked(bench: Bench) -> None:
    """Do the work that is next although no message came."""
    try:
        work(bench)
    except Exception:
        log.exception("work that no message had asked for failed")


def _leave_signals(_: Any) -> None:
    """Keep Celery from taking the signals."""


def _leave_alone(**_: Any) -> None:
    """Keep Celery from changing how this process logs, and from telling of each message."""
    logging.getLogger("celery").setLevel(logging.WARNING)
