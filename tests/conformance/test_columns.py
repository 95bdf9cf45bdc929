"""What a studio does is the same on one machine and on many: real processes, real servers, real messages."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conformance.conftest import Column

Wait = Callable[..., None]


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["sequence_number"] for event in events]


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def test_words_become_a_plan_steps_assets_and_events_in_order(column: Column) -> None:
    run = column.run(say="draw two suns")
    assert run["status"] == "completed", (run, column.house.told())
    told = run["events"]
    assert numbers(told) == list(range(1, len(told) + 1))
    assert types(told)[0] == "run.created"
    assert types(told)[-1] == "run.completed"
    assert {"plan.created", "run.started", "step.queued", "step.started", "asset.created"} <= set(types(told))
    order = [(event["type"], event.get("step")) for event in told]
    for needed in ("s1", "s2"):
        assert order.index(("step.completed", needed)) < order.index(("step.started", "s3"))
    assert column.events(run["id"], after=4) == told[4:]
    last = run["assets"][-1]
    ancestors = column.get(f"/v1/assets/{last}/lineage")["ancestors"]
    assert {row["id"] for row in ancestors} == set(run["assets"][:2])


def test_what_was_made_is_kept_and_can_be_read_in_parts(column: Column) -> None:
    [asset_id] = column.dots({"what": "blue moon", "seed": 1})["assets"]
    whole = column.api.get(f"/v1/assets/{asset_id}/content")
    assert whole.status_code == 200
    assert whole.content.startswith(b"\x89PNG")
    part = column.api.get(f"/v1/assets/{asset_id}/content", headers={"range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    assert column.api.get(f"/v1/assets/{asset_id}/thumbnail").is_success


def test_meaning_finds_it_and_the_index_agrees_with_sql(column: Column, wait_until: Wait) -> None:
    column.dots({"what": "green fern"}, {"what": "grey stone"}, {"what": "green leaf"})
    assert column.found(query="a picture of green fern", limit=1) == ["a picture of green fern"]
    wait_until(lambda: column.get("/v1/index")["ok"])
    assert column.post("/v1/index/rebuild")["vectors"] >= 3
    assert column.get("/v1/index") == {"ok": True, "detail": "agrees with SQL"}
    assert column.found(query="a picture of grey stone", limit=1) == ["a picture of grey stone"]


def test_the_same_recipe_is_answered_from_the_library(column: Column) -> None:
    first = column.dots({"what": "old ship", "seed": 7})
    again = column.dots({"what": "old ship", "seed": 7})
    assert again["assets"] == first["assets"]
    assert "step.cached" in types(again["events"])
    assert "step.cached" not in types(first["events"])


def test_an_asset_is_made_again_to_the_byte(column: Column) -> None:
    [asset_id] = column.dots({"what": "tall tree"})["assets"]
    check = column.post(f"/v1/assets/{asset_id}/verify")
    column.events(check["id"])
    run = column.get(f"/v1/runs/{check['id']}")
    assert run["status"] == "completed", run  # a check that finds other bytes fails


def test_a_batch_makes_all_its_lines_and_names_the_bad_one(column: Column, wait_until: Wait) -> None:
    lines = [json.dumps({"tool": "dots", "args": {"what": f"card {n}"}}) for n in range(60)]
    batch = column.post("/v1/batches", content="\n".join([*lines, "?"]), headers={"content-type": "text/plain"})
    wait_until(lambda: column.get(f"/v1/batches/{batch['id']}")["status"] == "completed", 60)
    assert column.get(f"/v1/batches/{batch['id']}")["counts"] == {"completed": 60, "bad_line": 1}
    results = column.api.get(f"/v1/batches/{batch['id']}/results").text.splitlines()
    assert len(results) == 61


def test_a_cancelled_run_stops_within_a_moment(column: Column, wait_until: Wait) -> None:
    run = column.post("/v1/runs", json={"plan": {"steps": [{"id": "s1", "tool": "wait"}], "reply": ""}})
    wait_until(lambda: column.get(f"/v1/runs/{run['id']}")["status"] == "in_progress")
    began = time.monotonic()
    column.post(f"/v1/runs/{run['id']}/cancel")
    assert types(column.events(run["id"]))[-1] == "run.cancelled"
    assert time.monotonic() - began < 10


def test_a_failed_step_is_tried_again_when_asked(column: Column, tmp_path: Path) -> None:
    there = tmp_path / "there"
    steps = [{"id": "s1", "tool": "wait", "args": {"until": str(there)}}]
    failed = column.run(plan={"steps": steps, "reply": ""})
    assert failed["status"] == "failed"
    there.touch()
    column.post(f"/v1/runs/{failed['id']}/retry")
    column.events(failed["id"], after=len(failed["events"]))
    assert column.get(f"/v1/runs/{failed['id']}")["status"] == "completed"


def test_what_is_deleted_is_found_no_more(column: Column) -> None:
    [asset_id] = column.dots({"what": "lost key"})["assets"]
    assert column.found(query="a picture of lost key", limit=1) == ["a picture of lost key"]
    assert column.api.delete(f"/v1/assets/{asset_id}").status_code == 204
    assert column.api.get(f"/v1/assets/{asset_id}/content").status_code == 404
    assert "a picture of lost key" not in column.found(query="a picture of lost key")
