"""The Acme example as a newcomer runs it: one command, and what lies in the library afterwards."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from models.language import weights
from orchestrator import home
from orchestrator.settings import default_home
from tests.conftest import missing
from tests.orchestrator.conftest import House

pytestmark = pytest.mark.e2e
ACME = Path(__file__).parents[2] / "examples" / "acme"
MINUTES = "0.3"  # enough to see the look; a person gives it fifteen
SAND = (232, 213, 172)


def acme() -> Any:
    """Give `examples/acme/run.py` as a module."""
    spec = importlib.util.spec_from_file_location("acme_run", ACME / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not weights.planner_path(default_home()).exists():
        missing(f"the weights are not in {default_home()}: run `make install`")
    return tmp_path_factory.mktemp("acme")


@pytest.fixture(scope="module")
def said(folder: Path) -> str:
    """Give what the one command printed."""
    foreign = {name for name in os.environ if name.startswith("ATELIER_")}
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    done = subprocess.run(
        [sys.executable, "run.py", "--scripted", "--minutes", MINUTES, "--home", folder],
        cwd=ACME,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def studio(folder: Path, *, scripted: bool) -> Iterator[Any]:
    """Run a new studio on the data folder of the example."""
    run = acme()
    port = run.free_port()
    variables = run.environment(folder, port, "token", scripted=scripted)
    with run.product_service(port, "token"), run.running(folder, variables) as running:
        yield running


@pytest.fixture(scope="module")
def after(folder: Path, said: str) -> Iterator[Any]:
    """Give a studio on what the command left."""
    with studio(folder, scripted=True) as running:
        yield running


@pytest.fixture
def api(after: Any) -> Iterator[httpx.Client]:
    card = home.running(after.home)
    assert card is not None
    with httpx.Client(base_url=card.url, trust_env=False) as client:
        yield client


@pytest.fixture
def made(api: httpx.Client) -> dict[str, dict[str, Any]]:
    """Give the assets that the request made, by the tool that made them."""
    runs = [run for run in api.get("/v1/runs").json()["data"] if (run["request"] or "").startswith("write a product")]
    run = api.get(f"/v1/runs/{runs[-1]['id']}").json()  # the oldest, which was scripted
    return {step["tool"]: api.get(f"/v1/assets/{step['assets'][-1]}").json() for step in run["steps"] if step["assets"]}


def test_one_command_shows_the_plan_the_text_and_where_the_picture_is(said: str) -> None:
    tools = re.findall(r"^  s\d ([\w.]+)\(", said, re.MULTILINE)
    assert tools == ["consult", "products.find_products", "write_text", "generate_image"]
    assert "The Ridge 28 in blue is made for that kind of Saturday." in said
    (path,) = re.findall(r"^  image: (.+)$", said, re.MULTILINE)
    with Image.open(path) as picture:
        assert picture.size == (256, 256)


def test_the_reply_cites(said: str) -> None:
    reply = said.strip().splitlines()[-1]
    assert reply.startswith("Here is the product text")
    assert "Sources: " in reply
    assert "brand-voice.md" in reply
    assert "find_products" in reply


def test_everything_ends_with_the_command(folder: Path, said: str) -> None:
    assert home.running(folder) is None
    assert House(folder).processes() == {}


def test_the_local_model_plans_it_too(folder: Path, said: str) -> None:
    with studio(folder, scripted=False) as local:
        made = local.atelier("make", acme().REQUEST)
    steps = {step["tool"]: step["args"] for step in made["plan"]["steps"]}
    assert sorted(steps) == ["consult", "generate_image", "products.find_products", "write_text"]
    assert steps["products.find_products"]["query"] == "blue backpack"
    assert steps["write_text"]["about"][:2] == ["$s1", "$s2"]
    assert steps["generate_image"]["style"] == "acme"
    assert sorted(asset["kind"] for asset in made["assets"]) == ["image", "text", "text", "text"]
    assert "brand-voice.md" in made["reply"]


def test_the_text_knows_its_sources(made: dict[str, dict[str, Any]]) -> None:
    sources = {(source["solution"], source["document"]) for source in made["write_text"]["sources"]}
    assert ("house", "brand-voice.md") in sources
    assert ("products", "products.find_products") in sources


def test_the_service_was_asked(api: httpx.Client, made: dict[str, dict[str, Any]]) -> None:
    calls = api.get("/v1/solutions/products/calls").json()["data"]
    assert {(call["tool"], call["error"]) for call in calls} == {("find_products", None)}
    product = json.loads(api.get(made["products.find_products"]["content_url"]).text)["products"][0]
    assert (product["sku"], product["colours"][0]) == ("AC-101", "blue")


def test_the_picture_has_the_look_that_the_same_seed_lacks_without_it(
    after: Any, api: httpx.Client, made: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    recipe = made["generate_image"]["recipe"]["args"]
    assert recipe["style"] == "acme"
    plain = {name: value for name, value in recipe.items() if name != "style"}
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"steps": [{"id": "s1", "tool": "generate_image", "args": plain}], "reply": ""}))
    without = Path(after.atelier("run", str(plan))["assets"][0]["path"]).read_bytes()
    styled = api.get(made["generate_image"]["content_url"]).content
    assert badge(styled) < 40 < badge(without)


def badge(content: bytes) -> float:
    """Give how far the ground above the thing is from sand, 0 to 255."""
    with Image.open(io.BytesIO(content)) as picture:
        pixels = np.asarray(picture.convert("RGB"), float)
    return float(np.abs(pixels[20:32, 96:160] - SAND).mean())


def test_reserving_waits_for_a_person(api: httpx.Client) -> None:
    run_id = api.post("/v1/runs", json={"say": "reserve two of AC-101"}).json()["id"]
    deadline = time.monotonic() + 20
    while (status := api.get(f"/v1/runs/{run_id}").json()["status"]) in {"pending", "planning"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert status == "waiting_approval"
    tools = {call["tool"] for call in api.get("/v1/solutions/products/calls").json()["data"]}
    assert tools == {"find_products"}
