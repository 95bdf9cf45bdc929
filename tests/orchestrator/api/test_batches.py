"""Batches over HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx

from benchmarks.desk import Desk
from orchestrator.api.context import Context
from store import batches
from tools import catalog
from workers.feeding import line_reader

LINES = b"""{"say": "a cat"}
not json
{"tool": "generate_image", "args": {"prompt": "dog", "size": 64}}
{"tool": "generate_image", "args": {"prompt": "dog", "count": 0}}
"""


def feed(desk: Desk, context: Context, batch_id: str) -> None:
    read = line_reader(catalog.specs())
    for _ in range(3):
        desk.change(lambda t: batches.feed(t, batch_id, context.blobs.open, read))


def rows(api: httpx.Client, batch_id: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in api.get(f"/v1/batches/{batch_id}/results").text.splitlines()]


def test_a_faulty_line_is_an_error_row_and_the_rest_runs(
    api: httpx.Client, desk: Desk, context: Context, post: Any
) -> None:
    answer = api.post("/v1/batches", content=LINES)
    batch_id = answer.json()["id"]
    assert answer.status_code == 202
    assert [wake.task for wake in post.sent] == ["feed"]
    feed(desk, context, batch_id)

    told = rows(api, batch_id)
    assert [row["line"] for row in told] == [1, 2, 3, 4]
    assert [row["status"] for row in told] == ["pending", "bad_line", "pending", "bad_line"]
    assert "count" in told[3]["error"]["message"]
    found = api.get(f"/v1/batches/{batch_id}").json()
    assert (found["status"], found["lines"], found["counts"]["bad_line"]) == ("in_progress", 4, 2)
    assert [row["id"] for row in api.get("/v1/batches").json()["data"]] == [batch_id]


def test_a_batch_is_cancelled_and_resumed(api: httpx.Client, desk: Desk, context: Context) -> None:
    batch_id = api.post("/v1/batches", files={"file": ("lines.jsonl", LINES)}).json()["id"]
    feed(desk, context, batch_id)
    assert api.post(f"/v1/batches/{batch_id}/cancel").status_code == 202
    feed(desk, context, batch_id)
    assert api.get(f"/v1/batches/{batch_id}").json()["status"] == "cancelled"
    assert {row["status"] for row in rows(api, batch_id)} == {"cancelled", "bad_line"}

    assert api.post(f"/v1/batches/{batch_id}/resume").json()["status"] == "in_progress"
    assert [row["status"] for row in rows(api, batch_id)] == ["pending", "bad_line", "pending", "bad_line"]
    assert api.post(f"/v1/batches/{batch_id}/resume").status_code == 409
