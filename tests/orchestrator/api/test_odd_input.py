"""What no database can keep and no number can hold is the caller's fault, told as such, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from orchestrator.api.context import Context
from orchestrator.settings import Settings
from store.blobs import Blobs
from store.database import Database
from tests.orchestrator.api.conftest import Post

PNG = b"\x89PNG\r\n\x1a\n" + bytes.fromhex(
    "0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
JSON = {"content-type": "application/json"}


@pytest.fixture
def context(database: Database, tmp_path: Path) -> Context:
    settings = Settings(home=tmp_path, encoder="hash", max_upload_mb=1)
    return Context(settings, database, Blobs(tmp_path / "blobs"), Post(), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/runs/%00",
        "/v1/runs?before=%00",
        "/v1/assets/%00/content",
        "/v1/assets?tag=%00",
        "/v1/batches/%00",
        "/v1/search?query=a&tags=%00",
        "/v1/solutions/%00/calls",
    ],
)
def test_what_cannot_be_an_id_is_not_there(api: httpx.Client, path: str) -> None:
    assert api.get(path).status_code in {200, 404, 422}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/threads", rb'{"title": "a\u0000b"}'),
        ("/v1/runs", rb'{"say": "a\u0000b"}'),
        ("/v1/runs", rb'{"say": "a", "thread_id": "\ud800"}'),
        ("/v1/search", rb'{"query": "a", "tags": ["\ud800"]}'),
        ("/v1/search", rb'{"like": "\ud800"}'),
    ],
)
def test_a_character_that_cannot_be_stored_is_refused(api: httpx.Client, path: str, body: bytes) -> None:
    answer = api.post(path, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


def test_nothing_is_kept_that_the_other_database_would_refuse(api: httpx.Client) -> None:
    assert api.post("/v1/assets?caption=a%00b", content=PNG).status_code == 422
    assert api.post("/v1/assets?tags=a%00b", content=PNG).status_code == 422
    named = api.post("/v1/assets", files={"file": ("a%00b.png", PNG)})
    assert named.status_code == 201
    assert "\0" not in named.json()["caption"]
    assert api.put(f"/v1/assets/{named.json()['id']}/tags", json={"tags": ["\0"]}).status_code == 422


@pytest.mark.parametrize("number", ["9" * 10, "9" * 30, "9" * 5000, "²"])
def test_a_number_that_no_event_has_is_refused(api: httpx.Client, number: str) -> None:
    run = api.post("/v1/runs", json={"say": "a cat"}).json()["id"]
    path = f"/v1/runs/{run}/events"
    assert api.get(path, headers={b"last-event-id": number.encode("latin-1")}).status_code == 400
    assert api.get(path, params={"starting_after": number}).status_code == 422


@pytest.mark.parametrize("wanted", ["bytes={}-", "bytes=0-{}", "bytes=-{}"])
def test_a_range_without_bounds_is_ignored(api: httpx.Client, save: Callable[..., str], wanted: str) -> None:
    answer = api.get(f"/v1/assets/{save()}/content", headers={"range": wanted.format("9" * 5000)})
    assert answer.status_code == 200


def test_a_body_that_is_too_large_is_no_bug(api: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    for body in (b"[" * (2 << 20), iter([b"[" * (1 << 20)] * 2)):  # with its length told, and without
        answer = api.post("/v1/runs", content=body, headers=JSON)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert "a bug" not in caplog.text
    assert 'status="413"' in api.get("/metrics").text
