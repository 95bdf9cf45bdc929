"""Speech, asked for by the official client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import httpx
import openai
import pytest
from pydantic import Field

from orchestrator.api.context import Context
from store import assets
from tests.orchestrator.api.openai.conftest import Hand
from tools import catalog
from tools.base import ToolArgs, ToolSpec
from workers.catalogue import Catalogue

Save = Callable[..., str]
WAV = b"RIFF\x00\x00\x00\x00WAVE"


class Say(ToolArgs):
    """Arguments of a tool that a package could bring."""

    text: str = Field(max_length=500)
    voice: Literal["anna", "otto"]


SPEECH = ToolSpec("generate_audio", "Say words.", Say, "audio", "image", "nowhere:run")


def give(context: Context, spec: ToolSpec) -> None:
    """Put a tool into the catalogue, as a package would."""
    own = {**catalog.specs(), spec.name: spec}
    context.__dict__["_catalogue"] = Catalogue(context.database, own)


def test_without_a_voice_it_is_said_what_there_is_and_what_to_do(client: openai.OpenAI, context: Context) -> None:
    with pytest.raises(openai.BadRequestError, match="has no voice") as caught:
        client.audio.speech.create(model="atelier", voice="alloy", input="hello")
    assert (caught.value.code, caught.value.param) == ("no_voice", "voice")
    assert "generate_image" in caught.value.message
    give(context, replace(SPEECH, gives="image"))
    with pytest.raises(openai.BadRequestError, match="has no voice"):
        client.audio.speech.create(model="atelier", voice="alloy", input="hello")


def test_a_tool_that_speaks_is_used(client: openai.OpenAI, context: Context, hand: Hand, save: Save) -> None:
    give(context, SPEECH)
    sound = save(WAV, kind="audio", media_type="audio/wav")

    def speak(hand: Hand) -> None:
        claim = hand.claim("image")
        assert claim.args == {"text": "hello", "voice": "anna"}
        hand.desk.change(lambda t: assets.link(t.connection, claim.id, [sound]))
        hand.desk.complete(claim, [sound])

    hand.meanwhile(speak)
    said = client.audio.speech.create(model="atelier", voice="anna", input="hello", response_format="wav")
    assert said.content == WAV
    assert said.response.headers["content-type"] == "audio/wav"


def test_what_the_voice_cannot_do_is_refused_before_it_speaks(
    client: openai.OpenAI, api: httpx.Client, context: Context
) -> None:
    give(context, SPEECH)
    asked = {"model": "atelier", "voice": "anna", "input": "hello"}
    for given, message in (
        ({"speed": 2}, "speed"),
        ({"instructions": "slowly"}, "instructions"),
        ({"voice": "alloy"}, "'anna' or 'otto'"),
        ({"input": "x" * 501}, "500"),
    ):
        answer = api.post("/v1/audio/speech", json=asked | given)
        assert answer.status_code == 422, answer.text
        assert message in answer.json()["error"]["message"]
    with pytest.raises(openai.NotFoundError, match="generate_audio"):
        client.audio.speech.create(model="tts-1", voice="anna", input="hello")
    assert api.get("/v1/runs").json()["data"] == []
