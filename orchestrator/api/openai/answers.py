"""Parts that the answers of chats and of responses share."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.openai.telling import Library
from store.assets import Asset


class Answer(BaseModel):
    """A part of an answer; fields of OpenAI's that say nothing here are passed on as they are."""

    model_config = ConfigDict(extra="allow")


class AssetLink(BaseModel):
    """An asset of the run."""

    id: str = Field(description="id in the library, for /v1/assets/{id}")
    kind: str = Field(description="image, audio, video, text, …")
    media_type: str = Field(description="of its bytes")
    caption: str = Field(description="what it is, in words")
    url: str = Field(description="where its bytes are; the same key is asked for there")


class Behind(BaseModel):
    """What stands behind an answer in this studio."""

    run_id: str = Field(description="the run, for /v1/runs/{id}: its plan, its steps and how far they are")
    status: str = Field(description="the run's status in our words")
    assets: list[AssetLink] = Field(description="what was made or found, in the order in which it came")


def behind(library: Library, run_id: str, status: str, shown: Sequence[Asset]) -> Behind:
    """Give what stands behind an answer."""
    links = [
        AssetLink(id=one.id, kind=one.kind, media_type=one.media_type, caption=one.caption, url=library.url(one))
        for one in shown
    ]
    return Behind(run_id=run_id, status=status, assets=links)
