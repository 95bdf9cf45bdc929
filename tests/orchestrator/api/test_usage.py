"""What a key may ask for, what happens above it, and what was used."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from benchmarks.desk import Desk
from orchestrator.api.app import create_app
from orchestrator.api.context import Context
from orchestrator.settings import Settings
from store import batches, keys, tables
from store.blobs import Blobs
from store.database import Database
from tests.orchestrator.api.conftest import Post

DAY_S = 86400
PLAN = {"steps": [{"id": f"s{n}", "tool": "write_text", "args": {"prompt": "a poem"}} for n in (1, 2)], "reply": ""}


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def key(context: Context, *scopes: str, owner: str = "ada", **limits: int) -> tuple[str, dict[str, str]]:
    fields = {"name": "x", "owner": owner, "scopes": scopes or ("read", "make"), "now": time.time()}
    made, secret = context.database.transact(lambda c: keys.create(c, limits=limits, **fields))  # type: ignore[arg-type]
    return made.id, bearer(secret)


def refused(answer: httpx.Response, code: str = "quota_exceeded") -> int:
    """Give the seconds after which it may be asked again."""
    assert answer.status_code == 429, answer.text
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["type"] == "invalid_request_error"
    return int(answer.headers["retry-after"])


def move_back(context: Context, seconds: float) -> None:
    """Let time pass for what was accepted."""
    moved = update(tables.runs).values(created_at=tables.runs.c.created_at - seconds)
    context.database.transact(lambda c: c.execute(moved))


def test_a_day_of_runs_is_the_last_24_hours(api: httpx.Client, context: Context) -> None:
    _, mine = key(context, runs_per_day=2)
    _, other = key(context)
    assert api.post("/v1/runs", json={"say": "a cat"}, headers=mine).status_code == 202
    move_back(context, 3600)
    assert api.post("/v1/runs", json={"say": "a cat"}, headers=mine).status_code == 202
    wait_s = refused(api.post("/v1/runs", json={"say": "a cat"}, headers=mine))
    assert wait_s == pytest.approx(DAY_S - 3600, abs=120)
    assert api.post("/v1/runs", json={"say": "a cat"}, headers=other).status_code == 202
    move_back(context, wait_s)
    assert api.post("/v1/runs", json={"say": "a cat"}, headers=mine).status_code == 202


def test_the_same_request_again_needs_no_room(api: httpx.Client, context: Context) -> None:
    _, mine = key(context, runs_per_day=1)
    headers = mine | {"idempotency-key": "once"}
    first = api.post("/v1/runs", json={"say": "a cat"}, headers=headers)
    again = api.post("/v1/runs", json={"say": "a cat"}, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    refused(api.post("/v1/runs", json={"say": "a cat"}, headers=mine))


def test_steps_of_plans_are_counted_before_they_are_taken(api: httpx.Client, context: Context) -> None:
    _, mine = key(context, steps_per_day=3)
    assert api.post("/v1/runs", json={"plan": PLAN}, headers=mine).status_code == 202
    assert refused(api.post("/v1/runs", json={"plan": PLAN}, headers=mine)) > DAY_S - 600
    assert api.post("/v1/runs", json={"plan": {**PLAN, "steps": PLAN["steps"][:1]}}, headers=mine).status_code == 202
    refused(api.post("/v1/runs", json={"say": "a cat"}, headers=mine))
    _, few = key(context, steps_per_day=1)
    never = api.post("/v1/runs", json={"plan": PLAN}, headers=few)
    assert (never.status_code, never.json()["error"]["param"]) == (422, "plan")


def test_open_runs_leave_room_when_they_end(api: httpx.Client, context: Context) -> None:
    _, mine = key(context, open_runs=1)
    run = api.post("/v1/runs", json={"say": "a cat"}, headers=mine).json()["id"]
    assert 1 <= refused(api.post("/v1/runs", json={"say": "a cat"}, headers=mine)) <= 3600
    assert api.post(f"/v1/runs/{run}/cancel", headers=mine).status_code == 202
    assert api.post("/v1/runs", json={"say": "a cat"}, headers=mine).status_code == 202


def test_bytes_that_were_made_are_counted(api: httpx.Client, context: Context, save: Callable[..., str]) -> None:
    _, mine = key(context, bytes_per_day=3000)
    run = api.post("/v1/runs", json={"say": "a cat"}, headers=mine).json()["id"]
    save(bytes(2000), owner="ada")
    assert api.post("/v1/runs", json={"say": "a cat"}, headers=mine).status_code == 202  # that was no run of the key
    asset = save(bytes(3001), owner="ada")
    made_by = update(tables.assets).where(tables.assets.c.id == asset).values(run_id=run)
    context.database.transact(lambda c: c.execute(made_by))
    assert refused(api.post("/v1/runs", json={"say": "a cat"}, headers=mine)) > DAY_S - 600


def test_every_door_to_a_run_counts(api: httpx.Client, context: Context) -> None:
    _, mine = key(context, runs_per_day=1)
    thread = api.post("/v1/threads", headers=mine).json()["id"]
    assert api.post(f"/v1/threads/{thread}/runs", json={"say": "a cat"}, headers=mine).status_code == 202
    (run,) = api.get("/v1/runs", headers=mine).json()["data"]
    for path, body in (
        (f"/v1/threads/{thread}/runs", {"say": "a dog"}),
        (f"/v1/runs/{run['id']}/rerun", None),
        ("/v1/plans", {"say": "a dog"}),
    ):
        refused(api.post(path, json=body, headers=mine))


def test_a_limited_key_takes_no_batches_since_their_lines_count_in_none(api: httpx.Client, context: Context) -> None:
    _, mine = key(context, runs_per_day=1)
    _, other = key(context)
    line = b'{"say": "a cat"}\n'
    refusal = api.post("/v1/batches", content=line, headers=mine)
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (403, "forbidden")
    assert "limits" in refusal.json()["error"]["message"]
    assert api.post("/v1/batches", content=line, headers=other).status_code == 202


def test_an_admin_sets_limits_and_lifts_them(api: httpx.Client, context: Context) -> None:
    _, admin = key(context, "admin", owner="ops")
    wanted = {"name": "ci", "owner": "ada", "limits": {"runs_per_day": 1}}
    made = api.post("/v1/keys", json=wanted, headers=admin).json()
    mine = bearer(made["key"])
    assert made["limits"] == {"runs_per_day": 1}
    assert api.post("/v1/runs", json={"say": "a cat"}, headers=mine).status_code == 202
    refused(api.post("/v1/runs", json={"say": "a cat"}, headers=mine))
    changed = api.patch(f"/v1/keys/{made['id']}", json={"limits": {}}, headers=admin)
    assert (changed.status_code, changed.json()["limits"]) == (200, {})
    assert api.post("/v1/runs", json={"say": "a cat"}, headers=mine).status_code == 202
    for wrong in ({"limits": {"runs": 1}}, {"limits": {"runs_per_day": 0}}, {}):
        assert api.patch(f"/v1/keys/{made['id']}", json=wrong, headers=admin).status_code == 422
    api.delete(f"/v1/keys/{made['id']}", headers=admin)
    assert api.patch(f"/v1/keys/{made['id']}", json={"limits": {}}, headers=admin).status_code == 404


def test_of_requests_that_come_at_once_no_more_pass_than_may(database: Database, tmp_path: Path) -> None:
    context = Context(Settings(home=tmp_path, encoder="hash"), database, Blobs(tmp_path), Post(), None)  # type: ignore[arg-type]
    _, mine = key(context, runs_per_day=5, open_runs=50)

    client = TestClient(create_app(context), base_url="http://127.0.0.1")
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(client.post, "/v1/runs", json={"say": "a cat"}, headers=mine) for _ in range(20)]
        answers = sorted(one.result().status_code for one in asked)
    assert answers == [202] * 5 + [429] * 15


def test_too_much_that_waits_is_refused_with_a_time_from_how_quick_it_goes(
    api: httpx.Client, context: Context, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Settings(home=context.settings.home, encoder="hash", max_open_runs=3)
    monkeypatch.setitem(context.__dict__, "settings", few)
    for _ in range(60):
        desk.plan(owner="local")  # ended at once: 60 in 300 s, one in 5 s
    for _ in range(3):
        assert api.post("/v1/runs", json={"say": "a cat"}).status_code == 202
    answer = api.post("/v1/runs", json={"say": "a cat"})
    assert refused(answer, "too_many_requests") == 5
    long_ago = update(tables.runs).where(tables.runs.c.ended_at > 0).values(ended_at=1.0)
    context.database.transact(lambda c: c.execute(long_ago))
    assert refused(api.post("/v1/runs", json={"say": "a cat"}), "too_many_requests") == 300  # nothing ended lately
    (run, *_) = api.get("/v1/runs", params={"status": "pending"}).json()["data"]
    api.post(f"/v1/runs/{run['id']}/cancel")
    assert api.post("/v1/runs", json={"say": "a cat"}).status_code == 202


def test_what_others_wait_for_takes_nobodys_room_but_that_of_all(
    api: httpx.Client, context: Context, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Settings(home=context.settings.home, encoder="hash", max_open_runs=2, max_open_runs_all=4)
    monkeypatch.setitem(context.__dict__, "settings", few)
    batch = desk.change(lambda t: batches.submit(t, "local", "0" * 64))
    for _ in range(3):
        desk.say(owner="bob")
        desk.say(owner="local", batch_id=batch)  # a batch feeds itself
    assert api.post("/v1/runs", json={"say": "a cat"}).status_code == 202
    refused(api.post("/v1/runs", json={"say": "a cat"}), "too_many_requests")


def test_usage_by_key_by_day_and_by_tool(api: httpx.Client, context: Context) -> None:
    first, mine = key(context)
    second, other = key(context)
    _, bobs = key(context, owner="bob")
    run = api.post("/v1/runs", json={"plan": PLAN}, headers=mine).json()["id"]
    api.post("/v1/runs", json={"plan": PLAN}, headers=mine)
    move_back(context, DAY_S)
    api.post("/v1/runs", json={"say": "a cat"}, headers=other)
    api.post("/v1/runs", json={"plan": PLAN}, headers=bobs)
    worked = update(tables.steps).where(tables.steps.c.run_id == run).values(started_at=100.0, ended_at=102.5)
    context.database.transact(lambda c: c.execute(worked))

    def used(**params: Any) -> dict[str, Any]:
        answer = api.get("/v1/usage", params={"from": time.time() - 2 * DAY_S, **params}, headers=mine)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    total = {"runs": 3, "steps": 5, "busy_s": 5.0, "assets": 0, "bytes": 0}
    assert used()["total"] == total
    assert used()["data"] == []
    by_key = {row["key"]: row for row in used(group_by="key")["data"]}
    assert {name: (row["runs"], row["steps"], row["busy_s"]) for name, row in by_key.items()} == {
        first: (2, 4, 5.0),
        second: (1, 1, 0.0),
    }
    by_tool = {row["tool"]: (row["runs"], row["steps"]) for row in used(group_by="tool")["data"]}
    assert by_tool == {"write_text": (2, 4), "studio.plan": (1, 1)}
    days = [datetime.fromtimestamp(time.time() - ago, UTC).date().isoformat() for ago in (DAY_S, 0)]
    assert [(row["day"], row["runs"]) for row in used(group_by="day")["data"]] == list(zip(days, (2, 1), strict=True))


def test_uploads_count_and_so_does_what_was_deleted(api: httpx.Client) -> None:
    uploaded = api.post("/v1/assets", content=b"plain words", headers={"content-type": "text/plain"})
    assert uploaded.status_code == 201, uploaded.text
    api.delete(f"/v1/assets/{uploaded.json()['id']}")
    said = api.get("/v1/usage", params={"group_by": "tool"}).json()
    counted = {"runs": 0, "steps": 0, "busy_s": 0, "assets": 1, "bytes": uploaded.json()["size_bytes"]}
    assert said["total"] == counted
    assert said["data"] == [{"tool": None, **counted}]


def test_what_others_used_is_shown_to_admins_alone(api: httpx.Client, context: Context) -> None:
    _, admin = key(context, "admin", owner="ops")
    for owner, times in (("ada", 2), ("bob", 1)):
        _, theirs = key(context, owner=owner)
        for _ in range(times):
            api.post("/v1/runs", json={"say": "a cat"}, headers=theirs)
    everybody = {"owner": "*", "group_by": "owner"}
    said = api.get("/v1/usage", params=everybody, headers=admin).json()
    assert [(row["owner"], row["runs"]) for row in said["data"]] == [("ada", 2), ("bob", 1)]
    assert said["total"]["runs"] == 3
    assert api.get("/v1/usage", headers=admin).json()["total"]["runs"] == 0
    assert api.get("/v1/usage", params={"owner": "ada"}, headers=admin).json()["total"]["runs"] == 2
    for owner in ("*", "ada"):
        assert api.get("/v1/usage", params={"owner": owner}, headers=theirs).status_code == 403
    assert api.get("/v1/usage", params={"owner": "bob"}, headers=theirs).json()["total"]["runs"] == 1


@pytest.mark.parametrize("wrong", [{"from": 2, "to": 1}, {"from": 0, "to": 4e9}, {"from": "x"}, {"group_by": "moon"}])
def test_a_time_that_makes_no_sense_is_refused(api: httpx.Client, wrong: dict[str, Any]) -> None:
    assert api.get("/v1/usage", params=wrong).status_code == 422
