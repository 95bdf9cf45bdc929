"""A worker process: a Celery consumer whose messages are wake-up calls, and the threads beside it."""

from __future__ import annotations

import logging
import signal
from types import FrameType

from celery import Celery

from workers import feeding
from workers.bench import Bench
from workers.messages import FEED, STEP, VECTOR
from workers.pool import WakingPool
from workers.pulse import Pulse
from workers.work import work

log = logging.getLogger(__name__)


def serve(bench: Bench, *, threads: int, warm: bool = True) -> None:
    """Work until the process is told to end (SIGTERM: what runs is finished first).

    Args:
        threads: how many steps run at once in this process.
        warm: load the text encoder before the first message, so that the first step is not slow.
    """
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
    pulse.start()
    if warm:
        bench.encoder.encode(["warm"])
    log.info("worker %s serves %s with %d threads", bench.name, ", ".join(bench.queues), threads)
    signal.signal(signal.SIGINT, _ignore)  # Ctrl-C in a terminal reaches the whole group; the studio ends us
    try:
        worker.start()
    finally:
        pulse.stop()
        bench.close()


def register(bench: Bench) -> Celery:
    """Give the Celery application of a bench with its three tasks."""
    app = bench.messenger.app

    @app.task(name=STEP, ignore_result=True)  # type: ignore[untyped-decorator]
    def step(_: str) -> None:
        """Do the work that is next; the id only says that there is some."""
        work(bench)

    @app.task(name=FEED, ignore_result=True)  # type: ignore[untyped-decorator]
    def feed(batch_id: str) -> None:
        """Turn the next lines of a batch into runs."""
        feeding.feed(bench, batch_id)

    @app.task(name=VECTOR, ignore_result=False)  # type: ignore[untyped-decorator]
    def vector(text: str) -> list[float]:
        """Give the unit vector of a query."""
        return [float(value) for value in bench.encoder.encode([text])[0]]

    return app


def _unasked(bench: Bench) -> None:
    """Do the work that is next although no message came."""
    try:
        work(bench)
    except Exception:
        log.exception("work that no message had asked for failed")


def _ignore(_: int, __: FrameType | None) -> None:
    """Let Ctrl-C pass."""
