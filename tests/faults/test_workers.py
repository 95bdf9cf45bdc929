"""Workers that freeze, share a name, are cancelled, or come again later."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from benchmarks.lab import Lab, Verdict, postgresql
from benchmarks.lab_tools import OWNER
from store import runs, steering

pytestmark = pytest.mark.faults


@pytest.fixture
def second(lab: Lab) -> Iterator[Lab]:
    """Give the laboratory with a second worker, w2."""
    lab.start_worker("w2")
    lab.wait_ready("w2")
    yield lab
    lab.stop("w2")


def holder(lab: Lab, run_id: str) -> str:
    """Give the worker that holds the first step of a run."""
    with lab.database.read() as connection:
        steps = runs.steps
        return str(connection.execute(runs.select(steps.c.worker).where(steps.c.run_id == run_id)).scalar_one())


@pytest.mark.parametrize("deaf", [True, False])
def test_a_worker_that_was_frozen_until_its_step_was_done_by_another_writes_nothing(second: Lab, deaf: bool) -> None:
    key = f"frozen-{deaf}"
    run_id = second.work(key, seconds=0.5, deaf=deaf)
    second.wait_for_call(key)
    first = holder(second, run_id)
    second.freeze(first)

    assert second.wait(run_id) == ["completed"]
    made = second.run(run_id)["assets"]
    assert holder(second, run_id) != first
    second.signal(first, signal.SIGCONT)
    time.sleep(1.0)  # it wakes, ends its work, and finds that it lost the step

    assert second.run(run_id)["assets"] == made
    assert len(made) == 1
    assert second.calls().count(key) == 2
    log = second.log(first)
    assert "result is dropped" in log or "no longer held" in log


def test_two_workers_with_the_same_name(lab: Lab) -> None:
    """The second sees that the first is alive and takes another name, so each keeps its own steps."""
    run_id = lab.work("twins", seconds=4)
    lab.wait_for_call("twins")
    lab.start_worker("twin", called="w1")
    lab.wait_ready("twin")
    more = [lab.work(f"twins-{n}", seconds=0.05) for n in range(10)]
    assert lab.wait(run_id, *more) == ["completed"] * 11
    assert len(lab.run(run_id)["assets"]) == 1
    assert lab.calls().count("twins") == 1
    assert all(lab.calls().count(f"twins-{n}") == 1 for n in range(10))
    lab.stop("twin")


def test_cancelling_a_run_in_mid_step(lab: Lab) -> None:
    run_id = lab.accept(
        lab.new_run(
            {"tool": "write", "args": {"key": "cancelled", "seconds": 30}},
            {"tool": "write", "args": {"key": "cancelled-next"}},
        )
    )
    lab.wait_for_call("cancelled")
    assert lab.change(lambda t: steering.cancel(t, OWNER, run_id)) == "cancelling"
    began = time.monotonic()
    assert lab.wait(run_id) == ["cancelled"]
    assert time.monotonic() - began < 3
    assert lab.run(run_id)["assets"] == []
    assert "cancelled-next" not in lab.calls()
    after = lab.work("after-cancel")
    assert lab.wait(after) == ["completed"]


def test_a_step_that_comes_again_later(lab: Lab) -> None:
    run_id = lab.work("later", "later", times=1)
    meanwhile = lab.work("meanwhile")
    assert lab.wait(meanwhile, run_id) == ["completed"] * 2
    (step,) = lab.run(run_id)["steps"]
    assert step["attempts"] == 2
    keys = lab.calls()
    assert keys.index("meanwhile") < len(keys) - 1 - keys[::-1].index("later")  # nobody waited for it


def test_a_step_that_fails_is_not_tried_again(lab: Lab) -> None:
    run_id = lab.work("broken", "fail")
    assert lab.wait(run_id) == ["failed"]
    assert lab.run(run_id)["error"]["message"] == "broken: no ink"


def test_workers_end_in_order_and_lose_nothing(second: Lab) -> None:
    """SIGTERM: what runs is finished, what waits is done by others."""
    ids = [second.work(f"term-{n}", seconds=0.2) for n in range(6)]
    second.wait_for_call("term-1")
    second.signal("w2", signal.SIGTERM)
    assert second.wait(*ids) == ["completed"] * 6
    assert all(second.calls().count(f"term-{n}") == 1 for n in range(6))


@pytest.fixture
def postgresql_lab(postgresql_url: str) -> Iterator[Lab]:
    with postgresql(postgresql_url) as url, Lab(database_url=url) as lab:
        lab.start_worker("w1")
        lab.start_planner()
        lab.wait_ready("w1", "planner")
        yield lab
        assert lab.verdict() == Verdict(0, 0, 0)


def test_worker_and_planner_killed_with_postgresql(postgresql_lab: Lab) -> None:
    lab = postgresql_lab
    planned = lab.say("pg 0.5 3")
    step = lab.work("pg-step", seconds=0.8)
    lab.wait_for_call("plan:pg")
    lab.kill("planner")
    lab.wait_for_call("pg-step")
    lab.kill("w1")
    assert lab.wait(step, planned) == ["completed"] * 2
    assert lab.calls().count("plan:pg") == 2
    assert lab.calls().count("pg-step") == 2
