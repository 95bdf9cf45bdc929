"""The examples of the README and of docs/clients.md, run as they stand there against a running studio."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mcp import Client, StdioServerParameters

from tests.orchestrator.conftest import ATELIER, House

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = re.compile(r"(127\.0\.0\.1|localhost):8484")
BIRDS = {"steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "blue bird", "count": 2}}]}
SCRIPT = [
    {"match": "birds", "reply": BIRDS},
    {"match": "poem", "reply": {"steps": [{"id": "s1", "tool": "write_text", "args": {"prompt": "four lines"}}]}},
    {"match": ".*", "reply": "Roses are red."},
]
TIME_S = 150
PNG = b"\x89PNG\r\n\x1a\n"


def fences(document: str, language: str, having: str = "8484") -> list[str]:
    """Give the examples of a document in a language that speak to a studio."""
    found = FENCE.findall((ROOT / document).read_text())
    return [body for name, body in found if name == language and having in body]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a studio with the trained nets and a scripted language model."""
    house = House(tmp_path_factory.mktemp("examples"))
    (house.folder / "script.json").write_text(json.dumps(SCRIPT))
    process = house.up()
    yield house
    process.terminate()
    process.wait(20)


def here(example: str, house: House) -> str:
    """Give an example with the address of the running studio in it."""
    assert house.url is not None
    return ADDRESS.sub(house.url.removeprefix("http://"), example)


def run(command: list[str], house: House, folder: Path) -> str:
    """Run an example in a folder and give what it printed."""
    proxies = {name for name in os.environ if name.lower().endswith("_proxy")}
    environment = {name: value for name, value in os.environ.items() if name not in proxies}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=TIME_S
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{house.told()}"
    return done.stdout


def shell(example: str, house: House, folder: Path) -> str:
    """Run lines of a shell; a curl that gets an error ends them."""
    strict = 'set -eu\ncurl() { command curl --fail-with-body -S --max-time 120 "$@"; }\n'
    return run(["bash", "-c", strict + here(example, house)], house, folder)


def test_curl_makes_follows_and_fetches(running: House, tmp_path: Path) -> None:
    (example,) = fences("docs/clients.md", "sh")
    said = shell(example, running, tmp_path)
    assert "event: run.completed" in said
    assert '"status":"completed"' in said
    assert (tmp_path / "bird.png").read_bytes().startswith(PNG)


def test_the_lines_of_the_readme_answer(running: House, tmp_path: Path) -> None:
    assert running.url is not None
    with httpx.Client(base_url=running.url, trust_env=False, timeout=TIME_S) as api:
        run_id = api.post("/v1/runs", json={"say": "two blue birds"}).json()["id"]
        assert "run.completed" in api.get(f"/v1/runs/{run_id}/events").text
        asset_id = api.get(f"/v1/runs/{run_id}").json()["assets"][0]
        (tmp_path / "dog.png").write_bytes(api.get(f"/v1/assets/{asset_id}/content").content)
    (tmp_path / "lines.jsonl").write_text('{"say": "a poem"}\n')
    (tmp_path / "drop").mkdir()
    looked = 0
    for example in fences("README.md", "sh"):
        if "curl" in example:
            said = shell(example.replace("run_01K…", run_id).replace("asset_01K…", asset_id), running, tmp_path)
            assert '"status":"pending"' in said
            looked += 1
    assert looked
    assert (tmp_path / "bird.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("place", range(len(fences("docs/clients.md", "python"))))
def test_python_examples_end_well(running: House, tmp_path: Path, place: int) -> None:
    example = here(fences("docs/clients.md", "python")[place], running)
    (tmp_path / "example.py").write_text(example)
    said = run([sys.executable, "example.py"], running, tmp_path)
    for name in re.findall(r'Path\("(\w+\.png)"\)', example):
        assert (tmp_path / name).read_bytes().startswith(PNG)
    if "chat.completions" in example:
        assert said.count("Roses are red.") >= 2
    if "mcp" in example:
        assert "100 %" in said


def test_the_file_for_desktop_programs_starts_a_server(running: House) -> None:
    (example,) = fences("docs/clients.md", "json")
    given = json.loads(here(example, running))["mcpServers"]["atelier"]
    environment = running.environment | given["env"] | {"PATH": f"{ATELIER.parent}:{os.environ['PATH']}"}
    command = StdioServerParameters(command=given["command"], args=given["args"], env=environment)

    async def names() -> set[str]:
        async with Client(command) as studio:
            return {tool.name for tool in (await studio.list_tools()).tools}

    assert {"make", "generate_image"} < asyncio.run(names())
