"""Runs over HTTP: accepted, followed, cancelled, tried again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from benchmarks.desk import Desk
from orchestrator.api import events
from orchestrator.api.context import Context
from orchestrator.api.keyring import LOCAL
from store import runs, transition
from store.completion import Ended, complete
from store.transition import Transition
from workers.planned import new_steps

PLAN = {"steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "cat", "size": 64}}], "reply": "Here."}


def read(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def carry_out(desk: Desk) -> None:
    """Play the planner and a worker until a run in words has ended."""
    desk.save_plan(desk.one(queues=["planner"]), desk.step("s1"))
    desk.complete(desk.one())
    desk.reply(desk.one(queues=["planner"]), "Done.")


def test_words_are_accepted_with_202_and_a_worker_is_called_after_the_commit(
    api: httpx.Client, desk: Desk, post: Any
) -> None:
    answer = api.post("/v1/runs", json={"say": "a happy cat"})

    run = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/runs/{run['id']}"
    assert run["status"] == "pending"
    assert [wake.queue for wake in post.sent] == ["planner"]
    assert desk.status(run["id"], LOCAL) == "pending"


def test_a_plan_is_checked_before_it_is_accepted(api: httpx.Client, post: Any) -> None:
    good = api.post("/v1/runs", json={"plan": PLAN})
    unknown = api.post("/v1/runs", json={"plan": {"steps": [{"id": "s1", "tool": "bake_cake", "args": {}}]}})
    wide = {"steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "cat", "count": 99}}]}
    out_of_range = api.post("/v1/runs", json={"plan": wide})

    assert good.status_code == 202
    assert [step["tool"] for step in good.json()["steps"]] == ["generate_image"]
    assert unknown.status_code == out_of_range.status_code == 422
    assert "bake_cake" in unknown.json()["error"]["message"]
    assert "count" in out_of_range.json()["error"]["message"]
    assert "16" in out_of_range.json()["error"]["message"]
    assert len(post.sent) == 1


def test_the_same_idempotency_key_gives_the_same_run_and_refuses_another_request(api: httpx.Client) -> None:
    key = {"Idempotency-Key": "k1"}
    first = api.post("/v1/runs", json={"say": "a cat"}, headers=key)
    again = api.post("/v1/runs", json={"say": "a cat"}, headers=key)
    other = api.post("/v1/runs", json={"say": "a dog"}, headers=key)

    assert first.status_code == again.status_code == 202
    assert again.json()["id"] == first.json()["id"]
    assert other.status_code == 409
    assert len(api.get("/v1/runs").json()["data"]) == 1


def test_events_are_followed_to_the_end_and_replayed_without_a_gap(
    api: httpx.Client, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = api.post("/v1/runs", json={"say": "a cat"}).json()["id"]
    worker = threading.Thread(target=carry_out, args=(desk,))
    with api.stream("GET", f"/v1/runs/{run_id}/events") as answer:
        worker.start()
        live = list(read(answer))
    worker.join()

    assert [event["sequence_number"] for event in live] == list(range(1, len(live) + 1))
    assert live[0]["type"] == "run.created"
    assert live[-1]["type"] == "run.completed"
    for last in (0, 2, len(live)):
        with api.stream("GET", f"/v1/runs/{run_id}/events", headers={"Last-Event-ID": str(last)}) as answer:
            assert list(read(answer)) == live[last:]
        with api.stream("GET", f"/v1/runs/{run_id}/events", params={"starting_after": last}) as answer:
            assert list(read(answer)) == live[last:]

    monkeypatch.setattr(events, "PAGE", 2)  # the same over several pages
    with api.stream("GET", f"/v1/runs/{run_id}/events") as answer:
        assert list(read(answer)) == live


def test_a_quiet_stream_sends_heartbeats(api: httpx.Client, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.2)
    run_id = api.post("/v1/runs", json={"say": "a cat"}).json()["id"]
    with api.stream("GET", f"/v1/runs/{run_id}/events") as answer:
        comments = (line for line in answer.iter_lines() if line.startswith(":"))
        assert next(comments)


def test_the_stream_of_a_run_that_is_tried_again_goes_on(api: httpx.Client, desk: Desk) -> None:
    run_id = api.post("/v1/runs", json={"plan": PLAN}).json()["id"]
    desk.fail(desk.one())
    assert api.get(f"/v1/runs/{run_id}").json()["status"] == "failed"
    assert api.post(f"/v1/runs/{run_id}/retry").status_code == 202
    desk.complete(desk.one())

    with api.stream("GET", f"/v1/runs/{run_id}/events") as answer:
        types = [event["type"] for event in read(answer)]
    assert types.count("run.failed") == 1
    assert types[-1] == "run.completed"


def test_cancelling_stops_what_waits(api: httpx.Client, desk: Desk) -> None:
    run_id = api.post("/v1/runs", json={"plan": PLAN}).json()["id"]
    answer = api.post(f"/v1/runs/{run_id}/cancel")

    assert answer.status_code == 202
    assert answer.json()["status"] == "cancelled"
    assert api.post(f"/v1/runs/{run_id}/retry").status_code == 409
    assert desk.claim() == []


def test_a_step_is_stopped_alone(api: httpx.Client) -> None:
    run_id = api.post("/v1/runs", json={"plan": PLAN}).json()["id"]
    assert api.post(f"/v1/runs/{run_id}/cancel", json={"step": "s9"}).status_code == 404
    answer = api.post(f"/v1/runs/{run_id}/cancel", json={"step": PLAN["steps"][0]["id"]})
    assert answer.status_code == 202
    assert answer.json()["steps"][0]["status"] == "cancelled"
    assert api.post(f"/v1/runs/{run_id}/cancel", json={"steps": "s1"}).status_code == 422


def test_a_plan_waits_for_approval_and_can_be_edited(api: httpx.Client, desk: Desk) -> None:
    run_id = api.post("/v1/runs", json={"say": "a cat", "needs_approval": True}).json()["id"]
    assert api.get(f"/v1/runs/{run_id}/plan").status_code == 409
    desk.save_plan(desk.one(queues=["planner"]), desk.step("s1", tool="generate_image", args={"prompt": "cat"}))
    assert api.get(f"/v1/runs/{run_id}").json()["status"] == "waiting_approval"
    assert desk.claim() == []

    edited = {"steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "dog"}}], "reply": ""}
    answer = api.post(f"/v1/runs/{run_id}/approve", json={"plan": edited})

    assert answer.json()["status"] == "in_progress"
    assert desk.one().args["prompt"] == "dog"
    assert api.post(f"/v1/runs/{run_id}/approve").status_code == 409


def test_a_run_is_run_again_with_its_plan(api: httpx.Client) -> None:
    first = api.post("/v1/runs", json={"plan": PLAN}).json()
    again = api.post(f"/v1/runs/{first['id']}/rerun").json()

    assert again["id"] != first["id"]
    assert again["plan"] == first["plan"]


def test_a_plan_alone_runs_nothing(api: httpx.Client, desk: Desk) -> None:
    worker = threading.Timer(0.3, lambda: desk.save_plan(desk.one(queues=["planner"]), desk.step("s1"), reply="One."))
    worker.start()
    answer = api.post("/v1/plans", json={"say": "a cat"})
    worker.join()

    assert answer.status_code == 200
    assert [step["id"] for step in answer.json()["plan"]["steps"]] == ["s1"]
    assert answer.json()["plan"]["reply"] == "One."
    assert desk.claim() == []


def test_a_conversation_keeps_what_was_said(api: httpx.Client, desk: Desk) -> None:
    thread = api.post("/v1/threads", json={"title": "cats"}).json()
    run = api.post(f"/v1/threads/{thread['id']}/runs", json={"say": "a cat"}).json()
    carry_out(desk)

    said = api.get(f"/v1/threads/{thread['id']}/messages").json()["data"]
    assert [(message["role"], message["content"]) for message in said] == [("user", "a cat"), ("assistant", "Done.")]
    assert [row["id"] for row in api.get(f"/v1/threads/{thread['id']}/runs").json()["data"]] == [run["id"]]
    assert api.get("/v1/threads").json()["data"][0]["title"] == "cats"


def test_lists_come_in_pages_newest_first(api: httpx.Client) -> None:
    made = [api.post("/v1/runs", json={"say": f"cat {number}"}).json()["id"] for number in range(5)]
    seen: list[str] = []
    before = None
    while True:
        page = api.get("/v1/runs", params={"limit": 2, **({"before": before} if before else {})}).json()
        seen += [row["id"] for row in page["data"]]
        before = page["next"]
        if not page["has_more"]:
            break
    assert seen == made[::-1]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/runs/run_nobody"),
        ("GET", "/v1/runs/run_nobody/events"),
        ("POST", "/v1/runs/run_nobody/cancel"),
        ("POST", "/v1/runs/run_nobody/retry"),
        ("GET", "/v1/threads/thread_nobody"),
        ("GET", "/v1/assets/asset_nobody"),
        ("GET", "/v1/assets/asset_nobody/content"),
        ("GET", "/v1/assets/asset_nobody/lineage"),
        ("PUT", "/v1/assets/asset_nobody/tags"),
        ("DELETE", "/v1/assets/asset_nobody"),
        ("GET", "/v1/batches/batch_nobody"),
        ("GET", "/v1/batches/batch_nobody/results"),
        ("POST", "/v1/batches/batch_nobody/cancel"),
        ("GET", "/v1/tools/nothing"),
        ("GET", "/v1/models/nothing"),
        ("GET", "/v1/nothing"),
    ],
)
def test_an_unknown_id_is_404_in_the_one_envelope(api: httpx.Client, method: str, path: str) -> None:
    answer = api.request(method, path, json={"tags": []} if method == "PUT" else None)

    assert answer.status_code == 404
    assert set(answer.json()["error"]) == {"code", "message", "type", "param"}
    assert answer.json()["error"]["code"] in {"not_found", "model_not_found"}


def test_the_run_of_somebody_else_is_404(api: httpx.Client, desk: Desk) -> None:
    run_id = desk.say("a cat", owner="bob")
    assert api.get(f"/v1/runs/{run_id}").status_code == 404
    assert api.get(f"/v1/runs/{run_id}/events").status_code == 404
    assert api.post(f"/v1/runs/{run_id}/cancel").status_code == 404


@pytest.mark.parametrize("body", [{}, {"say": "x", "plan": PLAN}, {"say": ""}, {"say": "x", "colour": "red"}])
def test_a_body_that_does_not_fit_is_422_and_names_what(api: httpx.Client, body: dict[str, Any]) -> None:
    answer = api.post("/v1/runs", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid"
    assert answer.json()["error"]["message"]


def test_a_plan_waits_for_approval_where_that_is_asked_for(api: httpx.Client, desk: Desk, post: Any) -> None:
    run = api.post("/v1/runs", json={"plan": PLAN, "needs_approval": True}).json()
    assert (run["status"], run["steps"], post.sent) == ("waiting_approval", [], [])
    approved = api.post(f"/v1/runs/{run['id']}/approve").json()
    assert [step["tool"] for step in approved["steps"]] == ["generate_image"]
    desk.complete(desk.one())
    assert desk.status(run["id"], LOCAL) == "completed"


@pytest.mark.parametrize("ends", ["waits", "is cancelled"])
def test_a_plan_that_sends_and_was_never_approved_waits_when_it_is_run_again(
    api: httpx.Client, desk: Desk, context: Context, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    known = context.tools(LOCAL)
    sending = {**known, "write_text": replace(known["write_text"], sends=True)}
    monkeypatch.setattr(Context, "tools", lambda self, owner: sending)
    plan = {"steps": [{"id": "s1", "tool": "write_text", "args": {"prompt": "a letter"}}], "reply": ""}
    run_id = api.post("/v1/runs", json={"say": "thank you"}).json()["id"]
    planning = desk.one(queues=["planner"])
    new = new_steps(plan, sending)

    def planned(t: Transition) -> None:
        runs.save_plan(t, run_id, plan, new, risk="it sends")
        complete(t, [Ended(planning)])

    transition.run(context.database, planned)
    if ends == "is cancelled":
        api.post(f"/v1/runs/{run_id}/cancel")
    again = api.post(f"/v1/runs/{run_id}/rerun").json()
    assert (again["status"], again["steps"]) == ("waiting_approval", [])

    assert api.post(f"/v1/runs/{again['id']}/rerun").json()["status"] == "waiting_approval"

    api.post(f"/v1/runs/{again['id']}/approve")
    desk.complete(desk.one(queues=[sending["write_text"].queue]))
    third = api.post(f"/v1/runs/{again['id']}/rerun").json()  # a person let it run
    assert [step["status"] for step in third["steps"]] == ["queued"]


@pytest.mark.parametrize(
    "body",
    [
        {"say": "a cat\x00"},
        {"plan": {"steps": [{"id": "s1", "tool": "write_text", "args": {"prompt": "a\x00b"}}], "reply": ""}},
    ],
)
def test_a_character_that_cannot_be_stored_is_refused(api: httpx.Client, body: dict[str, Any]) -> None:
    answer = api.post("/v1/runs", json=body)
    assert answer.status_code == 422
    assert "U+0000" in answer.json()["error"]["message"]


def test_words_about_that_character_are_words(api: httpx.Client) -> None:
    assert api.post("/v1/runs", json={"say": r"write about \u0000"}).status_code == 202
