"""Pictures in the shape of OpenAI."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from orchestrator.api.context import Context
from store import assets
from store.assets import Asset

Form = Literal["b64_json", "url"]


class Picture(BaseModel):
    """A picture."""

    b64_json: str | None = Field(None, description="its bytes in base64, where they were asked for")
    url: str | None = Field(None, description="its address at this studio, which wants the same key; stays valid")
    revised_prompt: None = Field(None, description="always null: the prompt is drawn as it was given")
    id: str = Field(description="ours: the asset in the library")
    seed: int | None = Field(None, description="ours: the seed that draws it again")
    width: int | None = Field(None, description="ours: pixels")
    height: int | None = Field(None, description="ours: pixels")


class Pictures(BaseModel):
    """What a request for pictures gave."""

    created: int = Field(description="when the request was accepted, seconds since 1970")
    data: list[Picture] = Field(description="the pictures, in order")
    output_format: str = Field("png", description="the format of all of them")
    background: Literal["opaque"] = Field("opaque", description="always `opaque`")
    size: str | None = Field(None, description='"256x256", in pixels')
    run_id: str = Field(description="ours: the run that made them; GET /v1/runs/{id} says how")


def shown(
    here: Context, owner: str, run_id: str, asset_ids: Sequence[str], *, created: float, form: Form, base_url: str
) -> Pictures:
    """Give the pictures of a run; those that were deleted since are left out.

    Raises:
        BlobError: the bytes of one are not there.
    """
    with here.database.read() as connection:
        found = assets.get_many(connection, owner, asset_ids)
    pictures = [_picture(here, asset, form, base_url) for asset in found]
    size = f"{found[0].width}x{found[0].height}" if found else None
    return Pictures(created=int(created), data=pictures, size=size, run_id=run_id)


def _picture(here: Context, asset: Asset, form: Form, base_url: str) -> Picture:
    said = {"id": asset.id, "seed": asset.seed, "width": asset.width, "height": asset.height}
    if form == "url":
        return Picture(url=f"{base_url.rstrip('/')}/v1/assets/{asset.id}/content", **said)
    return Picture(b64_json=base64.b64encode(here.blobs.get(asset.sha256)).decode(), **said)
