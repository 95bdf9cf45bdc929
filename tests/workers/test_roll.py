"""No two live workers share a name, and what a dead one held comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.desk import Desk
from store import presence, steering
from store.presence import Worker
from tests.workers.conftest import Shop
from workers import roll
from workers.drain import give_back
from workers.roll import Roll


@pytest.fixture
def other() -> Iterator[int]:
    """Give the number of another process of this machine that lives."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid


@pytest.fixture
def dead() -> int:
    """Give the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def there(desk: Desk) -> list[str]:
    with desk.database.read() as connection:
        return [row["name"] for row in presence.fresh(connection)]


def seen(shop: Shop, pid: int, name: str = "w1@lion", host: str = "lion") -> None:
    shop.bench.name, shop.bench.host = "w1@lion", "lion"
    worker = Worker(name, ["image"], pid, started_at=1.0, host=host)
    shop.bench.database.transact(lambda connection: presence.here(connection, worker))


def test_a_name_that_is_taken_by_a_live_worker_gets_a_number(shop: Shop, desk: Desk, other: int) -> None:
    seen(shop, other)
    seen(shop, other, "w1-2@lion")
    Roll(shop.bench).enter()
    assert shop.bench.name == "w1-3@lion"
    assert there(desk) == ["w1-2@lion", "w1-3@lion", "w1@lion"]


def test_a_dead_worker_s_name_and_steps_are_taken_at_once(shop: Shop, desk: Desk, dead: int) -> None:
    seen(shop, dead)
    run_id = desk.plan(desk.step("s1"))
    desk.one("w1@lion", lease_s=3600)
    Roll(shop.bench).enter()
    assert shop.bench.name == "w1@lion"
    assert desk.reap() == 1
    assert desk.steps(run_id) == {"s1": "queued"}


def test_a_process_that_cannot_be_looked_at_is_dead_if_it_says_nothing(
    shop: Shop, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll, "WATCH_S", 0.3)
    monkeypatch.setattr(roll, "LOOK_S", 0.02)
    seen(shop, os.getpid())  # a container's first process always has this number
    Roll(shop.bench).enter()
    assert shop.bench.name == "w1@lion"


def test_a_worker_that_was_thought_dead_takes_another_name(shop: Shop, desk: Desk, other: int) -> None:
    ours = Roll(shop.bench)
    ours.enter()
    with desk.database.read() as connection:
        row = presence.get(connection, "w1")
    successor = Worker("w1", ["image"], other, started_at=2.0, host=shop.bench.host)
    assert desk.database.transact(lambda c: presence.take(c, successor, row))
    ours.say()
    assert there(desk) == ["w1", "w1-2"]
    ours.leave()
    assert there(desk) == ["w1"]


def test_a_step_that_is_given_back_was_never_begun(shop: Shop, desk: Desk) -> None:
    run_id = desk.plan(desk.step("s1"))
    claim = desk.one("w1")
    give_back(shop.bench, claim)
    assert desk.steps(run_id) == {"s1": "queued"}
    assert [wake.ref_id for wake in shop.messages.sent] == [claim.id]
    assert desk.one("w2").attempts == 1
    give_back(shop.bench, claim)  # another has it: nothing happens
    assert desk.steps(run_id) == {"s1": "in_progress"}


def test_a_step_that_sends_is_not_given_back(shop: Shop, desk: Desk) -> None:
    shop.specs["draw"] = replace(shop.specs["draw"], sends=True)
    run_id = desk.plan(desk.step("s1"))
    give_back(shop.bench, desk.one("w1"))
    assert desk.status(run_id) == "failed"


def test_a_cancelled_step_is_not_given_back(shop: Shop, desk: Desk) -> None:

    run_id = desk.plan(desk.step("s1"))
    claim = desk.one("w1")
    desk.change(lambda t: steering.cancel(t, "ada", run_id))
    give_back(shop.bench, claim)
    assert desk.status(run_id) == "cancelled"
