"""What runs and what waits, over HTTP."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from benchmarks.desk import Desk
from orchestrator.api.context import Context
from store import keys, presence
from store.presence import Worker
from store.queueing import WINDOW_S
from store.runs import BATCH
from store.steps import Claim
from store.tables import steps


@pytest.fixture
def owners(context: Context) -> dict[str, dict[str, str]]:
    """Give the headers of Ada, of Bob, and of an admin."""

    def headers(owner: str, *scopes: str) -> dict[str, str]:
        secret = context.database.transact(
            lambda c: keys.create(c, name="x", owner=owner, scopes=scopes, now=time.time())
        )[1]
        return {"authorization": f"Bearer {secret}"}

    return {
        "ada": headers("ada", "read", "make"),
        "bob": headers("bob", "read", "make"),
        "root": headers("root", "admin", "read"),
    }


def staff(context: Context, queue: str = "image", slots: int = 1) -> None:
    """Say that a worker is there."""
    worker = Worker(name=f"{queue}-1", queues=[queue], pid=1, started_at=1.0, slots=slots)
    context.database.transact(lambda c: presence.here(c, worker))


def took(context: Context, claim: Claim, seconds: float) -> None:
    """Make a step that just ended one that took so long."""
    began = time.time() - seconds
    context.database.transact(lambda c: c.execute(update(steps).where(steps.c.id == claim.id).values(started_at=began)))


def look(api: httpx.Client, headers: dict[str, str] | None = None, **query: Any) -> dict[str, Any]:
    answer = api.get("/v1/queue", headers=headers or {}, params=query)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def queue_of(said: dict[str, Any], name: str = "image") -> dict[str, Any]:
    (found,) = [queue for queue in said["queues"] if queue["id"] == name]
    assert isinstance(found, dict)
    return found


def test_an_idle_studio_says_so(api: httpx.Client) -> None:
    said = look(api)
    assert (said["data"], said["queues"], said["has_more"]) == ([], [], False)
    assert said["others"] == {"running": 0, "open": 0}
    assert said["sees_all"]


def test_what_runs_comes_first_and_nothing_is_foretold_of_what_was_never_measured(
    api: httpx.Client, desk: Desk, context: Context
) -> None:
    staff(context)
    first = desk.plan(desk.step("s1"), desk.step("s2", "s1"), owner="local")
    second = desk.plan(desk.step("s1"), owner="local", batch_id=None)
    desk.one()
    said = look(api)
    assert [run["id"] for run in said["data"]] == [first, second]
    running, waiting = said["data"]
    assert (running["is_running"], running["step"]["id"], running["steps_done"], running["steps"]) == (True, "s1", 0, 2)
    assert running["step"]["args"] == {}
    assert running["step"]["started_at"] == pytest.approx(time.time(), abs=30)
    assert (waiting["is_running"], waiting["step"]["status"], waiting["ahead"]) == (False, "queued", 0)
    assert (running["start_s"], running["end_s"]) == (0, None)
    assert (waiting["start_s"], waiting["end_s"]) == (None, None)
    image = queue_of(said)
    assert (image["waiting"], image["running"], image["workers"], image["slots"]) == (1, 1, 1, 1)
    assert (image["per_minute"], image["call_s"]) == (None, {})


def test_the_end_is_expected_from_how_long_such_steps_took(api: httpx.Client, desk: Desk, context: Context) -> None:
    staff(context)
    for _ in range(5):
        desk.plan(desk.step("s1"))
        claim = desk.one()
        desk.complete(claim)
        took(context, claim, 40.0)
    running = desk.plan(desk.step("s1"), desk.step("s2", "s1"), owner="local")
    desk.one()
    waiting = [desk.plan(desk.step("s1"), owner="local") for _ in range(2)]
    unknown = desk.plan(desk.step("s1", tool="sculpt"), owner="local")
    last = desk.plan(desk.step("s1"), owner="local")
    said = look(api)
    found = {run["id"]: run for run in said["data"]}
    assert queue_of(said)["per_minute"] == pytest.approx(5 * 60 / WINDOW_S)
    assert queue_of(said)["call_s"]["draw"] == pytest.approx(40, abs=10)

    def expected(run_id: str) -> list[float | None]:
        return [found[run_id]["start_s"], found[run_id]["end_s"]]

    assert expected(running) == [0, pytest.approx(80, abs=20)]
    assert expected(waiting[0]) == [pytest.approx(40, abs=20), pytest.approx(80, abs=20)]
    assert expected(waiting[1]) == [pytest.approx(80, abs=20), pytest.approx(120, abs=20)]
    assert expected(unknown) == [pytest.approx(120, abs=20), None]
    assert expected(last) == [None, None]  # behind one that was never measured
    assert [found[one]["ahead"] for one in (*waiting, unknown, last)] == [0, 1, 2, 3]


def test_steps_of_one_call_share_its_time_and_slots_share_the_work(
    api: httpx.Client, desk: Desk, context: Context
) -> None:
    staff(context, slots=2)
    for _ in range(4):
        desk.plan(desk.step("s1", batch_key="same"))
    began = time.time() - 60
    for claim in desk.claim(batch_sizes={"draw": 4}):
        desk.complete(claim)
    context.database.transact(lambda c: c.execute(update(steps).values(started_at=began)))
    first = desk.plan(desk.step("s1"), owner="local")
    for _ in range(4):
        desk.plan(desk.step("s1"), owner="local")
    found = {run["id"]: run for run in look(api)["data"]}
    starts = sorted(run["start_s"] for run in found.values())
    assert found[first]["start_s"] == 0
    assert found[first]["end_s"] == pytest.approx(60, abs=15)  # a call takes a minute, whoever shares it
    assert starts == pytest.approx([0, 0, 15, 22.5, 30], abs=8)  # and a step of it fifteen seconds, of two slots


def test_owners_take_turns_and_chat_goes_before_batches(api: httpx.Client, desk: Desk, context: Context) -> None:
    staff(context)
    many = [desk.plan(desk.step("s1"), owner="ada") for _ in range(3)]
    later = desk.plan(desk.step("s1"), owner="bob")
    batch = desk.plan(desk.step("s1"), owner="local", priority=BATCH)
    found = {run["id"]: run for run in look(api)["data"]}
    assert [found[one]["ahead"] for one in many] == [0, 2, 3]
    assert found[later]["ahead"] == 1
    assert found[batch]["ahead"] == 4


def test_others_are_counted_and_not_shown(
    api: httpx.Client, desk: Desk, context: Context, owners: dict[str, dict[str, str]]
) -> None:
    desk.plan(desk.step("s1", args={"prompt": "secret"}), owner="ada")
    desk.one()
    desk.say("a secret", owner="ada")
    mine = desk.say("a cat", owner="bob")
    said = look(api, owners["bob"])
    assert [(run["id"], run["owner"], run["mine"]) for run in said["data"]] == [(mine, "bob", True)]
    assert (said["others"], said["sees_all"]) == ({"running": 1, "open": 2}, False)
    assert "secret" not in str(said)
    assert "ada" not in str(said)


def test_an_admin_sees_whose_they_are_and_may_look_at_only_their_own(
    api: httpx.Client, desk: Desk, owners: dict[str, dict[str, str]]
) -> None:
    desk.say("a cat", owner="ada")
    desk.say("a dog", owner="root")
    said = look(api, owners["root"])
    assert {(run["owner"], run["mine"]) for run in said["data"]} == {("ada", False), ("root", True)}
    own = look(api, owners["root"], mine=True)
    assert [run["owner"] for run in own["data"]] == ["root"]
    assert own["others"] == {"running": 0, "open": 1}


def test_what_waits_for_a_person_or_for_a_worker_says_so(api: httpx.Client, desk: Desk) -> None:
    desk.say("a cat", owner="local", needs_approval=True)
    planning = desk.one(queues=("planner",))
    desk.save_plan(planning, desk.step("s1"))
    desk.plan(desk.step("s1"), owner="local")
    approval, unserved = sorted(look(api)["data"], key=lambda run: run["status"], reverse=True)
    assert (approval["status"], approval["step"], approval["end_s"]) == ("waiting_approval", None, None)
    assert "no worker serves the queue 'image'" in unserved["unserved"]
    assert unserved["start_s"] is None


def test_what_is_done_leaves_the_queue(api: httpx.Client, desk: Desk) -> None:
    run = desk.plan(desk.step("s1"), owner="local")
    assert [one["id"] for one in look(api)["data"]] == [run]
    desk.complete(desk.one())
    assert look(api)["data"] == []


def test_of_a_long_queue_the_first_hundred_are_shown(api: httpx.Client, desk: Desk) -> None:
    runs = [desk.plan(desk.step("s1"), owner="local") for _ in range(103)]
    said = look(api)
    assert [run["id"] for run in said["data"]] == runs[:100]
    assert said["has_more"]
    assert queue_of(said)["waiting"] == 103
