"""The Celery messages between the studio's processes. A message carries an id; the truth is in SQL."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from celery import Celery

from store.transition import Wake

log = logging.getLogger(__name__)
STEP, FEED, VECTOR = "atelier.step", "atelier.feed", "atelier.vector"
TASK = {"step": STEP, "feed": FEED}
VECTOR_QUEUE = "vector"  # its own: a search does not stand behind a batch of plans


class NoWorker(Exception):
    """No worker answered in time."""


def make_app(broker_url: str, result_url: str | None) -> Celery:
    """Give the Celery application that producers and workers share.

    Args:
        broker_url: for example "redis+socket:///…/broker.sock?virtual_host=0" or "amqp://…".
        result_url: where a query's vector comes back; None where nobody asks.
    """
    app = Celery("atelier", broker=broker_url, backend=result_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_ignore_result=True,
        result_expires=60,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=broker_url.startswith("redis"),
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"socket_timeout": 30, "socket_connect_timeout": 2, "max_retries": 0},
        redis_socket_timeout=10,
        task_create_missing_queues=True,
    )
    return app


class Messenger:
    """Sends wake-up calls, and asks a worker for what needs a net.

    Safe for threads. A broker that is away is not an error here: the outbox sends again.
    """

    def __init__(self, broker_url: str, result_url: str | None) -> None:
        self.app = make_app(broker_url, result_url)

    def send(self, wakes: Sequence[Wake]) -> int:
        """Send wake-up calls after a commit.

        Returns:
            How many were handed to the broker; the others are sent again from the outbox.
        """
        sent = 0
        try:
            with self.app.producer_or_acquire() as producer:
                for wake in wakes:
                    self._send(TASK[wake.task], [wake.ref_id], wake.queue, producer=producer)
                    sent += 1
        except Exception as error:  # noqa: BLE001 — kombu raises its own OperationalError, redis and sockets others
            log.warning("the broker took %d of %d wake-up calls (%r); the rest is sent again", sent, len(wakes), error)
        return sent

    def vector(self, text: str, timeout_s: float = 15.0) -> list[float]:
        """Ask a worker for the unit vector of a text.

        Raises:
            NoWorker: none answered within `timeout_s`.
        """
        try:
            result = self._send(VECTOR, [text], VECTOR_QUEUE, ignore_result=False, expires=timeout_s)
            return _poll(self.app.backend, result.id, time.monotonic() + timeout_s)
        except NoWorker:
            raise
        except Exception as error:
            raise NoWorker(f"the broker did not answer ({error}); `atelier doctor` says what is missing") from error

    def _send(self, task: str, args: list[Any], queue: str, **options: Any) -> Any:
        options.setdefault("ignore_result", True)
        return self.app.send_task(task, args=args, queue=queue, retry=False, **options)

    def close(self) -> None:
        """Close the connections to the broker."""
        self.app.close()


def _poll(backend: Any, task_id: str, deadline: float) -> list[float]:
    """Look for the answer every few milliseconds; needs no subscription, so it is safe in any thread."""
    pause_s = 0.002
    while time.monotonic() < deadline:
        meta = backend.get_task_meta(task_id)
        if meta["status"] == "SUCCESS":
            backend.forget(task_id)
            return [float(value) for value in meta["result"]]
        if meta["status"] == "FAILURE":
            raise NoWorker(f"a worker could not make the vector: {meta['result']}")
        time.sleep(pause_s)
        pause_s = min(0.02, pause_s * 1.3)
    raise NoWorker("no planner worker answered; is the studio up? `atelier doctor` says what is missing")
