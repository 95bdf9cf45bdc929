"""What all answers share."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
EndedAt = Annotated[float | None, Field(description="when it ended, seconds since 1970; null before")]
CreatedAt = Annotated[float, Field(description="when it was accepted, seconds since 1970")]


def _open(schema: dict[str, Any]) -> None:
    schema.pop("additionalProperties", None)


class Shown(BaseModel):
    """An answer. What a view gives beyond its model is passed on, so that a view can be ahead of its description."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_open, protected_namespaces=())


def _page(schema: dict[str, Any]) -> None:
    _open(schema)
    schema["description"] = "A part of a list."  # a generic class does not pass its own words on


class Page(Shown, Generic[T]):
    """A part of a list."""

    model_config = ConfigDict(json_schema_extra=_page)
    data: list[T] = Field(description="the things of this page, in the order that the route names")
    has_more: bool = Field(description="whether there are more behind them")
    next: str | int | None = Field(description="give it as `before` for the page behind this one; null on the last")


class Trouble(Shown):
    """Why something failed."""

    message: str = Field(description="what happened, and what to do, in words")
    code: str | None = Field(None, description="a stable word for programs")
    type: str | None = Field(None, description="whose fault it is: of the request, of a tool, of the moment, or a bug")
    param: str | None = Field(None, description="the argument at fault, if there is one")
