"""The library and the view of an asset: found again, put in order, exported, looked at, made again."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import struct
import time
import wave
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import delete, insert

from store import tables
from store.database import Database
from tests.orchestrator.conftest import House

Shot = Callable[[str], None]
ROWS = 5000
MOST_TILES = 200
DROP = """([name, type, content]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, {type}));
  const drop = new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true});
  document.querySelector(".library").dispatchEvent(drop);
}"""
PAINTED = """(canvas) => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let painted = 0;
  for (let at = 3; at < data.length; at += 4) painted += data[at] > 0;
  return painted;
}"""


@pytest.fixture(scope="module")
def api(studio: House) -> Iterator[httpx.Client]:
    assert studio.url is not None
    with httpx.Client(base_url=studio.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def drawn(api: httpx.Client) -> list[dict[str, Any]]:
    """Two pictures of a lighthouse, and one made from the first."""
    cars = made(api, "generate_image", {"prompt": "red lighthouse", "count": 2, "size": 64, "seed": 11})
    varied = made(api, "vary_image", {"image": f"@{cars[0]}", "strength": 0.3, "seed": 5})
    found = [api.get(f"/v1/assets/{id_}").json() for id_ in (*cars, *varied)]
    for asset in found:
        api.put(f"/v1/assets/{asset['id']}/tags", json={"tags": ["coast", *asset["tags"]]})
    return found


def made(api: httpx.Client, tool: str, args: dict[str, Any]) -> list[str]:
    plan = {"steps": [{"id": "s1", "tool": tool, "args": args}], "reply": ""}
    run = api.post("/v1/runs", json={"plan": plan}).json()
    deadline = time.monotonic() + 120
    while run["status"] not in {"completed", "failed", "cancelled"}:
        assert time.monotonic() < deadline, run
        time.sleep(0.1)
        run = api.get(f"/v1/runs/{run['id']}").json()
    assert run["status"] == "completed", run
    assets: list[str] = run["assets"]
    return assets


def upload(api: httpx.Client, content: bytes, caption: str, tags: str = "") -> str:
    answer = api.post("/v1/assets", content=content, params={"caption": caption, "tags": tags})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def tone(seconds: float = 3.0, rate_hz: int = 8000) -> bytes:
    """A sound that ebbs away."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, rate_hz, 0, "NONE", ""))
        count = int(seconds * rate_hz)
        samples = (int(20000 * (1 - i / count) * math.sin(i / 4)) for i in range(count))
        sound.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return file.getvalue()


def tune() -> bytes:
    """Four notes of half a second, in running status, the last one ended by the end of its track."""
    events = b"\0\xff\x51\x03" + (500_000).to_bytes(3, "big") + b"\0\xc0\x05"
    for pitch in (60, 64, 67):
        events += b"\0\x90" + bytes([pitch, 100]) + b"\x81\x70" + bytes([pitch, 0])
    events += b"\0" + bytes([72, 100]) + b"\x81\x70\xff\x2f\0"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 240) + b"MTrk" + struct.pack(">I", len(events)) + events


def tiles(page: Page) -> Locator:
    return page.get_by_role("list", name="Assets").get_by_role("listitem")


def tile(page: Page, asset: dict[str, Any]) -> Locator:
    return tiles(page).filter(has=page.locator(f'a[href="#/asset/{asset["id"]}"]'))


def select_coast(page: Page, *assets: dict[str, Any]) -> Locator:
    """Look at what has the tag, select some, and give the bar of what can be done with them."""
    page.goto("/#/library?tag=coast")
    for asset in assets:
        tile(page, asset).hover()
        tile(page, asset).get_by_role("checkbox").check()
    bar = page.get_by_role("region", name="Selected assets")
    expect(bar).to_contain_text(f"{len(assets)} asset")
    return bar


def test_what_was_made_is_found_by_words_kind_and_tag(page: Page, drawn: list[dict[str, Any]], shot: Shot) -> None:
    page.goto("/#/library")
    page.get_by_label("Search the library").fill("red lighthouse")
    expect(tiles(page).first).to_contain_text("red lighthouse")
    expect(page).to_have_url(re.compile(r"q=red"))
    shot("library-search")
    page.get_by_role("button", name="Show everything").click()
    page.get_by_label("Tag").fill("coast")
    page.get_by_label("Tag").press("Tab")
    expect(tiles(page)).to_have_count(3)
    page.get_by_label("Model").select_option("vae")
    expect(tiles(page)).to_have_count(1)
    page.get_by_label("Kind").select_option("text")
    expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Kind")).to_have_value("text")
    page.get_by_role("button", name="Show everything").first.click()
    expect(tile(page, drawn[0])).to_be_visible()
    shot("library")


def test_a_collection_is_filled_exported_and_taken_away(
    page: Page, drawn: list[dict[str, Any]], shot: Shot, tmp_path: Path
) -> None:
    bar = select_coast(page, drawn[0], drawn[1])
    shot("library-selected")
    bar.get_by_role("button", name="Add to collection").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("A new collection").fill("The coast")
    dialog.get_by_role("button", name="Make and add").click()
    expect(bar).to_be_hidden()
    page.get_by_label("Collection").select_option("The coast")
    expect(page.get_by_role("heading", name="The coast 2")).to_be_visible()
    page.get_by_role("button", name="Show everything").click()
    page.get_by_label("Collection").select_option("The coast")
    expect(tiles(page)).to_have_count(2)

    with page.expect_download() as saved:
        page.locator(".collection").get_by_role("button", name="Export ZIP").click()
    assert saved.value.suggested_filename == "The coast.zip"
    saved.value.save_as(tmp_path / "coast.zip")
    with zipfile.ZipFile(tmp_path / "coast.zip") as archive:
        rows = json.loads(archive.read("recipes.json"))
        assert {row["id"] for row in rows} == {drawn[0]["id"], drawn[1]["id"]}
        for row in rows:
            assert archive.read(row["file"]).startswith(b"\x89PNG")
            assert row["recipe"]["args"]["prompt"] == "red lighthouse"

    tile(page, drawn[0]).hover()
    tile(page, drawn[0]).get_by_role("checkbox").check()
    page.get_by_role("button", name="Take out").click()
    expect(tiles(page)).to_have_count(1)
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("dialog").get_by_label("Name").fill("A shore")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", name="A shore 1")).to_be_visible()
    page.get_by_role("button", name="Take away").click()
    page.get_by_role("dialog").get_by_role("button", name="Take away").click()
    expect(page.get_by_role("option", name="A shore")).to_have_count(0)
    expect(tile(page, drawn[1])).to_be_visible()


def test_several_are_tagged_exported_and_deleted_after_a_question(page: Page, api: httpx.Client) -> None:
    notes = [{"id": upload(api, f"note {n}".encode(), f"note {n}", "coast,passing")} for n in range(2)]
    bar = select_coast(page, *notes)
    bar.get_by_role("button", name="Tag").click()
    page.get_by_role("dialog").get_by_label("Tags, separated by commas").fill("Autumn, wind")
    page.get_by_role("dialog").get_by_role("button", name="Add tags").click()
    expect(bar).to_be_hidden()
    assert api.get(f"/v1/assets/{notes[0]['id']}").json()["tags"] == ["autumn", "coast", "passing", "wind"]

    bar = select_coast(page, *notes)
    with page.expect_download() as saved:
        bar.get_by_role("button", name="Export ZIP").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        assert len(archive.namelist()) == 3
    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(tile(page, notes[0])).to_have_count(0)
    assert api.get("/v1/assets", params={"tag": "passing"}).json()["data"] == []


def test_an_asset_says_how_it_was_made_and_from_what(page: Page, drawn: list[dict[str, Any]], shot: Shot) -> None:
    first, _, varied = drawn
    page.goto(f"/#/asset/{varied['id']}")
    facts = page.locator(".facts")
    for fact in ("256 × 256 pixels", "vary_image, version 1", str(varied["seed"]), varied["id"]):
        expect(facts).to_contain_text(fact)
    expect(facts).to_contain_text(re.compile(r"Took\s*\d+\.\d s"))
    expect(facts).to_contain_text("CC-BY-4.0")
    page.get_by_text("Recipe", exact=True).click()
    expect(page.locator(".recipe pre")).to_contain_text('"strength": 0.3')
    picture = page.locator(".zoom img")
    expect(picture).to_be_visible()
    page.get_by_role("button", name="1:1").click()
    before = picture.bounding_box()
    page.get_by_role("button", name="Larger").click()
    expect(page.locator(".zoom [role=status]")).to_have_text("150 %")
    after = picture.bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] == pytest.approx(1.5 * before["width"], rel=0.02)
    shot("asset")

    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename == f"{varied['caption']}.png"
    lineage = page.get_by_role("group", name="Lineage")
    expect(lineage.get_by_role("link")).to_have_count(2)
    lineage.locator(f'a[href="#/asset/{first["id"]}"]').click()
    expect(facts).to_contain_text("generate_image, version 1, with cgan")
    page.get_by_label("Add tags, separated by commas").fill("Beacon")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("link", name="beacon")).to_be_visible()
    page.get_by_role("button", name="Take the tag beacon away").click()
    expect(page.get_by_role("link", name="beacon")).to_have_count(0)
    page.get_by_role("link", name="More like this").click()
    expect(page.get_by_label("Compared with")).to_contain_text("red lighthouse")
    expect(tiles(page).first).to_contain_text("red lighthouse")


def test_it_is_made_again_with_changes_and_verified(page: Page, drawn: list[dict[str, Any]], api: httpx.Client) -> None:
    varied = drawn[2]
    page.goto(f"/#/asset/{varied['id']}")
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text("the same bytes", exact=False).first).to_be_visible()
    page.get_by_role("button", name="Make again with changes").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label(re.compile("^strength"))).to_have_value("0.3")
    dialog.get_by_label(re.compile("^strength")).fill("0.9")
    dialog.get_by_role("button", name="Make", exact=True).click()
    expect(page).not_to_have_url(re.compile(varied["id"]))
    expect(page.locator(".facts")).to_contain_text("vary_image")
    new = api.get(f"/v1/assets/{page.url.rsplit('/', 1)[1]}").json()
    assert new["recipe"]["args"]["strength"] == 0.9
    assert new["recipe"]["args"]["image"] == varied["recipe"]["args"]["image"]
    assert new["parents"] == varied["parents"]


def test_what_cannot_be_made_again_says_why(page: Page, api: httpx.Client) -> None:
    note = upload(api, b"Ships pass at night.", "ships")
    page.goto(f"/#/asset/{note}")
    expect(page.get_by_label("The text")).to_have_text("Ships pass at night.")
    expect(page.get_by_text("It was uploaded")).to_be_visible()
    page.goto("/#/asset/asset_00000000000000000000000000")
    expect(page.get_by_role("alert")).to_contain_text("not in the library")


def test_a_sound_shows_its_waveform_and_keys_seek_in_it(page: Page, api: httpx.Client, shot: Shot) -> None:
    page.goto(f"/#/asset/{upload(api, tone(), 'a tone')}")
    slider = page.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuemax", "3")
    page.wait_for_function(f"({PAINTED})(document.querySelector('.wave canvas')) > 100")
    shot("asset-sound")
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "0:03 of 0:03")
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "0:00 of 0:03")
    slider.click()  # in the middle
    expect(slider).to_have_attribute("aria-valuetext", "0:01 of 0:03")


def test_a_tune_is_a_piano_roll(page: Page, api: httpx.Client, shot: Shot) -> None:
    page.goto(f"/#/asset/{upload(api, tune(), 'four notes')}")
    expect(page.get_by_role("slider", name="4 notes, 2.0 s")).to_be_visible()
    page.wait_for_function(f"({PAINTED})(document.querySelector('.wave canvas')) > 100")
    shot("asset-tune")
    page.goto(f"/#/asset/{upload(api, tune()[:-12], 'a broken tune')}")
    expect(page.get_by_role("alert")).to_contain_text("The notes cannot be read")


def test_a_file_is_searched_by_and_the_studio_says_what_it_compares(page: Page, api: httpx.Client) -> None:
    known = upload(api, tone(0.5), "a foghorn far away")
    page.goto("/#/library")
    expect(page.locator(".library")).to_be_visible()
    page.evaluate(DROP, ["x.wav", "audio/wav", base64.b64encode(tone(0.5)).decode()])
    like = page.get_by_label("Compared with")
    expect(like).to_contain_text("a foghorn far away")
    expect(page).to_have_url(re.compile(known))
    page.evaluate(DROP, ["foghorn.wav", "audio/wav", base64.b64encode(tone(0.6)).decode()])
    expect(like).to_contain_text("compared by its name")
    expect(tiles(page).first).to_contain_text("foghorn")
    page.evaluate(DROP, ["virus.exe", "", base64.b64encode(b"MZ\0\0").decode()])
    expect(page.locator(".spoken")).to_contain_text("virus.exe")
    page.get_by_role("button", name="Stop comparing").click()
    expect(like).to_be_hidden()


@pytest.fixture
def many(studio: House) -> Iterator[None]:
    """Thousands of assets, older than all others."""
    database = Database(f"sqlite:///{studio.folder / 'atelier.db'}")
    row = {"owner": "local", "kind": "text", "media_type": "text/plain", "sha256": "0" * 64, "size_bytes": 1}
    rows = [{**row, "id": f"asset_{n:026}", "caption": f"row {n}", "created_at": 1e9 + n} for n in range(ROWS)]
    tags = [{"asset_id": one["id"], "tag": "many"} for one in rows]
    database.transact(lambda c: (c.execute(insert(tables.assets), rows), c.execute(insert(tables.asset_tags), tags)))
    yield
    ids = tables.assets.c.sha256 == "0" * 64
    database.transact(lambda c: c.execute(delete(tables.asset_tags).where(tables.asset_tags.c.tag == "many")))
    database.transact(lambda c: c.execute(delete(tables.assets).where(ids)))
    database.close()


@pytest.mark.usefixtures("many")
def test_thousands_scroll_and_few_are_in_the_page(page: Page) -> None:
    page.goto("/#/library?tag=many")
    expect(tiles(page).first).to_contain_text(f"row {ROWS - 1}")
    last = tiles(page).filter(has_text=re.compile(r"row 0\D"))
    deadline = time.monotonic() + 60
    while not last.count():
        assert time.monotonic() < deadline, tiles(page).last.inner_text()
        assert tiles(page).count() < MOST_TILES
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        page.wait_for_timeout(50)
    expect(last).to_be_in_viewport()
    assert tiles(page).count() < MOST_TILES
    last.get_by_role("link").focus()
    page.keyboard.press("ArrowLeft")
    expect(tiles(page).filter(has_text=re.compile(r"row 1\D")).get_by_role("link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="row 1")).to_be_visible()
    page.go_back()
    expect(tiles(page).filter(has_text=re.compile(r"row 1\D"))).to_be_in_viewport()


def test_nothing_needs_scrolling_sideways_on_a_phone(
    studio: House, browser: Browser, drawn: list[dict[str, Any]], api: httpx.Client
) -> None:
    sound = upload(api, tone(1.0), "a tone " + "of a very long name " * 10)
    context = browser.new_context(viewport={"width": 360, "height": 740}, base_url=studio.url)
    page = context.new_page()
    for address, ready in (
        ("library", ".tile"),
        (f"library?like={drawn[2]['id']}", ".like"),
        (f"asset/{drawn[2]['id']}", ".zoom img"),
        (f"asset/{sound}", ".wave"),
    ):
        page.goto(f"/#/{address}")
        expect(page.locator(ready).first).to_be_visible(timeout=60_000)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    context.close()
