"""Assets as clients see them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from orchestrator.api.shapes.base import CreatedAt, Shown

Kind = Literal["image", "video", "audio", "music", "text"]


class AssetFacts(Shown):
    """What is known of an asset."""

    id: str = Field(description="`asset_…`; ids sort by time")
    kind: Kind = Field(description="what it is to tools and people")
    media_type: str = Field(description="what its bytes are, as in `image/png`")
    caption: str = Field(description="what it shows, in words; search finds it by them")
    tags: list[str] = Field(description="words of its owner, 64 at most")
    width: int | None = Field(description="pixels; null for what has none")
    height: int | None = Field(description="pixels; null for what has none")
    seconds: float | None = Field(description="how long it plays; null for what does not")
    seed: int | None = Field(description="what its chance was drawn from; null where none was")
    recipe: dict[str, Any] | None = Field(description="tool, version, arguments and weights; null for an upload")
    sha256: str = Field(description="of its bytes, in hex")
    size_bytes: int = Field(description="how many bytes it has")
    created_at: CreatedAt
    run_id: str | None = Field(description="the run that made it; null for an upload")
    step_id: str | None = Field(description="the step that made it; null for an upload")
    parents: list[str] = Field(description="ids of the assets that it was made from")
    sources: list[dict[str, Any]] | None = Field(description="documents that its words rest on; null where none do")


class AssetShape(AssetFacts):
    """An asset and where its bytes are."""

    content_url: str = Field(description="path of its bytes at this studio")
    thumbnail_url: str | None = Field(description="path of a small PNG of it; null where there is none")


class Hit(AssetShape):
    """An asset that was found."""

    score: float = Field(description="how near it is to what was asked for: the cosine, 1 at most")


class Edge(Shown):
    """That one asset was made from another."""

    child: str = Field(description="id of what was made")
    parent: str = Field(description="id of what it was made from")


class LineageShape(Shown):
    """Where an asset came from, and what came of it; deleted assets stay in it."""

    ancestors: list[AssetFacts] = Field(description="what it was made from, directly or not, oldest first")
    descendants: list[AssetFacts] = Field(description="what was made from it, directly or not, oldest first")
    edges: list[Edge] = Field(description="what was made from what, among all of these")
