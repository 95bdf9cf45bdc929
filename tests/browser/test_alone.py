"""The page of an API that stands alone: it asks for a key, and says that nobody is there to work."""

from __future__ import annotations

import time

from playwright.sync_api import Browser, expect

from orchestrator.api.context import Context
from store import keys
from tests.orchestrator.api.conftest import context, url  # noqa: F401  # fixtures


def test_the_page_asks_for_a_key_and_forgets_it(browser: Browser, context: Context, url: str) -> None:  # noqa: F811
    given = {"name": "test", "owner": "ada", "scopes": ("read", "make"), "now": time.time()}
    _, secret = context.database.transact(lambda c: keys.create(c, **given))  # type: ignore[arg-type]
    visit = browser.new_context(base_url=url)
    page = visit.new_page()
    page.goto("/")

    page.get_by_label("Your key").fill("sk-wrong")
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("alert")).to_contain_text("key")
    page.get_by_label("Your key").fill(secret)
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("heading", name="What shall we make?")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)

    page.reload()  # the key is kept as long as the tab is open
    expect(page.get_by_role("heading", name="What shall we make?")).to_be_visible()
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_label("Your key")).to_be_visible()
    visit.close()


def test_a_request_that_nobody_works_on_says_so(browser: Browser, url: str) -> None:  # noqa: F811
    visit = browser.new_context(base_url=url)
    page = visit.new_page()
    page.goto("/")
    page.get_by_label("Say what you want").fill("a cat")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article").get_by_text("This waits: ")).to_contain_text("planner")
    visit.close()
