"""The official client lists models, and finds the studio among them."""

from __future__ import annotations

import openai
import pytest


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
