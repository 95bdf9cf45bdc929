"""The official client lists models, and finds the studio among them."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import openai
import pytest
from fastapi.testclient import TestClient

from orchestrator.api.app import create_app
from orchestrator.api.context import Context


def test_the_studio_is_a_model_beside_its_nets(client: openai.OpenAI) -> None:
    listed = list(client.models.list())
    assert listed[0].id == "atelier"
    assert len(listed) > 3
    for model in listed:
        assert model.object == "model"
        assert model.owned_by == "atelier"
        assert isinstance(model.created, int)
    assert {"kind", "licence", "weights", "fault"} <= set(listed[1].model_extra or {})


def test_a_model_is_found_by_its_id(client: openai.OpenAI) -> None:
    assert client.models.retrieve("atelier").model_extra is not None
    for model in client.models.list():
        assert client.models.retrieve(model.id) == model


def test_a_model_that_is_not_there_says_so_in_openais_words(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("gpt-4o")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("llm", "shown"), [("ollama:library/tiny", "library/tiny"), ("scripted:/home/ada/script.json", "script.json")]
)
def test_a_language_model_is_found_by_the_name_that_is_listed(context: Context, llm: str, shown: str) -> None:
    given = replace(context, settings=context.settings.model_copy(update={"llm": llm}))
    api = TestClient(create_app(given), base_url="http://127.0.0.1")
    listed = [model["id"] for model in api.get("/v1/models").json()["data"] if model["kind"] == "language"]
    assert listed == [shown]
    for name in (shown, quote(shown, safe="")):
        assert api.get(f"/v1/models/{name}").json()["id"] == shown
