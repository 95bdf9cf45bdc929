"""What `search_assets` accepts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tools.base import AnyRef, Example, ToolArgs, ToolSpec


class SearchAssets(ToolArgs):
    """Arguments of `search_assets`."""

    query: Annotated[str, Field(min_length=1, max_length=500)] | None = Field(
        None, description="what it shows, in words"
    )
    like: AnyRef | None = Field(None, description="an asset: find what resembles it")
    kind: Literal["image", "video", "audio", "music", "text"] | None = Field(None, description="only this kind")
    tags: tuple[str, ...] = Field((), max_length=16, description="only assets with all of these tags")
    limit: int = Field(10, ge=1, le=100, description="how many at most")

    @model_validator(mode="after")
    def _something_to_look_for(self) -> SearchAssets:
        if self.query is None and self.like is None and self.kind is None and not self.tags:
            raise ValueError("give at least one of query, like, kind, tags")
        return self


SPEC = ToolSpec(
    name="search_assets",
    description="Find things that were made before, by meaning, by likeness, by kind or by tag.",
    args=SearchAssets,
    gives=None,
    queue="planner",
    runner="tools.search_assets.run:run",
    cost=lambda _: 0,
    examples=(
        Example("find my pictures of smiling cats", {"query": "smiling cat", "kind": "image"}),
        Example("which videos do I have about the sea?", {"query": "sea", "kind": "video"}),
    ),
)
