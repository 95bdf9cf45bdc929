"""The studio over many processes and real servers, as somebody with a key meets it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.cluster.conftest import Cluster, answers, free_ports, started

Wait = Callable[..., None]


def follow(api: httpx.Client, run_id: str) -> list[dict[str, Any]]:
    """Give all events of a run."""
    with api.stream("GET", f"/v1/runs/{run_id}/events", timeout=90) as stream:
        assert stream.status_code == 200
        return [json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:")]


def make(api: httpx.Client, **request: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Start a run, follow it to its end, and give both."""
    accepted = api.post("/v1/runs", json=request)
    assert accepted.status_code == 202, accepted.text
    happened = follow(api, accepted.json()["id"])
    return api.get(f"/v1/runs/{accepted.json()['id']}").json(), happened


def test_nobody_is_served_without_a_key(cluster: Cluster) -> None:
    assert httpx.get(f"{cluster.url}/v1/runs", trust_env=False).status_code == 401
    assert answers(f"{cluster.url}/readyz?of=api")


def test_a_sentence_becomes_a_picture_that_is_found_again(
    cluster: Cluster, api: httpx.Client, wait_until: Wait
) -> None:
    run, happened = make(api, say="a happy cat")
    assert run["status"] == "completed", run
    types = [event["type"] for event in happened]
    assert types[0] == "run.created" and types[-1] == "run.completed" and "asset.created" in types
    numbers = [event["sequence_number"] for event in happened]
    assert numbers == sorted(set(numbers))
    [asset_id] = run["assets"]

    content = api.get(f"/v1/assets/{asset_id}/content")
    assert content.status_code == 200 and content.content.startswith(b"\x89PNG")
    part = api.get(f"/v1/assets/{asset_id}/content", headers={"range": "bytes=0-7"})
    assert part.status_code == 206 and part.content == content.content[:8]

    hits = api.get("/v1/search", params={"query": "happy cat"}).json()["data"]
    assert asset_id in [hit["id"] for hit in hits]
    wait_until(lambda: in_chroma(cluster) > 0)


def in_chroma(cluster: Cluster) -> int:
    """Count the vectors that the Chroma server holds."""
    database = "/api/v2/tenants/default_tenant/databases/default_database/collections"
    with httpx.Client(base_url=f"http://127.0.0.1:{cluster.ports['CHROMA_PORT']}", trust_env=False) as chroma:
        found = chroma.get(database).json()
        return sum(int(chroma.get(f"{database}/{one['id']}/count").text) for one in found)


def test_a_second_api_sends_downloads_to_the_store(cluster: Cluster, api: httpx.Client, wait_until: Wait) -> None:
    """Two APIs stand side by side on the same servers; this one signs links instead of sending bytes."""
    run, _ = make(api, plan={"steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "dog", "size": 64}}]})
    [asset_id] = run["assets"]
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    with (
        cluster.another("atelier", "api", ATELIER_PORT=str(port), ATELIER_SIGNED_LINKS_S="60"),
        cluster.client(url) as second,
    ):
        wait_until(lambda: answers(f"{url}/readyz?of=api"))
        sent_on = second.get(f"/v1/assets/{asset_id}/content")
        assert sent_on.is_redirect, sent_on.text
        link = sent_on.headers["location"]
        assert link.startswith(f"http://127.0.0.1:{cluster.ports['S3_PORT']}/") and cluster.key not in link
        fetched = httpx.get(link, trust_env=False)  # no key is shown there
        assert fetched.content == api.get(f"/v1/assets/{asset_id}/content").content


def test_a_batch_of_lines(api: httpx.Client, wait_until: Wait) -> None:
    lines = [
        {"tool": "generate_image", "args": {"prompt": "red bird", "size": 64}},
        {"say": "a poem"},
        {"tool": "generate_image", "args": {"prompt": "red bird", "count": 0}},
    ]
    content = "\n".join(json.dumps(line) for line in lines)
    sent = api.post("/v1/batches", content=content, headers={"content-type": "application/jsonl"})
    assert sent.status_code == 202, sent.text
    address = f"/v1/batches/{sent.json()['id']}"
    wait_until(lambda: api.get(address).json()["status"] not in {"pending", "in_progress", "validating"}, 90)
    rows = [json.loads(line) for line in api.get(f"{address}/results").text.splitlines()]
    assert [row["status"] for row in rows] == ["completed", "completed", "bad_line"], rows


def test_who_works_is_told(api: httpx.Client) -> None:
    workers = api.get("/v1/workers").json()["data"]
    assert {queue for worker in workers for queue in worker["queues"]} >= {
        "planner", "vector", "image", "solution", "training",
    }  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_comes_again_and_nothing_is_lost(
    cluster: Cluster, api: httpx.Client, wait_until: Wait, how: signal.Signals
) -> None:
    wait_until(lambda: len(cluster.pids("--name", "image")) == 1)
    [before] = cluster.pids("--name", "image")
    drawn = [{"prompt": f"fox {n}", "size": 64, "seed": how * 100 + n} for n in (1, 2, 3)]
    steps = [{"id": f"s{n}", "tool": "generate_image", "args": args} for n, args in enumerate(drawn, 1)]
    accepted = api.post("/v1/runs", json={"plan": {"steps": steps}})
    os.kill(before, how)
    assert follow(api, accepted.json()["id"])[-1]["type"] == "run.completed"
    assert len(api.get(f"/v1/runs/{accepted.json()['id']}").json()["assets"]) == 3
    wait_until(lambda: cluster.pids("--name", "image") not in ([], [before]))


def test_no_secret_is_in_an_argument_list_or_a_log(cluster: Cluster) -> None:
    secrets = [
        line.split("=", 1)[1] for line in cluster.files[0].read_text().splitlines() if "_KEY" in line or "PASS" in line
    ]
    assert len(secrets) == 8
    running, told = cluster.running(), cluster.told()
    assert len(running) > 9
    for secret in secrets:
        assert not [words for words in running.values() if secret in " ".join(words)]
        assert secret not in told


def test_valkey_carries_the_messages_as_well() -> None:
    with started("valkey") as cluster, cluster.client() as api:
        run, _ = make(api, say="a happy cat")
        assert run["status"] == "completed", run
