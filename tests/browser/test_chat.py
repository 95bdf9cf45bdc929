"""The chat: what a person says, and what comes of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from tests.browser.conftest import WAIT_MS
from tests.orchestrator.conftest import House

Shot = Callable[[str], None]
DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
TUNE = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x04\0\xff\x2f\0"
DROP = """([name, type, content, dropped]) => {
  const carried = new DataTransfer();
  if (type === "asset") carried.setData("application/x-atelier-asset", content);
  else carried.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, {type}));
  const chat = document.querySelector(".chat");
  for (const event of dropped ? ["dragover", "drop"] : ["dragover"])
    chat.dispatchEvent(new DragEvent(event, {dataTransfer: carried, bubbles: true, cancelable: true}));
}"""


def say(page: Page, words: str) -> Locator:
    """Say something and give the turn that it begins."""
    page.get_by_label("Say what you want").fill(words)
    page.keyboard.press("Enter")
    turn = page.get_by_role("article").last
    expect(turn.locator(".said")).to_contain_text(words)
    return turn


def pictures(turn: Locator) -> Locator:
    return turn.get_by_role("list", name="What was made").locator("img")


def test_a_newcomer_sees_what_to_say_and_an_example_makes_pictures(page: Page, shot: Shot) -> None:
    page.goto("/")
    examples = page.locator(".examples").get_by_role("button")
    expect(examples).to_have_count(4)
    shot("chat-first")
    examples.first.click()
    expect(pictures(page.get_by_role("article"))).to_have_count(2, timeout=WAIT_MS)


def test_words_become_a_plan_pictures_and_a_video(page: Page, shot: Shot) -> None:
    page.goto("/")
    turn = say(page, "two cats and a video")

    plan = turn.get_by_role("list", name="Plan")
    expect(plan.get_by_role("listitem")).to_have_count(2)
    expect(plan.get_by_role("button", name=re.compile("Make a video.*after s1"))).to_be_visible()
    expect(turn.locator(".reply")).to_have_text("Two cats and a morph.", timeout=WAIT_MS)
    expect(plan.get_by_role("button", name=re.compile("done"))).to_have_count(2)
    expect(pictures(turn)).to_have_count(3)
    shown = "all => all.every(one => one.complete && one.naturalWidth > 0)"
    page.wait_for_function(f"({shown})([...document.querySelectorAll('.made img')])")
    shot("chat")
    turn.get_by_role("link", name="Open happy cat (image)").first.click()
    expect(page).to_have_url(re.compile("#/asset/asset_"))


def test_what_was_said_is_there_after_a_reload_and_from_the_list(page: Page) -> None:
    page.goto("/")
    expect(say(page, "what can you do in spring").locator(".reply")).to_contain_text("I draw pictures")
    page.get_by_role("link", name="New conversation").click()
    expect(page.get_by_role("article")).to_have_count(0)
    say(page, "what can you do in autumn")

    page.reload()
    expect(page.locator(".said")).to_have_text("what can you do in autumn")
    page.get_by_role("navigation", name="Conversations").get_by_text("in spring").first.click()
    expect(page.locator(".said")).to_have_text("what can you do in spring")
    expect(page.locator(".reply")).to_contain_text("I draw pictures")


def test_a_line_break_is_no_sending_and_two_enters_send_once(page: Page) -> None:
    page.goto("/")
    field = page.get_by_label("Say what you want")
    field.fill("hello")
    field.press("Shift+Enter")
    field.type("there")
    assert field.input_value() == "hello\nthere"
    page.evaluate(
        """() => { const field = document.getElementById("say");
        for (const _ of [1, 2]) field.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true})); }"""
    )
    expect(page.locator(".reply")).to_have_count(1)
    page.reload()
    expect(page.locator(".said")).to_have_count(1)


def test_a_plan_is_looked_at_changed_checked_and_run(page: Page, shot: Shot) -> None:
    page.goto("/")
    page.get_by_label("Show me the plan before it runs").check()
    turn = say(page, "two cats")
    expect(turn.get_by_text("Nothing runs before you say so")).to_be_visible()
    shot("chat-approval")

    turn.get_by_role("button", name="Change it").click()
    turn.get_by_label("count").fill("99")
    turn.get_by_role("button", name="Run the changed plan").click()
    expect(turn.get_by_role("alert")).to_contain_text("s1, count")
    shot("chat-edit")
    turn.get_by_label("count").fill("3")
    turn.get_by_role("button", name="Edit as JSON").click()
    expect(turn.get_by_label("Plan as JSON")).to_have_value(re.compile('"count": 3'))
    turn.get_by_role("button", name="Run the changed plan").click()

    expect(pictures(turn)).to_have_count(3, timeout=WAIT_MS)
    page.reload()
    expect(page.get_by_label("Show me the plan before it runs")).to_be_checked()


def test_a_plan_can_be_dropped(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Show me the plan before it runs").check()
    turn = say(page, "two cats")
    turn.get_by_role("button", name="Drop it").click()
    expect(turn.get_by_text("You stopped this")).to_be_visible()
    expect(pictures(turn)).to_have_count(0)


def test_a_run_is_stopped(page: Page) -> None:
    page.goto("/")
    turn = say(page, "slow cats")
    turn.get_by_role("button", name="Stop").click()
    expect(turn.get_by_text("You stopped this")).to_be_visible(timeout=WAIT_MS)


def test_one_step_is_stopped_and_the_rest_is_there(page: Page) -> None:
    page.goto("/")
    turn = say(page, "two cats and an ode")
    turn.get_by_role("button", name=re.compile("Write")).click()
    page.get_by_role("button", name="Stop this step").click()
    expect(turn.get_by_role("button", name=re.compile("Write.*stopped"))).to_be_visible()
    expect(turn.locator(".reply")).to_contain_text("You stopped this", timeout=WAIT_MS)
    expect(pictures(turn)).to_have_count(2)


def test_a_run_goes_on_before_the_eyes_of_a_page_that_was_reloaded(page: Page) -> None:
    page.goto("/")
    say(page, "slow cats")
    page.wait_for_url(re.compile("thread_"))
    page.reload()
    turn = page.get_by_role("article")
    expect(turn.get_by_role("button", name="Stop")).to_be_visible()
    expect(turn.locator(".reply")).to_have_text("Two cats, later.", timeout=WAIT_MS)
    expect(pictures(turn)).to_have_count(2)


def test_files_are_dropped_and_picked_and_a_picture_is_referred_to(page: Page) -> None:
    page.goto("/")
    page.get_by_text("What shall we make?").wait_for()
    attached = page.get_by_role("list", name="Attached").get_by_role("listitem")
    page.evaluate(DROP, ["dot.png", "image/png", base64.b64encode(DOT).decode(), True])
    expect(attached).to_have_text(re.compile("dot.png"))
    tune = FilePayload(name="tune.mid", mimeType="audio/midi", buffer=TUNE)
    odd = FilePayload(name="odd.bin", mimeType="audio/midi", buffer=b"\x7fELF\0")
    page.get_by_label("Files to add").set_input_files([tune, odd])
    expect(attached.nth(1)).to_contain_text("tune.mid")
    expect(attached.nth(2)).to_contain_text("odd.bin: the upload is no PNG")
    page.get_by_role("button", name="Take away odd.bin").click()
    expect(attached.locator(".spinner")).to_have_count(0)

    turn = say(page, "a cat like this")
    expect(turn.locator(".said").get_by_role("link", name="dot")).to_have_attribute(
        "href", re.compile("#/asset/asset_")
    )
    expect(turn.locator(".said").get_by_role("link")).to_have_count(2)
    expect(attached).to_have_count(0)


def test_what_was_made_is_used_again_by_its_button_and_by_dragging(page: Page) -> None:
    page.goto("/")
    turn = say(page, "a cat")
    turn.get_by_role("button", name="Use happy cat in what you say next").first.click(timeout=WAIT_MS)
    attached = page.get_by_role("list", name="Attached").get_by_role("listitem")
    expect(attached).to_have_text(re.compile("happy cat"))
    expect(page.get_by_label("Say what you want")).to_be_focused()
    page.get_by_role("button", name="Take away happy cat").click()

    turn.get_by_role("link", name="Open happy cat (image)").first.drag_to(page.get_by_label("Say what you want"))
    expect(attached).to_have_count(1)


def test_what_failed_is_told_and_tried_again(page: Page, shot: Shot) -> None:
    page.goto("/")
    turn = say(page, "a limerick")
    expect(turn.get_by_role("button", name="Try what failed again")).to_be_visible(timeout=WAIT_MS)
    turn.get_by_role("button", name=re.compile("Write")).click()
    expect(page.get_by_role("dialog")).to_contain_text("it is having tea")
    shot("chat-step")
    page.get_by_role("button", name="Try this step again").click()
    expect(turn.get_by_text("There once was a fox")).to_be_visible(timeout=WAIT_MS)
    expect(turn.get_by_role("button", name="Try what failed again")).to_have_count(0)

    page.reload()  # the events of a run that was tried again hold two ends
    expect(page.get_by_role("article").get_by_text("There once was a fox")).to_be_visible()


def test_a_phone_shows_everything_without_scrolling_sideways(studio: House, browser: Browser) -> None:
    context = browser.new_context(base_url=studio.url, viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    page.goto("/")
    turn = say(page, "two cats and a video")
    expect(turn.locator(".reply")).to_have_text("Two cats and a morph.", timeout=WAIT_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("document.querySelector('.conversation').scrollWidth") <= 360
    page.get_by_role("button", name="Conversations").click()
    expect(page.get_by_role("navigation", name="Conversations").get_by_role("link").first).to_be_visible()
    context.close()
