"""What a page of somebody else cannot do, and what the API process does not carry."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest


def test_a_name_that_points_here_is_not_enough(api: httpx.Client) -> None:
    answer = api.get("/v1/runs", headers={"Host": "studio.example.com"})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "forbidden"


@pytest.mark.parametrize("origin", ["https://example.com", "null", "http://127.0.0.1:1"])
def test_a_script_of_another_page_is_refused(api: httpx.Client, origin: str) -> None:
    assert api.post("/v1/runs", json={"say": "a cat"}, headers={"Origin": origin}).status_code == 403
    assert api.get("/v1/runs").json()["data"] == []


def test_a_form_of_another_site_is_refused(api: httpx.Client) -> None:
    assert api.post("/v1/batches", content=b"{}", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_a_picture_in_a_page_of_another_site_is_refused_and_a_link_is_followed(api: httpx.Client) -> None:
    site = {"Sec-Fetch-Site": "cross-site"}
    assert api.get("/v1/tools", headers=site | {"Sec-Fetch-Mode": "no-cors"}).status_code == 403
    assert api.get("/v1/tools", headers=site | {"Sec-Fetch-Mode": "navigate"}).status_code == 200
    assert api.post("/v1/threads", headers=site | {"Sec-Fetch-Mode": "navigate"}).status_code == 403


def test_our_own_page_is_served(api: httpx.Client, url: str) -> None:
    assert api.get("/v1/runs", headers={"Origin": url}).status_code == 200


def test_an_error_of_ours_is_told_in_the_envelope_and_not_in_detail(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("store.views.list_", broken)
    answer = api.get("/v1/runs")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["error"]["type"] == "server_error"


def test_the_api_process_carries_no_torch() -> None:
    code = (
        "import sys, tempfile, pathlib\n"
        "from orchestrator.api.app import create_app, open_context\n"
        "from orchestrator.settings import Settings\n"
        "home = pathlib.Path(tempfile.mkdtemp())\n"
        "settings = Settings(home=home, broker_url='redis+socket:///nowhere?virtual_host=0', chroma_host='127.0.0.1')\n"
        "app = create_app(open_context(settings)); app.openapi()\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'langchain_core', 'langgraph', 'xllamacpp', 'av'}\n"
        "heavy.add('mcp')  # until somebody speaks it\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.strip() == "[]"


def test_an_origin_that_is_no_address_is_refused(api: httpx.Client) -> None:
    assert api.get("/v1/runs", headers={"Origin": "http://["}).status_code == 403


def test_an_address_that_ends_in_a_slash_is_sent_nowhere(api: httpx.Client) -> None:
    answer = api.get("/v1/runs/")
    assert answer.status_code == 404
    assert "location" not in answer.headers
