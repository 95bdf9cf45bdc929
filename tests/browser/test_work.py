"""Batches, the queue, models and tools: what is at work, and what there is to work with."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.browser.conftest import WAIT_MS
from tests.orchestrator.conftest import House

Shot = Callable[[str], None]
SHEET = b"tool,prompt,count,size\ngenerate_image,happy cat,2,64\ngenerate_image,dog,many,64\nfly,moon,,\n"
DROP = """([name, content]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name));
  for (const type of ["dragover", "drop"])
    document.querySelector(".drop").dispatchEvent(
      new DragEvent(type, {dataTransfer: carried, bubbles: true, cancelable: true}));
}"""
RENDERED = """async (text) => {
  const { html, render } = await import("/web/ui.js");
  const { Markdown } = await import("/web/views/models/markdown.js");
  const place = document.createElement("div");
  document.body.append(place);
  render(html`<${Markdown} text=${text} />`, place);
  return place.innerHTML;
}"""


def upload(page: Page, name: str, content: bytes) -> None:
    """Choose a file on the page of batches."""
    page.goto("/#/batches")
    file: FilePayload = {"name": name, "mimeType": "text/plain", "buffer": content}
    page.get_by_label("A file of requests").set_input_files(file)


def ended(page: Page, status: str = "completed") -> None:
    expect(page.locator("header .status").last).to_have_text(status, timeout=WAIT_MS)


@pytest.fixture
def api(studio: House) -> Iterator[httpx.Client]:
    assert studio.url is not None
    with httpx.Client(base_url=studio.url, timeout=30, trust_env=False) as client:
        yield client


def test_a_sheet_becomes_a_batch_whose_lines_tell_what_became_of_them(page: Page, shot: Shot) -> None:
    upload(page, "calls.csv", SHEET)
    lines = page.get_by_role("list", name="Lines").locator("> li")
    expect(lines).to_have_count(3, timeout=WAIT_MS)
    expect(lines.nth(1)).to_contain_text("count")
    expect(lines.nth(2)).to_contain_text("there is no tool 'fly'")
    ended(page)
    expect(lines.nth(0).get_by_role("link")).to_have_count(2)
    expect(lines.nth(0).locator("img").first).to_be_visible()
    expect(page.get_by_label("Progress")).to_contain_text("1 done, 2 not understood")
    shot("batch")

    page.get_by_role("button", name="With trouble 2").click()
    expect(lines).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download errors").click()
    told = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert [(row["line"], row["status"]) for row in told] == [(3, "bad_line"), (4, "bad_line")]
    with page.expect_download() as download:
        page.get_by_role("button", name="Download results").click()
    assert [json.loads(line)["line"] for line in download.value.path().read_text().splitlines()] == [2, 3, 4]
    page.get_by_role("button", name="All 3").click()
    lines.nth(0).get_by_role("link").first.click()
    expect(page).to_have_url(re.compile("#/asset/asset_"))


def test_a_dropped_sheet_that_makes_no_sense_says_where(page: Page) -> None:
    page.goto("/#/batches")
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    page.evaluate(DROP, ["prices.csv", base64.b64encode(b"name,price\ncat,1\n").decode()])
    expect(page.get_by_role("alert")).to_contain_text("line 1 must name a column `say`")
    page.evaluate(DROP, ["words.csv", base64.b64encode(b"say\ntell me something\n").decode()])
    expect(page).to_have_url(re.compile("#/batches/batch_"))
    ended(page)


@pytest.mark.parametrize("name", ["words.csv", "pictures.csv", "mixed.jsonl"])
def test_every_example_is_understood(page: Page, name: str) -> None:
    page.goto("/#/batches")
    page.get_by_text("Examples to start from").first.click()
    page.get_by_role("button", name=f"Run {name}").click()
    ended(page)
    expect(page.get_by_role("button", name="With trouble 0")).to_be_visible()
    expect(page.get_by_role("list", name="Lines").locator("> li").first).to_contain_text("completed")


def test_a_batch_is_stopped_and_goes_on_where_it_was(page: Page) -> None:
    upload(page, "slow.csv", b"say\n" + b"a slow cat\n" * 6)
    page.get_by_role("button", name="Stop the batch").click()
    ended(page, "cancelled")
    page.get_by_role("button", name="Go on with it").click()
    expect(page.get_by_role("button", name="Stop the batch")).to_be_visible()
    page.get_by_role("button", name="Stop the batch").click()
    ended(page, "cancelled")
    page.get_by_role("link", name="All batches").click()
    expect(page.get_by_role("list", name="Batches").locator("> li").first).to_contain_text("cancelled")


def test_the_queue_is_the_same_from_every_browser_and_one_can_stop_ones_own(
    page: Page, browser: Browser, studio: House, api: httpx.Client, shot: Shot
) -> None:
    words = [f"a slow cat, number {number}" for number in range(12)]
    runs = [api.post("/v1/runs", json={"say": said}).json()["id"] for said in words]
    page.goto("/#/queue")
    shown = page.locator(".entries > li").filter(has_text="a slow cat, number")
    expect(shown.filter(has_text="for you").first).to_be_visible()
    expect(page.get_by_role("table")).to_contain_text("planner")
    shot("queue")

    other = browser.new_context(base_url=studio.url)
    elsewhere = other.new_page()
    elsewhere.goto("/#/queue")
    elsewhere.reload()
    last = elsewhere.get_by_role("button", name=f"Stop “{words[-1]}”")
    last.click(timeout=WAIT_MS)
    expect(elsewhere.get_by_role("status").filter(has_text=f"Stopped: {words[-1]}")).to_be_visible()
    other.close()
    expect(page.get_by_role("button", name=f"Stop “{words[-1]}”")).to_have_count(0, timeout=WAIT_MS)
    for run in runs:
        api.post(f"/v1/runs/{run}/cancel")
    expect(shown).to_have_count(0, timeout=WAIT_MS)


def test_a_queue_that_nobody_looks_at_is_not_asked_for(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/queue" in request.url else None)
    page.goto("/#/queue")
    with page.expect_request("**/v1/queue*"):  # again by itself
        expect(page.get_by_role("heading", level=1)).to_have_text("Queue")
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.wait_for_timeout(300)  # what was on its way
    before = len(asked)
    page.wait_for_timeout(4500)  # more than two turns
    assert len(asked) == before
    with page.expect_request("**/v1/queue*"):
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")


def test_an_example_of_a_tool_opens_the_chat_with_its_words(page: Page, shot: Shot) -> None:
    page.goto("/#/models")
    expect(page.get_by_role("list").filter(has_text="generate_image").first).to_be_visible()
    expect(page.get_by_role("heading", name="cgan image")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("^planner"))).to_be_visible()  # a worker
    shot("models")
    page.get_by_role("list", name="Try generate_image").get_by_role("link").first.click()
    expect(page.get_by_label("Say what you want")).to_have_value("three happy cat stickers")
    expect(page.get_by_label("Say what you want")).to_be_focused()


def test_a_card_is_read_in_the_page(page: Page, shot: Shot) -> None:
    page.goto("/#/models")
    page.get_by_role("link", name="Its card (cgan)").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Conditional GAN of emoji")
    expect(page.get_by_role("columnheader", name="measure")).to_be_visible()
    expect(page.get_by_role("rowheader", name="trained by")).to_be_visible()
    expect(page.locator(".prose code").first).to_be_visible()
    shot("card")
    page.goto("/#/models/nothing")
    expect(page.get_by_role("alert")).to_contain_text("there is no model 'nothing'")


def test_nothing_that_a_card_says_can_run(page: Page) -> None:
    page.goto("/#/models")
    made = page.evaluate(
        RENDERED,
        "# <img src=x onerror=alert(1)>\n\n[go](javascript:alert(1)) [web](https://example.com/a)\n\n"
        "- **bold** <script>alert(1)</script>\n  and `code`\n\n| a | b |\n|---|---|\n| *c* | d |\n\n"
        "```\n<b>x</b>\n```\n",
    )
    assert "<img" not in made
    assert "<script" not in made
    assert "javascript:" not in made
    assert "<b>" not in made
    assert 'href="https://example.com/a"' in made
    assert "<li><strong>bold</strong>" in made.replace("<!---->", "")
    assert "<em>c</em>" in made
