"""The real API is killed after it has committed a request and before it has told anybody."""

from __future__ import annotations

import httpx
import pytest

from benchmarks.lab import Lab

pytestmark = pytest.mark.faults
ASKED = {"json": {"say": "by-http 0.1 2"}, "headers": {"Idempotency-Key": "once"}, "timeout": 30}


def test_a_client_that_asks_again_after_the_api_died_gets_the_same_run_done_once(lab: Lab) -> None:
    url = lab.start_api("dying", dies=True)
    with pytest.raises(httpx.HTTPError):
        httpx.post(f"{url}/v1/runs", **ASKED)  # type: ignore[arg-type]
    lab.stop("dying")

    url = lab.start_api("api")
    answer = httpx.post(f"{url}/v1/runs", **ASKED)  # type: ignore[arg-type]
    assert answer.status_code == 202
    run_id = answer.json()["id"]
    assert lab.wait(run_id) == ["completed"]
    told = httpx.get(f"{url}/v1/runs", timeout=30).json()["data"]
    assert [run["id"] for run in told if run["request"] == "by-http 0.1 2"] == [run_id]
    assert lab.calls().count("plan:by-http") == 1
    assert lab.calls().count("by-http-1") == 1
    lab.stop("api")
