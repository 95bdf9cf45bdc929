"""Vectors of texts in the shape of OpenAI: those that the studio searches with."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, field_validator

from orchestrator import parts
from orchestrator.api.context import Here, Reader
from orchestrator.errors import ModelNotFound, described
from orchestrator.settings import Settings
from workers.openai_requests import STUDIO

router = APIRouter(prefix="/v1/embeddings", tags=["embeddings"], responses=described(504))
MOST_TEXTS = 256
MOST_CHARACTERS = 8000
WORD = re.compile(r"\w+")
TextIn = Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]


class EmbeddingRequest(BaseModel):
    """Texts that vectors are wanted of."""

    model_config = ConfigDict(extra="forbid")
    input: TextIn | Annotated[list[TextIn], Field(min_length=1, max_length=MOST_TEXTS)] = Field(
        description="a text, or 256 of them at most; 8,000 characters each at most. The net reads the beginning of a "
        "long one"
    )
    model: str = Field(max_length=200, description="the space of the studio's texts, as GET /v1/models names it")
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="float: a list of numbers; base64: float32, little endian"
    )
    dimensions: None = Field(None, description="not taken: all vectors of the space have one length")
    user: str | None = Field(None, max_length=512, description="taken and not used")

    @field_validator("input", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(one, int | list) for one in texts):
            raise ValueError("give texts, not numbers of tokens: tokens of another model mean nothing here")
        if not 1 <= len(texts) <= MOST_TEXTS:
            raise ValueError(f"give 1 to {MOST_TEXTS} texts at a time, not {len(texts)}")
        if not all(isinstance(one, str) and 1 <= len(one) <= MOST_CHARACTERS for one in texts):
            raise ValueError(f"a text has 1 to {MOST_CHARACTERS} characters")
        return value

    @field_validator("dimensions", mode="before")
    @classmethod
    def _one_length(cls, value: Any) -> None:
        if value is not None:
            raise ValueError("all vectors of the studio's space have one length; leave it out")


class Vector(BaseModel):
    """The vector of a text."""

    object: Literal["embedding"] = Field("embedding", description="always `embedding`")
    index: int = Field(description="which text, from 0")
    embedding: list[float] | str = Field(description="a unit vector, as numbers or in base64 (float32, little endian)")


class Usage(BaseModel):
    """How much was read."""

    prompt_tokens: int = Field(description="words of all texts")
    total_tokens: int = Field(description="the same")


class Vectors(BaseModel):
    """The vectors of all texts."""

    object: Literal["list"] = Field("list", description="always `list`")
    data: list[Vector] = Field(description="one for each text, in order")
    model: str = Field(description="the space that they lie in; only vectors of one space can be compared")
    usage: Usage = Field(description="how much was read")


def names(settings: Settings) -> tuple[str, ...]:
    """Give the names that the space of texts goes by; the first is its own."""
    space = parts.text_space(settings)
    return (space, space.removeprefix("text/"), STUDIO)


@router.post("")
def embed(wanted: EmbeddingRequest, here: Here, _: Reader) -> Vectors:
    """Give the unit vectors of texts, as a worker's net makes them; the cosine of two says how near they are."""
    known = names(here.settings)
    if wanted.model not in known:
        message = f"model: there is no {wanted.model!r}; vectors come from {' or '.join(map(repr, known))}"
        raise ModelNotFound(message, param="model")
    texts = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    "".join(texts).encode()  # half a surrogate is no text
    made = here.messenger.vectors(texts)
    data = [Vector(index=index, embedding=_written(one, wanted.encoding_format)) for index, one in enumerate(made)]
    words = sum(len(WORD.findall(text)) for text in texts)
    return Vectors(data=data, model=known[0], usage=Usage(prompt_tokens=words, total_tokens=words))


def _written(vector: list[float], form: str) -> list[float] | str:
    return vector if form == "float" else base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()
