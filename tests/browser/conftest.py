"""A running studio and a browser that looks at it, with Debian's Chromium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.conftest import missing
from tests.orchestrator.conftest import House

SHOTS = Path(__file__).parents[1] / "e2e/shots"
WIDE: ViewportSize = {"width": 1280, "height": 800}
WAIT_MS = 60_000
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CATS = {"id": "s1", "tool": "generate_image", "args": {"prompt": "happy cat", "count": 2, "size": 64}}
MORPH = {"id": "s2", "tool": "make_video", "args": {"images": ["$s1"], "seconds": 1, "fps": 8}}
LIMERICK = {"id": "s1", "tool": "write_text", "args": {"prompt": "a funny verse"}}
ODE = {"id": "s2", "tool": "write_text", "args": {"prompt": "an endless ode"}}
MENU = {"steps": [], "reply": "I draw pictures, make videos from them and write short texts."}
SCRIPT = [
    {"match": "endless ode", "reply": "O.", "delay_s": 12},
    {"match": "cats and an ode", "reply": {"steps": [CATS, ODE], "reply": "Cats and an ode."}},
    {"match": "slow", "reply": {"steps": [CATS], "reply": "Two cats, later."}, "delay_s": 3},
    {"match": "video", "reply": {"steps": [CATS, MORPH], "reply": "Two cats and a morph."}},
    {"match": "poem", "reply": {"steps": [{"id": "s1", "tool": "write_text", "args": {"prompt": "four lines"}}]}},
    {"match": "four lines", "reply": "Roses are red, violets are blue."},
    {"match": "limerick", "reply": {"steps": [LIMERICK]}},
    {"match": "funny verse", "fail": "it is having tea", "times": 3},  # as often as a step is tried
    {"match": "funny verse", "reply": "There once was a fox."},
    {"match": "cat", "reply": {"steps": [CATS], "reply": "Two happy cats."}},
    {"match": ".*", "reply": MENU},
]


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a running studio; what is said to its language model is answered by the script above."""
    house = House(tmp_path_factory.mktemp("studio"))
    (house.folder / "script.json").write_text(json.dumps(SCRIPT))
    process = house.up()
    yield house
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a browser; of a module, because tests after it may want an event loop in this thread."""
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("no chromium: apt install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(studio: House, browser: Browser) -> Iterator[Page]:
    """Give a page of the studio in a new context; a script that fails or asks another origin fails the test."""
    faults: list[str] = []
    context = browser.new_context(viewport=WIDE, base_url=studio.url, accept_downloads=True)
    context.set_default_timeout(WAIT_MS)
    watch(context.new_page(), faults)
    yield context.pages[0]
    context.close()
    assert not faults, faults


def watch(page: Page, faults: list[str]) -> None:
    """Note what a page must never do: raise, break the content policy, or ask another origin."""
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    allowed = ("http://127.0.0.1:", "blob:", "data:")
    page.on("request", lambda asked: None if asked.url.startswith(allowed) else faults.append(asked.url))


@pytest.fixture
def shot(page: Page) -> Callable[[str], None]:
    """Save what the page shows under tests/e2e/shots, for people to look at."""

    def take(name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png")

    return take
