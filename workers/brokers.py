"""How Celery speaks to each broker: RabbitMQ with quorum queues, Redis or Valkey.

SQL is the truth, so no broker is asked to keep a wake-up call for ever: queues are bounded and calls expire, because
the outbox sends again. What a broker is asked for is an answer in time, also when it is frozen or takes nothing.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from celery.app import amqp
from celery.backends.rpc import RPCBackend
from celery.worker.consumer import Consumer
from kombu import Exchange, Queue

WAIT_S = 2.0  # the longest that one exchange with a broker may take
HEARTBEAT_S = 20
CONNECTIONS = 64  # a process, opened when needed; more than the API has threads
# Arguments of a queue cannot be changed later: RabbitMQ refuses to declare it anew with others (decision 16).
PREFIX = "atelier."  # of their names, which no earlier version declared otherwise
QUORUM = {
    "x-queue-type": "quorum",
    "x-max-length": 10_000,  # the oldest call makes room for a new one; any call makes a worker look for any work
    "x-message-ttl": 600_000,  # ms
    "x-delivery-limit": 20,
}
SPELLED = {"valkey": "redis", "valkeys": "rediss"}  # Celery knows Valkey by the name of its protocol


def make_app(broker_url: str, result_url: str | None) -> Celery:
    """Give the Celery application that producers and workers share.

    Args:
        broker_url: "amqp://…", "amqps://…", "redis://…", "rediss://…", "valkey://…" or "redis+socket:///…".
        result_url: a Redis or Valkey where answers come back; an "amqp://…" sends them as messages to whoever asked.
            None where nobody asks.
    """
    speaks_amqp = is_amqp(broker_url)
    answers = f"{__name__}:Replies" if result_url and is_amqp(result_url) else result_url and spelled(result_url)
    app = Celery("atelier", broker=spelled(broker_url), backend=answers, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_ignore_result=True,
        result_expires=60,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=WAIT_S,
        broker_pool_limit=CONNECTIONS,
        redis_socket_timeout=10,
        task_create_missing_queues=True,
        **(_amqp() if speaks_amqp else _redis()),
    )
    if speaks_amqp:
        app.amqp.queues_cls = QuorumQueues
    return app


def queue_of(routing_key: str) -> str:
    """Give our name of the queue that a message came by."""
    return routing_key.removeprefix(PREFIX)


def is_amqp(url: str) -> bool:
    """Say whether a URL is RabbitMQ's."""
    return urlsplit(url).scheme in {"amqp", "amqps", "pyamqp"}


def spelled(url: str) -> str:
    """Give a URL as Celery knows it; a certificate is checked unless the URL says otherwise."""
    scheme, colon, rest = url.partition("://")
    scheme = SPELLED.get(scheme, scheme)
    if scheme == "rediss" and "ssl_cert_reqs=" not in rest:
        rest += f"{'&' if '?' in rest else '?'}ssl_cert_reqs=required"
    return scheme + colon + rest


def _redis() -> dict[str, Any]:
    times = {"socket_timeout": 5, "socket_connect_timeout": WAIT_S, "max_retries": 0}
    return {"worker_disable_prefetch": True, "broker_transport_options": times}


def _amqp() -> dict[str, Any]:
    return {
        # A message is acknowledged when its work is done, so that RabbitMQ gives a busy worker no other. Where that
        # takes longer than its patience (30 minutes) it closes the channel: the consumer opens a new one, the work
        # goes on, and the message goes to whoever is free.
        "task_acks_late": True,
        "broker_channel_error_retry": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_heartbeat": HEARTBEAT_S,
        "worker_consumer": f"{__name__}:PlainConsumer",
        # "Handed over" means that a majority of the queue's nodes has it.
        "broker_transport_options": {"confirm_publish": True, "max_retries": 0, "on_open": _limit_waits},
    }


def _limit_waits(connection: Any) -> None:
    """Let no read or write on this connection last longer than `WAIT_S`; reads for events have limits of their own."""
    connection.transport.sock.settimeout(WAIT_S)


class QuorumQueues(amqp.Queues):  # type: ignore[misc]
    """Queues that RabbitMQ keeps on a majority of its nodes, bounded in length and time."""

    def new_missing(self, name: str) -> Queue:
        """Declare a queue at its first use; it gets its messages through the default exchange."""
        return Queue(PREFIX + name, Exchange(""), PREFIX + name, queue_arguments=QUORUM)


class PlainConsumer(Consumer):  # type: ignore[misc]
    """A consumer that declares no queues for delayed delivery: timers live in SQL."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """The steps of a consumer."""

        default_steps = [step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step]  # noqa: RUF012


class Replies(RPCBackend):  # type: ignore[misc]
    """Sends an answer to the channel that asked; nothing is declared and nothing is left behind."""

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Declare no queue: whoever asks listens on RabbitMQ's direct reply-to."""
