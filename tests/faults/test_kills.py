"""Processes are killed with -9 in the middle of their work; every accepted request still ends, and ends once."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from benchmarks.lab import Lab, wait_for
from benchmarks.lab_tools import OWNER
from store import batches, events, steering

pytestmark = pytest.mark.faults


def told(lab: Lab, run_id: str) -> list[str]:
    with lab.database.read() as connection:
        return [event.type for event in events.after(connection, run_id, 0)]


def test_a_worker_killed_in_mid_step(lab: Lab) -> None:
    run_id = lab.work("worker-killed", seconds=0.6)
    lab.wait_for_call("worker-killed")
    lab.kill("w1")

    assert lab.wait(run_id) == ["completed"]
    (step,) = lab.run(run_id)["steps"]
    assert step["attempts"] == 2
    assert len(step["assets"]) == 1
    assert lab.calls().count("worker-killed") == 2  # begun twice, and its result is there once
    assert told(lab, run_id).count("step.completed") == 1


def test_a_worker_killed_for_good_is_replaced_by_another_when_its_lease_ends(lab: Lab) -> None:
    lab.start_worker("mortal")
    lab.wait_ready("mortal")
    keys = [f"mortal-{n}" for n in range(2)]
    ids = [lab.work(key, seconds=2.5) for key in keys]
    for key in keys:
        lab.wait_for_call(key)
    lab.stop("mortal")

    assert lab.wait(*ids) == ["completed"] * 2
    assert sorted(lab.run(id_)["steps"][0]["attempts"] for id_ in ids) == [1, 2]


def test_the_planner_killed_while_planning(lab: Lab) -> None:
    run_id = lab.say("planner-killed 0.6 2")
    lab.wait_for_call("plan:planner-killed")
    lab.kill("planner")

    assert lab.wait(run_id) == ["completed"]
    run = lab.run(run_id)
    assert run["reply"] == "done"
    assert lab.statuses(run_id) == {"s1": "completed", "s2": "completed"}
    assert lab.calls().count("plan:planner-killed") == 2
    assert told(lab, run_id).count("plan.created") == 1


def test_the_api_killed_between_commit_and_publish(lab: Lab) -> None:
    command = [sys.executable, "-m", "benchmarks.lab_parts", "accept-and-die", "unsent"]
    command += ["--database", str(lab.database_url)]
    died = subprocess.run(command, capture_output=True, text=True, check=False)
    assert died.returncode == -9
    run_id = died.stdout.strip()

    assert lab.wait(run_id) == ["completed"]
    assert lab.calls().count("unsent") == 1


def test_a_step_that_kills_its_process_each_time_is_buried_and_its_siblings_live(lab: Lab) -> None:
    busy = lab.work("before-poison", seconds=0.4)  # so that the four wait and are claimed together
    lab.wait_for_call("before-poison")
    poison = lab.work("poison", "write_together", poison=True)
    siblings = [lab.work(f"sibling-{n}", "write_together") for n in range(3)]

    assert lab.wait(busy, *siblings, timeout_s=60) == ["completed"] * 4
    assert lab.wait(poison, timeout_s=60) == ["failed"]
    (step,) = lab.run(poison)["steps"]
    assert step["attempts"] == lab.max_attempts
    assert step["error"]["code"] == "worker_died"
    assert lab.calls().count("poison") == lab.max_attempts
    for sibling in siblings:
        assert len(lab.run(sibling)["assets"]) == 1


def test_a_batch_whose_feeder_and_worker_are_killed(lab: Lab) -> None:
    lines = [f'{{"tool": "write", "args": {{"key": "line-{n}", "seconds": 0.03}}}}' for n in range(1, 61)]
    lines[9] = "?"
    batch_id = lab.submit("\n".join(lines).encode())
    lab.wait_for_call("line-5")
    lab.kill("planner")
    lab.kill("w1")
    lab.wait_for_call("line-40", timeout_s=40)
    lab.kill("w1")
    lab.kill("planner")

    def ended() -> bool:
        with lab.database.read() as connection:
            return bool(batches.get(connection, OWNER, batch_id)["status"] == "completed")

    wait_for(ended, "the batch", 60)
    rows = list(batches.results(lab.database, OWNER, batch_id))
    assert [row["line"] for row in rows] == list(range(1, 61))
    assert [row["line"] for row in rows if row["status"] == "bad_line"] == [10]
    assert all(row["status"] == "completed" and len(row["assets"]) == 1 for row in rows if row["line"] != 10)


def test_cancelling_a_step_whose_worker_is_dead(lab: Lab) -> None:
    run_id = lab.work("cancel-dead", seconds=20)
    lab.wait_for_call("cancel-dead")
    lab.kill("w1")
    lab.change(lambda t: steering.cancel(t, OWNER, run_id))
    assert lab.wait(run_id) == ["cancelled"]


def test_everything_killed_at_once(lab: Lab) -> None:
    ids = [lab.work(f"all-{n}", seconds=0.1) for n in range(6)] + [lab.say("all 0.1 2")]
    lab.wait_for_call("all-1")
    for name in ("broker", "w1", "planner"):
        lab.kill(name)
    time.sleep(0.05)
    ids.append(lab.work("all-late"))
    assert lab.wait(*ids, timeout_s=40) == ["completed"] * 8
