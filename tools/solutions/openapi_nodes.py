"""The parts of an OpenAPI document that we read, checked for their form; what else they hold is left alone."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Node(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class EncodingNode(_Node):
    """How one field of a form is written."""

    content_type: str | None = Field(None, alias="contentType")


class MediaNode(_Node):
    """A body, or a parameter that holds JSON, of one media type."""

    described: Any = Field({}, alias="schema")
    encoding: dict[str, EncodingNode] = Field({})


class ParameterNode(_Node):
    """A parameter; `place` is path, query, header or cookie."""

    name: str = Field(min_length=1, max_length=256)
    place: str = Field(alias="in")
    required: bool = False
    description: str | None = None
    style: str | None = None
    explode: bool | None = None
    described: Any = Field({}, alias="schema")
    content: dict[str, MediaNode] = Field({})


class BodyNode(_Node):
    """The body of a request."""

    content: dict[str, MediaNode]
    required: bool = False
    description: str | None = None


class OperationNode(_Node):
    """An operation, or a path with what all of its operations share."""

    summary: str | None = None
    description: str | None = None
    servers: list[Any] = Field([])
    parameters: list[Any] = Field([])
    body: Any = Field(None, alias="requestBody")
    examples: list[Any] = Field([], alias="x-atelier-examples")
