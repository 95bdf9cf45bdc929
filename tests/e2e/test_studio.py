"""The sentence of the demo and its neighbours, from words to files that open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from PIL import Image

from tests.orchestrator.conftest import House

pytestmark = pytest.mark.e2e
SENTENCE = "three happy cat stickers, and a 3 second video that morphs between them"


@pytest.fixture(scope="module")
def made(studio: House) -> dict[str, Any]:
    """Give what `atelier make --json` printed for the sentence of the demo."""
    printed: dict[str, Any] = studio.json("make", SENTENCE)
    return printed


def test_a_sentence_becomes_three_pictures_and_a_video(made: dict[str, Any]) -> None:
    assert made["run"]["status"] == "completed"
    assert [step["tool"] for step in made["plan"]["steps"]] == ["generate_image", "make_video"]
    assert [asset["kind"] for asset in made["assets"]] == ["image", "image", "image", "video"]
    assert made["reply"]
    seeds = [asset["seed"] for asset in made["assets"][:3]]
    assert seeds == list(range(seeds[0], seeds[0] + 3))
    contents = set()
    for asset in made["assets"][:3]:
        assert "cat" in asset["caption"]
        with Image.open(asset["path"]) as picture:
            assert picture.size == (256, 256)
            assert "generate_image" in json.dumps({str(k): str(v) for k, v in picture.info.items()})  # its recipe
            contents.add(picture.tobytes())
    assert len(contents) == 3


def test_the_video_is_exact_in_length_and_rate(made: dict[str, Any]) -> None:
    with av.open(made["assets"][3]["path"]) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 24
        assert sum(1 for _ in film.decode(stream)) == 72


def test_what_was_made_is_found_by_meaning(studio: House, made: dict[str, Any]) -> None:
    studio.json("make", "a red car")
    hits = studio.json("search", "smiling cat")
    assert {hit["id"] for hit in hits[:4]} == {asset["id"] for asset in made["assets"]}
    assert hits[0]["score"] > hits[-1]["score"]
    for hit in hits:
        assert Path(hit["thumbnail"]).exists()
    assert "car" in studio.json("search", "automobile")[0]["caption"]


def test_every_picture_and_the_video_are_made_again_to_the_byte(studio: House, made: dict[str, Any]) -> None:
    for asset in (made["assets"][1], made["assets"][3]):
        assert studio.json("verify", asset["id"])["verified"] is True


def test_history_knows_what_the_video_was_made_from(studio: House, made: dict[str, Any]) -> None:
    shown = studio.json("assets", "show", made["assets"][3]["id"])
    assert {row["id"] for row in shown["lineage"]["ancestors"]} == {asset["id"] for asset in made["assets"][:3]}


def test_the_same_plan_again_is_answered_from_the_library(studio: House, made: dict[str, Any]) -> None:
    steps = made["plan"]["steps"]
    steps[0]["args"]["seed"] = made["assets"][0]["seed"]
    again = studio.json("run", "-", input=json.dumps({"steps": steps}))
    assert [asset["id"] for asset in again["assets"]] == [asset["id"] for asset in made["assets"]]
    with httpx.Client(base_url=str(studio.url), trust_env=False) as client:
        events = client.get(f"/v1/runs/{again['run']['id']}/events").text
    assert events.count("event: step.cached") == 2


@pytest.mark.parametrize(
    ("words", "tools"),
    [
        ("a happy sun", ["generate_image"]),
        ("draw two red cars", ["generate_image"]),
        ("write a short poem about a cat", ["write_text"]),
        ("find my pictures of cats", ["search_assets"]),
        ("four sad robots and a looping video of them", ["generate_image", "make_video"]),
    ],
)
def test_plain_requests_are_planned(studio: House, words: str, tools: list[str]) -> None:
    assert [step["tool"] for step in studio.json("plan", words)["steps"]] == tools


def test_what_no_tool_can_do_is_declined(studio: House) -> None:
    made = studio.json("make", "book me a flight to Lisbon")
    assert made["plan"]["steps"] == made["assets"] == []
    assert made["reply"]
