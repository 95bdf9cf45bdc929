"""Pictures, asked for by the official client."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from orchestrator.api.context import Context
from store import assets
from tests.orchestrator.api.openai.conftest import Hand

PNG = b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d494844520000010000000100") + bytes(200)
Save = Callable[..., str]


def drawn(hand: Hand, *made: str) -> None:
    """Let a worker draw."""

    def draw(hand: Hand) -> None:
        claim = hand.claim("image")
        hand.desk.change(lambda t: assets.link(t.connection, claim.id, made))
        hand.desk.complete(claim, made)

    hand.meanwhile(draw)


def args(context: Context, client: openai.OpenAI, asked: Any) -> dict[str, Any]:
    """Give the arguments of the only step of the run behind an answer."""
    (step,) = httpx.get(f"{client.base_url}runs/{asked.run_id}", trust_env=False).json()["steps"]
    return {"tool": step["tool"], **step["args"]}


def test_pictures_come_with_their_bytes(client: openai.OpenAI, context: Context, hand: Hand, save: Save) -> None:
    two = [save(PNG, width=256, height=256, seed=7), save(PNG + b"2", width=256, height=256)]
    drawn(hand, *two)
    made = client.images.generate(model="atelier", prompt="a happy cat", n=2, size="256x256", extra_body={"seed": 7})
    assert made.data is not None
    assert [base64.b64decode(one.b64_json or "") for one in made.data] == [PNG, PNG + b"2"]
    assert (made.output_format, made.size) == ("png", "256x256")
    assert [(one.id, one.seed) for one in made.data] == [(two[0], 7), (two[1], None)]  # type: ignore[attr-defined]
    asked = args(context, client, made)
    wanted = {"tool": "generate_image", "prompt": "a happy cat", "count": 2, "size": 256, "seed": 7}
    assert asked.items() >= wanted.items()


def test_an_address_is_one_that_gives_the_bytes(client: openai.OpenAI, hand: Hand, save: Save) -> None:
    drawn(hand, save(PNG))
    made = client.images.generate(prompt="a cat", response_format="url", extra_body={"style": "noto"})
    assert made.data is not None
    assert made.data[0].b64_json is None
    assert httpx.get(made.data[0].url or "", trust_env=False).content == PNG


def test_what_there_is_not_is_said_with_what_there_is(client: openai.OpenAI) -> None:
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"size": "1024x1024"}, "size", "64x64, 128x128, 256x256, auto"),
        ({"model": "gpt-image-2"}, "model", "atelier, auto, cgan, vae"),
        ({"output_format": "webp"}, "output_format", "png"),
        ({"background": "transparent"}, "background", "opaque"),
        ({"quality": "high"}, "quality", "standard"),
        ({"n": 17}, "n", "16"),
        ({"stream": True}, "stream", "not streamed"),
        ({"partial_images": 2}, "partial_images", "not streamed"),
        ({"extra_body": {"style": "oils"}}, "plan", "style"),
        ({"extra_body": {"colour": "red"}}, "colour", "not permitted"),
    ]
    for given, param, message in wrong:
        with pytest.raises((openai.UnprocessableEntityError, openai.NotFoundError), match=message) as caught:
            client.images.generate(prompt="a cat", **given)
        assert caught.value.param == param


def test_a_picture_is_moved_towards_words(client: openai.OpenAI, context: Context, hand: Hand, save: Save) -> None:
    result = save(b"edited")
    drawn(hand, result)
    made = client.images.edit(image=("tom.png", PNG), prompt="a sleepy cat", extra_body={"strength": 0.25})
    assert made.data is not None
    assert made.data[0].id == result  # type: ignore[attr-defined]
    asked = args(context, client, made)
    assert (asked["tool"], asked["prompt"], asked["strength"]) == ("vary_image", "a sleepy cat", 0.25)
    with context.database.read() as connection:
        given = assets.get(connection, "local", asked["image"].removeprefix("@"))
    assert given is not None
    assert (given.caption, given.sha256) == ("tom", context.blobs.put(PNG))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its client would rather have edits
def test_variations_of_the_same_picture_keep_it_once(
    client: openai.OpenAI, context: Context, hand: Hand, save: Save
) -> None:
    drawn(hand, save(b"one"), save(b"two"))
    first = client.images.create_variation(image=PNG, n=2, size="256x256", model="atelier")
    assert len(first.data or ()) == 2
    drawn(hand, save(b"three"))
    second = client.images.create_variation(image=PNG)
    one, two = args(context, client, first), args(context, client, second)
    assert one["count"] == 2
    assert one["image"] == two["image"]


def test_an_edit_that_cannot_be_made_says_why(client: openai.OpenAI) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"mask": PNG}, "mask"),
        ({"image": [PNG, PNG]}, "one picture"),
        ({"size": "512x512"}, "256x256"),
        ({"model": "vae"}, "model"),
        ({"n": 0}, "n: "),
        ({"image": b"just words"}, "no PNG"),
    ]
    for given, message in wrong:
        with pytest.raises((openai.UnprocessableEntityError, openai.NotFoundError), match=message):
            client.images.edit(**{"image": PNG, "prompt": "a cat", **given})


def test_a_run_that_takes_too_long_is_named_and_not_begun_twice(
    client: openai.OpenAI, api: httpx.Client, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(context.settings.__dict__, "answer_wait_s", 0.05)
    with pytest.raises(openai.InternalServerError, match="goes on") as caught:  # its two retries are not made
        client.images.generate(prompt="a cat")
    assert caught.value.status_code == 504
    (run,) = api.get("/v1/runs").json()["data"]
    assert run["id"] in caught.value.message


def test_a_run_that_fails_is_an_error_that_says_why(client: openai.OpenAI, api: httpx.Client, hand: Hand) -> None:
    hand.meanwhile(lambda hand: hand.desk.fail(hand.claim("image"), "no ink"))
    with pytest.raises(openai.InternalServerError, match="no ink") as caught:
        client.images.generate(prompt="a cat")
    assert caught.value.code == "run_failed"
    (run,) = api.get("/v1/runs").json()["data"]
    assert run["id"] in caught.value.message


def test_the_same_idempotency_key_gives_the_same_pictures(client: openai.OpenAI, hand: Hand, save: Save) -> None:
    drawn(hand, save(PNG))
    key = {"Idempotency-Key": "one"}
    first = client.images.edit(image=PNG, prompt="a cat", extra_headers=key)
    again = client.images.edit(image=PNG, prompt="a cat", extra_headers=key)
    assert again.data
    assert again.data == first.data
    with pytest.raises(openai.ConflictError, match="another request"):
        client.images.edit(image=PNG, prompt="a dog", extra_headers=key)
