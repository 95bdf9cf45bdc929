"""Who can do what, over HTTP."""

from __future__ import annotations

import time
from typing import Any

import httpx

from orchestrator.api.context import Context
from store import keys, presence
from store.presence import Worker


def here(context: Context, name: str, **fields: Any) -> None:
    worker = Worker(name, ["image"], 7, started_at=1.0, **fields)
    context.database.transact(lambda connection: presence.here(connection, worker))


def test_it_says_who_is_there_and_what_they_can_do(api: httpx.Client, context: Context) -> None:
    device = {"kind": "cuda", "name": "Card 9000", "memory_bytes": 8 << 30}
    here(context, "gpu-1@lion", host="lion", tools=["draw"], families=["cgan"], models={"cgan": 1}, device=device,
         slots=2, busy=1, version="0.2.0", draining=True)  # fmt: skip
    here(context, "old@mouse")
    gpu, old = api.get("/v1/workers").raise_for_status().json()["data"]
    assert gpu.items() >= {"id": "gpu-1@lion", "host": "lion", "tools": ["draw"], "may_load": ["cgan"]}.items()
    assert gpu.items() >= {"loaded": {"cgan": 1}, "device": device, "slots": 2, "busy": 1, "draining": True}.items()
    assert old.items() >= {"id": "old@mouse", "tools": None, "slots": None, "draining": False}.items()


def test_only_an_admin_sees_the_machines(api: httpx.Client, context: Context) -> None:
    here(context, "gpu-1@lion", host="lion")
    _, secret = context.database.transact(
        lambda c: keys.create(c, name="test", owner="ada", scopes=("read",), now=time.time())
    )
    answer = api.get("/v1/workers", headers={"Authorization": f"Bearer {secret}"})
    assert [worker["id"] for worker in answer.raise_for_status().json()["data"]] == ["gpu-1"]
    assert "lion" not in answer.text


def test_an_answer_says_that_nobody_is_there_to_do_it(api: httpx.Client, context: Context) -> None:
    said = api.post("/v1/runs", json={"say": "a happy cat"})
    assert said.status_code == 202  # it will be done all the same
    assert "atelier worker --queues planner" in said.json()["unserved"]
    context.database.transact(lambda c: presence.here(c, Worker("w1", ["planner"], 7, started_at=1.0)))
    time.sleep(presence.ROSTER_S)
    assert api.get(f"/v1/runs/{said.json()['id']}").json()["unserved"] is None
