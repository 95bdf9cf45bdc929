"""Workers that are told to end, replaced one by one, or of two releases at once: nothing is lost, doubled or slow."""

from __future__ import annotations

import io
import itertools
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from kombu import Connection
from sqlalchemy import select

from benchmarks.lab import Lab, Verdict, postgresql, wait_for
from benchmarks.lab_tools import DRAIN, JOURNAL, QUEUE
from store import presence
from store.tables import steps
from workers import brokers

pytestmark = pytest.mark.faults
ROOT = Path(__file__).resolve().parents[2]
EARLIER = "6eff135"  # the release before workers said what they can do
LONGEST_PAUSE_S = 2.0
ALL_WELL = Verdict(lost=0, doubled=0, stuck=0)


@pytest.fixture(params=["redis", "rabbitmq"])
def cluster(request: pytest.FixtureRequest, postgresql_url: str) -> Iterator[Lab]:
    """Give a laboratory on PostgreSQL, with queues of its own."""
    broker = None if request.param == "redis" else request.getfixturevalue("rabbitmq_url")
    queue = f"rolling-{uuid.uuid4().hex[:8]}"
    with postgresql(postgresql_url) as url, Lab(database_url=url, broker_url=broker, queue=queue, lease_s=15) as lab:
        yield lab
        assert lab.verdict() == ALL_WELL
    if broker is not None:
        with Connection(broker) as connection:
            for name in (queue, brokers.PREFIX + queue):
                connection.default_channel.queue_delete(name)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Give a laboratory on one machine; its leases outlast the test, so only what is given back is done again."""
    with Lab(lease_s=600, told={DRAIN: "0.3"}) as lab:
        lab.start_worker("w1")
        lab.wait_ready("w1")
        yield lab
        assert lab.verdict() == ALL_WELL


class Stream:
    """Accepts a short step again and again until it is ended."""

    def __init__(self, lab: Lab, every_s: float = 0.05) -> None:
        self._lab, self._every_s = lab, every_s
        self.runs: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _go(self) -> None:
        while not self._ended.wait(self._every_s):
            self.runs.append(self._lab.work(f"stream-{len(self.runs)}", seconds=0.05))


def there(lab: Lab) -> dict[str, dict[str, object]]:
    with lab.database.read() as connection:
        return {row["name"]: row for row in presence.fresh(connection)}


def end(lab: Lab, name: str) -> None:
    """Tell a worker to end for good."""
    lab.processes[name].wanted = False
    lab.signal(name, signal.SIGTERM)


def wait_gone(lab: Lab, name: str, timeout_s: float = 20) -> None:
    wait_for(lambda: lab.pid(name) is None, f"the end of {name}", timeout_s)


def longest_pause_s(lab: Lab) -> float:
    with lab.database.read() as connection:
        ended = sorted(connection.execute(select(steps.c.ended_at)).scalars())
    return max(later - earlier for earlier, later in itertools.pairwise(ended))


def attempts(lab: Lab) -> set[int]:
    with lab.database.read() as connection:
        return set(connection.execute(select(steps.c.attempts)).scalars())


def test_workers_are_replaced_one_by_one(cluster: Lab) -> None:
    for name in ("w1", "w2"):
        cluster.start_worker(name, threads=2)
    cluster.wait_ready("w1", "w2")
    wait_for(lambda: len(there(cluster)) == 2, "both workers", 20)
    with Stream(cluster) as stream:
        time.sleep(1.0)
        for name in ("w1", "w2"):
            cluster.start_worker(f"new-{name}", threads=2, called=name)  # the old one still has the name
            end(cluster, name)
            wait_gone(cluster, name)
            cluster.wait_ready(f"new-{name}")
            wait_for(lambda: len(there(cluster)) == 2, "the new worker", 20)
            time.sleep(0.5)
    assert set(cluster.wait(*stream.runs)) == {"completed"}
    calls = cluster.calls()
    assert sorted(calls) == sorted({f"stream-{number}" for number in range(len(stream.runs))})
    assert attempts(cluster) == {1}
    assert longest_pause_s(cluster) < LONGEST_PAUSE_S


def test_what_takes_too_long_is_given_back_at_once_and_costs_no_attempt(lab: Lab) -> None:
    run_id = lab.work("long", seconds=2.0, deaf=True)
    lab.wait_for_call("long")
    lab.signal("w1", signal.SIGTERM)  # the laboratory starts it again
    began = time.monotonic()
    lab.wait_for_call("long", times=2)
    assert time.monotonic() - began < 8  # far less than the lease; most of it is the new process
    assert lab.wait(run_id) == ["completed"]
    assert attempts(lab) == {1}
    assert [step["error"] for step in lab.run(run_id)["steps"]] in ([None], [WORKER_ENDED])


WORKER_ENDED = {"code": "worker_ended", "message": "worker 'w1' ended", "type": "try_later", "param": None}


def test_a_second_signal_means_at_once() -> None:
    with Lab(lease_s=600, told={DRAIN: "60"}) as lab:
        lab.start_worker("w1")
        lab.wait_ready("w1")
        run_id = lab.work("long", seconds=3.0)
        lab.wait_for_call("long")
        pid = lab.pid("w1")
        lab.signal("w1", signal.SIGTERM)
        wait_for(lambda: bool(there(lab).get("w1", {}).get("draining")), "the worker to say that it ends", 5)
        time.sleep(0.6)
        began = time.monotonic()
        lab.signal("w1", signal.SIGTERM)
        wait_for(lambda: lab.pid("w1") != pid, "its end", 5)
        assert time.monotonic() - began < 2
        assert lab.wait(run_id) == ["completed"]
        assert attempts(lab) == {1}


def test_an_idle_worker_ends_within_two_seconds(lab: Lab) -> None:
    end(lab, "w1")
    began = time.monotonic()
    wait_gone(lab, "w1")
    assert time.monotonic() - began < LONGEST_PAUSE_S
    assert there(lab) == {}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the tree of the release before."""
    packed = subprocess.run(["git", "archive", EARLIER], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"the history does not reach back to {EARLIER}")
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


def start_earlier_worker(lab: Lab, name: str, tree: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.lab_parts", "worker", name, "--queues", lab.queue, "--threads", "2"]
    command += ["--lease-s", str(lab.lease_s), "--database", str(lab.database_url), "--broker", str(lab.broker_url)]
    command += ["--blobs", str(lab.blobs_url), "--max-attempts", str(lab.max_attempts)]
    given = {JOURNAL: str(lab.journal), QUEUE: lab.queue, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    lab.add(name, ["env", "-C", str(tree), *command], {**os.environ, **given})


def test_two_releases_at_once(cluster: Lab, earlier: Path) -> None:
    start_earlier_worker(cluster, "old", earlier)
    cluster.start_worker("new", threads=2)
    cluster.wait_ready("old", "new")
    wait_for(lambda: len(there(cluster)) == 2, "both workers", 20)
    assert there(cluster)["old"]["tools"] is None  # it cannot say what it can do
    with Stream(cluster) as stream:
        time.sleep(4.0)
        end(cluster, "old")
        wait_gone(cluster, "old")
        time.sleep(0.5)
    assert set(cluster.wait(*stream.runs)) == {"completed"}
    assert sorted(cluster.calls()) == sorted({f"stream-{number}" for number in range(len(stream.runs))})
    assert attempts(cluster) == {1}
    with cluster.database.read() as connection:
        who = set(connection.execute(select(steps.c.worker)).scalars())
    # On RabbitMQ the earlier release listens to queues of its own, and finds work where the others leave it.
    assert who == {"old", "new"} or (brokers.is_amqp(str(cluster.broker_url)) and "new" in who)
