"""Vectors of texts, asked for by the official client."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import openai
import pytest

from orchestrator.api.context import Context
from orchestrator.api.openai import embeddings

CAT = "a happy cat"


def test_vectors_are_those_that_the_studio_searches_with(client: openai.OpenAI, post: Any) -> None:
    made = client.embeddings.create(model="atelier", input=[CAT, "a red car"])  # the client asks for base64
    assert [one.index for one in made.data] == [0, 1]
    assert np.allclose(made.data[0].embedding, post.vector(CAT))
    assert made.model == "text/hash-384"
    assert (made.usage.prompt_tokens, made.usage.total_tokens) == (6, 6)
    alone = client.embeddings.create(model=made.model, input=CAT, encoding_format="float")
    assert alone.data[0].embedding == pytest.approx(made.data[0].embedding)


def test_the_space_is_known_by_the_names_that_the_list_of_models_has(client: openai.OpenAI, context: Context) -> None:
    for name in embeddings.names(context.settings):
        assert len(client.embeddings.create(model=name, input=CAT).data) == 1
    with pytest.raises(openai.NotFoundError, match="text/hash-384"):
        client.embeddings.create(model="text-embedding-3-small", input=CAT)


def test_what_cannot_be_had_is_said(api: httpx.Client) -> None:
    for given, message in (
        ({"input": [1, 2, 3]}, "give texts"),
        ({"input": [[1, 2], [3]]}, "give texts"),
        ({"input": CAT, "dimensions": 64}, "one length"),
        ({"input": []}, "1 to 256"),
        ({"input": ""}, "1 to 8000"),
        ({"input": [CAT] * 257}, "1 to 256"),
        ({"input": "x" * 8001}, "1 to 8000"),
        ({"input": CAT, "encoding_format": "int8"}, "base64"),
    ):
        answer = api.post("/v1/embeddings", json={"model": "atelier", **given})
        assert answer.status_code == 422, given
        assert message in answer.json()["error"]["message"]


def test_half_a_character_is_the_callers_fault(api: httpx.Client) -> None:
    body = rb'{"model": "atelier", "input": "\ud800"}'
    answer = api.post("/v1/embeddings", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
