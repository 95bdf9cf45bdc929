"""Downloads from S3: through the API, or by a link that the store signed; the bytes are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.api.context import Context
from orchestrator.cli.client import Client
from orchestrator.settings import Settings
from store.blobs import Blobs
from store.database import Database
from tests.conftest import S3Server
from tests.orchestrator.api.conftest import Post

Save = Callable[..., str]
KEY = "a-key-that-only-the-studio-may-see"


@pytest.fixture(params=[0, 60])
def signed_s(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def context(sqlite_url: str, s3_url: str, tmp_path: Path, signed_s: int) -> Context:
    settings = Settings(home=tmp_path, encoder="hash", signed_links_s=signed_s)
    return Context(settings, Database(sqlite_url), Blobs(s3_url), Post(), None)  # type: ignore[arg-type]


def test_a_download_is_the_same_either_way(
    url: str, save: Save, tmp_path: Path, s3_server: S3Server, signed_s: int
) -> None:
    content = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3000
    asset, client = save(content), Client(url, KEY)
    s3_server.headers.clear()
    assert client.download(f"/v1/assets/{asset}/content", tmp_path / "a.png").read_bytes() == content
    client.close()
    assert not any(KEY in value for headers in s3_server.headers for value in headers.values())


@pytest.mark.parametrize("signed_s", [0], indirect=True)
def test_a_range_reads_no_more_than_it_needs(api: httpx.Client, save: Save, s3_server: S3Server) -> None:
    asset = save(b"\x89PNG" + bytes(1_000_000))
    s3_server.headers.clear()
    part = api.get(f"/v1/assets/{asset}/content", headers={"range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    assert [headers.get("HTTP_RANGE") for headers in s3_server.headers] == ["bytes=1-3"]


@pytest.mark.parametrize("signed_s", [60], indirect=True)
class TestSigned:
    def test_it_says_type_and_place_as_we_would(self, api: httpx.Client, save: Save) -> None:
        for media_type, shown in (("image/png", "inline"), ("text/plain", "attachment")):
            asset = save(b"some bytes", media_type=media_type)
            sent_on = api.get(f"/v1/assets/{asset}/content")
            assert sent_on.status_code == 307
            assert sent_on.headers["cache-control"] == "no-store"
            given = httpx.get(sent_on.headers["location"], headers={"range": "bytes=5-"}, trust_env=False)
            assert given.content == b"bytes"
            assert given.headers["content-type"].startswith(media_type)
            assert given.headers["content-disposition"].startswith(f'{shown}; filename="{asset}.')

    def test_what_a_client_has_is_not_sent_and_a_look_at_the_head_needs_no_link(
        self, api: httpx.Client, save: Save
    ) -> None:
        path = f"/v1/assets/{save(b'some bytes')}/content"
        head = api.head(path)
        assert (head.status_code, head.headers["content-length"]) == (200, "10")
        assert api.get(path, headers={"if-none-match": head.headers["etag"]}).status_code == 304

    def test_others_get_no_link(self, api: httpx.Client, save: Save) -> None:
        refused = api.get(f"/v1/assets/{save(owner='somebody else')}/content")
        assert refused.status_code == 404
        assert "location" not in refused.headers


def test_a_store_that_is_away_is_said_and_what_was_sent_is_not_accepted(
    api: httpx.Client, save: Save, s3_server: S3Server
) -> None:
    s3_server.fault = lambda _: (403, "AccessDenied")
    answer: Any = api.post(
        "/v1/assets", content=b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x02\0\0\0"
    )
    assert answer.status_code == 503
    assert "AWS_ACCESS_KEY_ID" in answer.json()["error"]["message"]
