"""Acme's own servers, met with the official MCP client and a plain HTTP client."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from PIL import Image

ACME = Path(__file__).parents[2] / "examples" / "acme"
STDIO = StdioServerParameters(command=sys.executable, args=["brand_server.py"], cwd=ACME, env={})
TOKEN = "tents"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def serving(script: str, *words: str, **environment: str) -> Iterator[None]:
    """Run one of Acme's servers; `words` ends with its port."""
    process = subprocess.Popen([sys.executable, script, *words], cwd=ACME, env={**os.environ, **environment})
    deadline = time.monotonic() + 20
    try:
        while True:
            assert process.poll() is None
            assert time.monotonic() < deadline
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", int(words[-1]))) == 0:
                    break
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(20)


def ask(server: StdioServerParameters | str, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """Call tools one after the other; the first result is the list of tools."""

    async def carry_out() -> list[Any]:
        async with Client(server) as client:
            listed = (await client.list_tools()).tools
            return [listed, *[await client.call_tool(name, args) for name, args in calls]]

    return asyncio.run(carry_out())


@pytest.fixture(scope="module")
def brand() -> list[Any]:
    """Give the tools of the brand server, and its answers, over stdio and with an empty environment."""
    return ask(
        STDIO,
        ("palette", {"theme": "winter"}),
        ("check_colours", {"colours": ["#1E4C40", "#ff0000", "#fff"]}),
        ("logo", {"variant": "wide", "size_px": 200}),
        ("check_colours", {"colours": ["reddish"]}),
        ("logo", {"variant": "wide", "size_px": 40}),
        ("logo_rules", {}),
    )


def test_every_brand_tool_only_reads_and_shows_how_it_is_asked(brand: list[Any]) -> None:
    assert {tool.name for tool in brand[0]} == {"palette", "check_colours", "logo_rules", "logo"}
    for tool in brand[0]:
        assert tool.annotations.read_only_hint
        example = tool.meta["atelier/examples"][0]
        assert set(example["args"]) <= set(tool.input_schema["properties"])


def test_the_palette_of_a_season_has_its_colours(brand: list[Any]) -> None:
    text = brand[1].content[0].text
    assert "deep pine, #1F4D3F" in text
    assert "frost" in text
    assert "lichen" not in text


def test_colours_are_judged_by_eye_and_by_contrast(brand: list[Any]) -> None:
    pine, red, white = (json.loads(part.text) for part in brand[2].content)
    assert pine["fits"]
    assert pine["nearest"] == "deep pine"
    assert pine["readable"]
    assert not red["fits"]
    assert red["use"] == "#F26B21"
    assert white["nearest"] == "paper"
    assert not white["readable"]


def test_the_logo_is_a_picture_of_the_asked_width(brand: list[Any]) -> None:
    part = brand[3].content[0]
    assert part.mime_type == "image/png"
    with Image.open(io.BytesIO(base64.b64decode(part.data))) as logo:
        assert logo.width == 200
        assert len(logo.getcolors(100_000) or []) > 10


def test_what_cannot_be_done_is_said(brand: list[Any]) -> None:
    assert [answer.is_error for answer in brand[4:6]] == [True, True]
    assert "'reddish' is no hex colour" in brand[4].content[0].text
    assert "96 pixels" in brand[5].content[0].text


def test_contrast_is_that_of_wcag() -> None:
    code = "import palette as p; print(p.contrast((0, 0, 0), (255,) * 3), p.contrast((119,) * 3, (255,) * 3))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ACME, capture_output=True, text=True, check=True).stdout
    extreme, grey = map(float, said.split())
    assert extreme == pytest.approx(21)
    assert grey == pytest.approx(4.48, abs=0.01)  # #777777 on white just misses 4.5


def test_the_brand_server_speaks_http_too() -> None:
    port = free_port()
    with serving("brand_server.py", "--http", str(port)):
        assert "free space" in ask(f"http://127.0.0.1:{port}/mcp", ("logo_rules", {}))[1].content[0].text


@pytest.fixture(scope="module")
def products() -> Iterator[httpx.Client]:
    """Give a client of the running product service, with its token."""
    port = free_port()
    with serving("product_service.py", "--port", str(port), ACME_TOKEN=TOKEN):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
            yield client


def test_the_document_names_the_operations_with_examples(products: httpx.Client) -> None:
    document = products.get("/openapi.json", headers={"Authorization": ""}).raise_for_status().json()
    operations = {o["operationId"]: o for path in document["paths"].values() for o in path.values()}
    assert set(operations) == {"find_products", "get_product", "reserve_product"}
    assert all(operation["x-atelier-examples"] for operation in operations.values())
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


def test_the_blue_backpack_is_found(products: httpx.Client) -> None:
    found = products.get("/products", params={"query": "blue backpacks", "limit": 2}).json()["products"]
    assert [product["sku"] for product in found] == ["AC-101", "AC-102"]
    assert products.get("/products/AC-101").json() == found[0]
    assert products.get("/products", params={"query": "saxophone"}).json() == {"products": []}


def test_reserving_counts_down_and_ends(products: httpx.Client) -> None:
    path = "/products/AC-801/reservations"
    assert products.post(path, json={"quantity": 4}).json() == {"sku": "AC-801", "quantity": 4, "left": 1}
    refused = products.post(path, json={"quantity": 2})
    assert refused.status_code == 409
    assert "only 1" in refused.json()["detail"]


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic dGVudHM="])
def test_without_the_token_nothing_is_said(products: httpx.Client, header: str) -> None:
    assert products.get("/products/AC-101", headers={"Authorization": header}).status_code == 401


def test_the_service_does_not_start_without_a_token() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ACME_TOKEN"}
    done = subprocess.run(
        [sys.executable, "product_service.py"], cwd=ACME, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ACME_TOKEN" in done.stderr
