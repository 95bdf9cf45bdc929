"""Messages through real brokers: bounded queues, answers for whoever asked, and brokers that hang or come back."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from kombu import Connection

from store.transition import Wake
from tests.conftest import missing
from workers import brokers, messages
from workers.messages import Messenger, NoWorker

REDIS = "redis://127.0.0.1:6379/0"


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the name of a queue that nobody else has; queries for vectors go there too."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    monkeypatch.setattr(messages, "VECTOR_QUEUE", name)
    return name


@pytest.fixture(params=["rabbitmq", "redis"])
def broker_url(request: pytest.FixtureRequest, queue: str) -> Iterator[str]:
    """Give the URL of a broker; the queue is removed afterwards."""
    if request.param == "rabbitmq":
        url: str = request.getfixturevalue("rabbitmq_url")
    else:
        url = REDIS
        try:
            redis.Redis.from_url(url).ping()
        except redis.ConnectionError as error:
            missing(f"no Redis at {url}: {error}")
    yield url
    with Connection(url) as connection:
        connection.default_channel.queue_delete(at(connection, queue))


@pytest.fixture
def messenger(broker_url: str) -> Iterator[Messenger]:
    made = Messenger(broker_url, broker_url)
    yield made
    made.close()


@pytest.fixture
def answering(broker_url: str, queue: str) -> Iterator[None]:
    """Let a worker answer queries: the vector of "7" is [7.0]."""
    script = Path(__file__).with_name("answering.py")
    worker = subprocess.Popen(
        [sys.executable, "-W", "ignore", script, broker_url, queue], cwd=Path(__file__).parents[2]
    )
    yield
    worker.kill()
    worker.wait()


def waiting(url: str, queue: str) -> int:
    with Connection(url) as connection:
        try:
            return int(connection.default_channel.queue_declare(at(connection, queue), passive=True).message_count)
        except connection.channel_errors:
            return 0


def at(connection: Connection, queue: str) -> str:
    """Give a queue's name on its broker."""
    return brokers.PREFIX + queue if connection.transport_cls == "amqp" else queue


def calls(queue: str, number: int) -> list[Wake]:
    return [Wake("step", f"step_{n}", queue) for n in range(number)]


@pytest.mark.usefixtures("answering")
def test_an_answer_reaches_whoever_asked(messenger: Messenger, broker_url: str) -> None:
    other = Messenger(broker_url, broker_url)  # another API
    got: dict[int, list[float]] = {}

    def ask(number: int) -> None:
        got[number] = (other if number % 2 else messenger).vector(str(number))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: [float(number)] for number in range(24)}
    with pytest.raises(NoWorker, match="could not convert"):
        messenger.vector("seven")
    assert messenger.vector("8") == [8.0]
    other.close()


@pytest.mark.usefixtures("answering")
def test_many_texts_are_few_questions(messenger: Messenger, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    ask = messenger._ask
    monkeypatch.setattr(messenger, "_ask", lambda *given, **more: asked.append(len(given[1])) or ask(*given, **more))
    assert messenger.vectors([str(number) for number in range(70)]) == [[float(number)] for number in range(70)]
    assert asked == [32, 32, 6]
    with pytest.raises(NoWorker, match="could not convert"):
        messenger.vectors(["7", "seven"])
    assert messenger.vectors([]) == []


def test_who_gets_no_answer_is_told_in_time(messenger: Messenger) -> None:
    began = time.monotonic()
    with pytest.raises(NoWorker, match="no planner worker answered"):
        messenger.vector("7", timeout_s=0.3)
    assert time.monotonic() - began < 3


def test_calls_that_are_sent_again_do_not_pile_up(
    messenger: Messenger, broker_url: str, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "ENOUGH", 40)
    assert messenger.send(calls(queue, 3)) == 3
    for _ in range(10):
        assert messenger.send(calls(queue, 30)) == 30
    assert 40 <= waiting(broker_url, queue) < 40 + 30


def test_a_queue_of_rabbitmq_is_bounded(queue: str, rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(brokers.QUORUM, "x-max-length", 5)
    messenger = Messenger(rabbitmq_url, None)
    assert messenger.send(calls(queue, 12)) == 12
    assert waiting(rabbitmq_url, queue) == 5
    messenger.close()
    with Connection(rabbitmq_url) as connection:
        with pytest.raises(connection.channel_errors, match="inequivalent"):
            connection.default_channel.queue_declare(at(connection, queue), durable=True, auto_delete=False)
        connection.channel().queue_delete(at(connection, queue))


class Road:
    """The way to a server: it can be closed to all that passes, and everybody on it can be thrown off."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open = threading.Event()
        self._open.set()
        self._ends: list[socket.socket] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"amqp://guest:guest@127.0.0.1:{self._door.getsockname()[1]}//"
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self._ends += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, start: socket.socket, end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while said := start.recv(65536):
                self._open.wait()
                end.sendall(said)
        for one in (start, end):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def shut(self) -> None:
        """Let nothing pass, and say nothing of it."""
        self._open.clear()

    def open(self) -> None:
        """Let everything pass again."""
        self._open.set()

    def cut(self) -> None:
        """End all connections."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End for good."""
        self.open()
        self.cut()
        self._door.close()
        for end in self._ends:
            end.close()


@pytest.fixture
def road(rabbitmq_url: str, queue: str) -> Iterator[Road]:
    made = Road(Connection(rabbitmq_url).port or 5672)
    yield made
    made.close()
    with Connection(rabbitmq_url) as connection:
        connection.default_channel.queue_delete(at(connection, queue))


def timed(work: Callable[[], int]) -> tuple[int, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began


def test_a_broker_that_hangs_costs_one_short_wait(road: Road, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does one whose memory is full: it takes nothing and answers nothing."""
    monkeypatch.setattr(messages, "WAIT_S", 0.6)
    messenger = Messenger(road.url, road.url)
    assert messenger.send(calls(queue, 1)) == 1
    road.shut()
    sent, took_s = timed(lambda: messenger.send(calls(queue, 3)))
    assert sent == 0
    assert took_s < 3
    sent, took_s = timed(lambda: messenger.send(calls(queue, 3)))
    assert sent == 0
    assert took_s < 0.3
    road.open()
    deadline = time.monotonic() + 20
    while messenger.send(calls(queue, 1)) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    messenger.close()


def test_connections_that_died_while_nobody_spoke_are_replaced_at_once(road: Road, queue: str) -> None:
    messenger = Messenger(road.url, road.url)
    assert messenger.send(calls(queue, 1)) == 1
    road.cut()
    time.sleep(0.05)
    assert messenger.send(calls(queue, 2)) == 2
    messenger.close()


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        ("valkey://:pass@host:6379/1", "redis://:pass@host:6379/1"),
        ("rediss://host", "rediss://host?ssl_cert_reqs=required"),
        ("valkeys://host/0?socket_timeout=3", "rediss://host/0?socket_timeout=3&ssl_cert_reqs=required"),
        ("rediss://host?ssl_cert_reqs=none", "rediss://host?ssl_cert_reqs=none"),
        ("redis+socket:///tmp/b.sock?virtual_host=0", "redis+socket:///tmp/b.sock?virtual_host=0"),
        ("amqps://u:p@host//", "amqps://u:p@host//"),
    ],
)
def test_addresses_as_people_write_them(given: str, spelled: str) -> None:
    assert brokers.spelled(given) == spelled
