"""The Celery messages between the studio's processes. A message carries an id; the truth is in SQL."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from kombu import Consumer, Queue
from kombu.common import maybe_declare

from store.transition import Wake
from workers.brokers import WAIT_S, is_amqp, make_app

T = TypeVar("T")
log = logging.getLogger(__name__)
STEP, FEED, VECTOR, VECTORS = "atelier.step", "atelier.feed", "atelier.vector", "atelier.vectors"
TASK = {"step": STEP, "feed": FEED}
VECTOR_QUEUE = "vector"  # its own: a search does not stand behind a batch of plans
TOGETHER = 32  # texts in one question: searches go in between those of a long list
REPLY_TO = "amq.rabbitmq.reply-to"  # RabbitMQ's name for "the channel that asked"
FAST_S = 0.5  # a connection that fails sooner was a dead one of the pool: the next is tried at once
FEW, ENOUGH = 16, 1000  # more calls than a few are not added to a queue that has enough: each makes a worker look
REST_FACTOR = 4  # after a broker cost so much time it is left alone for this many times as long


class NoWorker(Exception):
    """No worker answered in time."""


class Messenger:
    """Sends wake-up calls, and asks a worker for what needs a net.

    Safe for threads. A broker that is away is not an error here: the outbox sends again. One that hangs costs its
    callers little: it is left alone for a while after each failure.
    """

    def __init__(self, broker_url: str, result_url: str | None) -> None:
        self.app = make_app(broker_url, result_url)
        self._replies = result_url is not None and is_amqp(result_url)
        self._rests_until = 0.0

    def send(self, wakes: Sequence[Wake]) -> int:
        """Send wake-up calls after a commit.

        Returns:
            How many need no care now, the first of them; the others are sent again from the outbox.
        """
        sent = 0
        if time.monotonic() < self._rests_until:
            return sent

        def hand_over(producer: Any) -> None:
            nonlocal sent
            full = self._full(producer, {wake.queue for wake in wakes}) if len(wakes) > FEW else set()
            for wake in wakes[sent:]:
                if wake.queue not in full:
                    self._send(TASK[wake.task], [wake.ref_id], wake.queue, producer=producer)
                sent += 1

        try:
            self._with_producer(hand_over)
        except Exception as error:  # noqa: BLE001 — kombu raises its own OperationalError, redis and sockets others
            log.warning("the broker took %d of %d wake-up calls (%r); the rest is sent again", sent, len(wakes), error)
        return sent

    def vector(self, text: str, timeout_s: float = 15.0) -> list[float]:
        """Ask a worker for the unit vector of a text.

        Raises:
            NoWorker: none answered within `timeout_s`.
        """
        return _numbers(self._answered(VECTOR, text, timeout_s))

    def vectors(self, texts: Sequence[str], timeout_s: float = 60.0) -> list[list[float]]:
        """Ask workers for the unit vectors of texts, `TOGETHER` of them at a time.

        Raises:
            NoWorker: they did not answer within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        made: list[list[float]] = []
        for first in range(0, len(texts), TOGETHER):
            some = list(texts[first : first + TOGETHER])
            made += [_numbers(one) for one in self._answered(VECTORS, some, deadline - time.monotonic())]
        return made

    def _answered(self, task: str, asked: Any, timeout_s: float) -> Any:
        ask = self._ask_and_listen if self._replies else self._ask_and_poll
        try:
            return ask(task, asked, max(timeout_s, 0.001))
        except NoWorker:
            raise
        except Exception as error:
            raise NoWorker(f"the broker did not answer ({error}); `atelier doctor` says what is missing") from error

    def _ask_and_poll(self, task: str, asked: Any, timeout_s: float) -> Any:
        result = self._with_producer(lambda producer: self._ask(task, asked, timeout_s, producer))
        return _poll(self.app.backend, result.id, time.monotonic() + timeout_s)

    def _ask_and_listen(self, task: str, asked: Any, timeout_s: float) -> Any:
        def ask(producer: Any) -> Any:
            answers: list[Any] = []
            queue = Queue(REPLY_TO, no_declare=True)
            with Consumer(producer.channel, [queue], no_ack=True, on_message=answers.append, accept=["json"]):
                result = self._ask(task, asked, timeout_s, producer, reply_to=REPLY_TO)
                return _listen(producer.connection, answers, result.id, time.monotonic() + timeout_s)

        return self._with_producer(ask)

    def _ask(self, task: str, asked: Any, timeout_s: float, producer: Any, **options: Any) -> Any:
        options |= {"ignore_result": False, "expires": timeout_s, "producer": producer}
        return self._send(task, [asked], VECTOR_QUEUE, **options)

    def _send(self, task: str, args: list[Any], queue: str, **options: Any) -> Any:
        options.setdefault("ignore_result", True)
        limits = {"retry": False, "timeout": WAIT_S, "confirm_timeout": WAIT_S}
        return self.app.send_task(task, args=args, queue=queue, **limits, **options)

    def _full(self, producer: Any, queues: set[str]) -> set[str]:
        """Give those queues in which so many calls wait that more change nothing."""

        def waiting(name: str) -> int:
            queue = self.app.amqp.queues[name]
            maybe_declare(queue, producer.channel)
            try:
                return int(producer.channel.queue_declare(queue.name, passive=True).message_count)
            except producer.connection.channel_errors:
                return 0  # Redis knows no empty queue

        return {name for name in queues if waiting(name) >= ENOUGH}

    def _with_producer(self, work: Callable[[Any], T]) -> T:
        """Run `work` with a producer that nobody else uses; a dead connection of the pool is replaced once."""
        began = time.monotonic()
        try:
            try:
                return self._once(work)
            except NoWorker:
                raise
            except Exception:
                if time.monotonic() - began > FAST_S:
                    raise
                return self._once(work)
        except NoWorker:
            raise
        except Exception:
            now = time.monotonic()
            self._rests_until = now + REST_FACTOR * (now - began)
            raise

    def _once(self, work: Callable[[Any], T]) -> T:
        with self.app.producer_or_acquire() as producer:
            try:
                return work(producer)
            except Exception:
                with suppress(Exception):  # without a word to the broker: it may not answer
                    producer.connection.collect()
                raise

    def close(self) -> None:
        """Close the connections to the broker."""
        self.app.close()


def _listen(connection: Any, answers: list[Any], task_id: str, deadline: float) -> Any:
    """Wait on a connection for the answer to a task; answers that came too late for earlier ones are passed over."""
    while True:
        while answers:
            message = answers.pop(0)
            if message.properties.get("correlation_id") == task_id:
                return _answer(message.decode())
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise NoWorker(NOBODY)
        with suppress(TimeoutError):
            connection.drain_events(timeout=min(left_s, 1.0))


def _poll(backend: Any, task_id: str, deadline: float) -> Any:
    """Look for the answer every few milliseconds; needs no subscription, so it is safe in any thread."""
    pause_s = 0.002
    while time.monotonic() < deadline:
        meta = backend.get_task_meta(task_id)
        if meta["status"] in {"SUCCESS", "FAILURE"}:
            backend.forget(task_id)
            return _answer(meta)
        time.sleep(pause_s)
        pause_s = min(0.02, pause_s * 1.3)
    raise NoWorker(NOBODY)


NOBODY = "no planner worker answered; is the studio up? `atelier doctor` says what is missing"


def _answer(meta: dict[str, Any]) -> Any:
    if meta["status"] != "SUCCESS":
        result = meta["result"]  # an exception, or what is left of one in a message
        reason = result.get("exc_message", result) if isinstance(result, dict) else result
        raise NoWorker(f"a worker could not make the vector: {reason}")
    return meta["result"]


def _numbers(vector: Sequence[Any]) -> list[float]:
    return [float(value) for value in vector]
