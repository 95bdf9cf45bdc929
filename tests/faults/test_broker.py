"""The broker dies, forgets, or says everything ten times; SQL is the truth."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from kombu import Connection

from benchmarks.lab import Lab, Verdict, wait_for
from workers.brokers import PREFIX

pytestmark = pytest.mark.faults


def test_the_broker_is_killed_and_restarted(lab: Lab) -> None:
    ids = [lab.work(f"broker-killed-{n}", seconds=0.1) for n in range(8)]
    lab.wait_for_call("broker-killed-1")
    lab.kill("broker")
    ids += [lab.work(f"broker-away-{n}") for n in range(2)]  # accepted although nobody takes the message

    assert lab.wait(*ids) == ["completed"] * 10


def test_the_broker_forgets_everything(lab: Lab) -> None:
    ids = [lab.work(f"flushed-{n}", seconds=0.1) for n in range(8)]
    lab.wait_for_call("flushed-1")
    lab.flush_broker()
    ids += [lab.work(f"after-flush-{n}") for n in range(2)]

    assert lab.wait(*ids) == ["completed"] * 10


def test_messages_reach_a_worker_at_once_after_the_broker_forgot_everything(lab: Lab) -> None:
    lab.flush_broker()
    run_id = lab.work("soon-after-flush")
    assert lab.wait(run_id, timeout_s=2.5) == ["completed"]  # before the outbox sends again


def test_one_message_delivered_ten_times(lab: Lab) -> None:
    run_id = lab.work("ten-times", seconds=0.3)
    lab.send_again(run_id, 10)
    assert lab.wait(run_id) == ["completed"]
    lab.send_again(run_id, 10)
    after = lab.work("after-ten-times")
    assert lab.wait(after) == ["completed"]
    assert lab.calls().count("ten-times") == 1


def test_a_step_longer_than_every_timeout(lab: Lab) -> None:
    """The lease lasts 1.5 s, the broker delivers again after 1 s, and the tool says nothing for 5 s."""
    run_id = lab.work("long", seconds=5, deaf=True)
    assert lab.wait(run_id) == ["completed"]
    assert lab.calls().count("long") == 1
    assert lab.run(run_id)["steps"][0]["attempts"] == 1


@pytest.fixture
def rabbit_lab(rabbitmq_url: str) -> Iterator[Lab]:
    queue = f"lab-{uuid.uuid4().hex[:12]}"
    with Lab(broker_url=rabbitmq_url, queue=queue) as lab:
        lab.start_worker("w1")
        lab.wait_ready("w1")
        yield lab
        assert lab.verdict() == Verdict(0, 0, 0)
    with Connection(rabbitmq_url) as connection:
        connection.default_channel.queue_delete(PREFIX + queue)


def test_a_worker_killed_in_mid_step_with_rabbitmq(rabbit_lab: Lab) -> None:
    ids = [rabbit_lab.work(f"rabbit-{n}", seconds=0.4) for n in range(4)]
    rabbit_lab.wait_for_call("rabbit-0")
    rabbit_lab.kill("w1")
    assert rabbit_lab.wait(*ids) == ["completed"] * 4
    rabbit_lab.send_again(ids[0], 10)
    after = rabbit_lab.work("rabbit-after")
    assert rabbit_lab.wait(after) == ["completed"]
    wait_for(lambda: rabbit_lab.pid("w1") is not None, "the worker", 10)
    assert rabbit_lab.calls().count("rabbit-0") == 2
    assert all(rabbit_lab.calls().count(f"rabbit-{n}") == 1 for n in range(1, 4))
