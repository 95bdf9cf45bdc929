"""What is counted and told of requests."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.desk import Desk
from orchestrator.api import metrics
from orchestrator.api.context import Context

PLAN = {"steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "cat"}}]}


def value(api: httpx.Client, name: str, **labels: str) -> float | None:
    """Give a sample of a scrape."""
    for family in text_string_to_metric_families(api.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


def test_a_request_keeps_its_id_and_gets_one_where_it_has_none_that_is_sane(api: httpx.Client) -> None:
    assert api.get("/healthz", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    for foul in ("", "a b", "x" * 200, 'a"}', "é".encode()):
        given = api.get("/healthz", headers={"x-request-id": foul}).headers["x-request-id"]
        assert given.isalnum()
        assert len(given) == 32


def test_requests_are_counted_by_route_never_by_id(api: httpx.Client) -> None:
    for run_id in ("run_1", "run_2"):
        api.get(f"/v1/runs/{run_id}")
    api.get("/nowhere/at/all")
    api.request("PROPFIND", "/v1/runs")
    text = api.get("/metrics").text
    assert value(api, "atelier_http_requests_total", route="/v1/runs/{run_id}", status="404") == 2
    assert value(api, "atelier_http_requests_total", route="none", status="404") == 1
    assert value(api, "atelier_http_requests_total", method="other") == 1
    assert "run_1" not in text
    assert "nowhere" not in text


def test_a_bug_is_logged_once_with_the_request(
    api: httpx.Client, context: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("orchestrator.api.accepting.view", broken)
    with caplog.at_level(logging.INFO):
        assert api.get("/v1/runs/run_1").status_code == 500
    told = [record for record in caplog.records if record.exc_info and record.name == "atelier.api"]
    assert [record.getMessage() for record in told] == ["a bug in GET '/v1/runs/run_1'"]
    counted = httpx.get(f"{api.base_url}/metrics", trust_env=False).text  # the other connection was closed
    assert 'atelier_http_requests_total{method="GET",route="/v1/runs/{run_id}",status="500"} 1.0' in counted


def test_followers_are_counted_while_they_follow(api: httpx.Client) -> None:
    run_id = api.post("/v1/runs", json={"plan": PLAN}).json()["id"]
    with api.stream("GET", f"/v1/runs/{run_id}/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        assert value(api, "atelier_followers") == 1
        seconds = value(api, "atelier_http_seconds_count", route="/v1/runs/{run_id}/events")
        assert not seconds, "it is counted at its end"
    api.post(f"/v1/runs/{run_id}/cancel")


def test_the_state_of_the_studio_is_told_from_sql(api: httpx.Client, desk: Desk) -> None:
    for _ in range(3):
        api.post("/v1/runs", json={"plan": PLAN})
    assert value(api, "atelier_queue_waiting", queue="image") == 3
    assert value(api, "atelier_runs_open", status="pending") == 3
    assert value(api, "atelier_queue_running", queue="image") == 0
    assert value(api, "atelier_workers", queue="image") == 0
    assert value(api, "atelier_database_up") == 1
    assert (value(api, "atelier_disk_free_bytes", place="blobs") or 0) > 0


def test_many_scrapes_are_one_look_at_sql(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(metrics, "load", lambda *given: looks.append(given))
    look = metrics.StudioLook(context)
    for _ in range(5):
        list(look())
    assert len(looks) == 1


def test_a_database_that_is_away_is_told_and_the_rest_still_shown(context: Context) -> None:
    Path(context.database.url.removeprefix("sqlite:///")).unlink()
    context.database.engine.dispose()
    told = {family.name: family.samples for family in metrics.StudioLook(context)()}
    assert told["atelier_database_up"][0].value == 0
    assert "atelier_queue_waiting" not in told
    assert told["atelier_info"][0].value == 1
