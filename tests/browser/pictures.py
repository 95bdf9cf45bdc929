"""Takes the pictures of the page in docs/pictures: `python -m tests.browser.pictures`.

They are of a studio as it comes, with its own planner, its own networks and its own text embeddings.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from orchestrator.settings import read_settings
from tests.browser.conftest import FLAGS, WIDE
from tests.orchestrator.conftest import House

FOLDER = Path(__file__).parents[2] / "docs/pictures"
WAIT_MS = 240_000
REQUESTS = (
    "a red car",
    "two green turtles",
    "four sleepy foxes",
    "three rockets in fluent style",
    "three happy cat stickers, and a 3 second video that morphs between them",
)


def take(page: Page, name: str) -> None:
    """Save what the page shows, when its pictures are there and nothing moves."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    page.screenshot(path=FOLDER / f"page-{name}.png")


def say(page: Page, words: str) -> None:
    """Say something in a conversation of its own and wait for what comes of it."""
    page.goto("/#/chat")
    page.get_by_label("Say what you want").fill(words)
    page.keyboard.press("Enter")
    turn = page.get_by_role("article").last
    expect(turn.locator(".said")).to_contain_text(words)
    expect(turn.locator(".reply")).to_be_visible(timeout=WAIT_MS)


def shoot(browser: Browser, url: str) -> None:
    """Use the studio, and look at it by day and by night."""
    day = browser.new_page(viewport=WIDE, base_url=url, color_scheme="light")
    day.set_default_timeout(WAIT_MS)
    for words in REQUESTS:
        say(day, words)
    take(day, "chat")
    day.goto("/#/library?q=happy+animal")
    expect(day.locator(".tile").first).to_be_visible()
    take(day, "library")
    day.close()
    night = browser.new_page(viewport=WIDE, base_url=url, color_scheme="dark")
    night.goto("/#/library?kind=video")
    night.locator(".tile a").first.click()
    expect(night.locator(".facts")).to_be_visible()
    take(night, "asset")
    night.close()


def main() -> None:
    """Start a studio, use it, and take the pictures."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        house = House(Path(folder), ATELIER_LLM="local")
        (house.folder / "weights").symlink_to(read_settings().home / "weights")  # which `make install` brought
        del house.environment["ATELIER_ENCODER"]
        studio = house.up()
        try:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            assert house.url is not None
            shoot(browser, house.url)
            browser.close()
        finally:
            studio.terminate()
            studio.wait(20)


if __name__ == "__main__":
    main()
