"""Assets: what was made or uploaded."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api import accepting, bytes_range, uploads
from orchestrator.api.context import Context, Here, Owner
from orchestrator.api.described import file_body
from orchestrator.api.filters import AskedInQuery
from orchestrator.api.lists import Before, Limit
from orchestrator.api.shapes.base import Page
from orchestrator.api.shapes.library import AssetShape, LineageShape
from orchestrator.api.shapes.work import Run
from orchestrator.api.texts import Text
from orchestrator.errors import Invalid, NotFound, described
from store import assets, library
from store import lineage as history
from store.assets import Asset
from tools.base import InvalidInput
from workers import verify

router = APIRouter(prefix="/v1/assets", tags=["assets"])


class Tags(BaseModel):
    """All tags of an asset."""

    model_config = ConfigDict(extra="forbid")
    tags: list[Annotated[Text, Field(min_length=1, max_length=80)]] = Field(
        max_length=64, description="in the place of all that it had; 80 characters each"
    )


@router.get("", response_model=Page[AssetShape])
def list_assets(
    here: Here,
    owner: Owner,
    asked: AskedInQuery,
    run_id: Annotated[str | None, Query(max_length=40, description="only what this run made")] = None,
    sha256: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$", description="only what has these bytes")] = None,
    before: Before = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List assets, newest first."""
    wanted = asked.as_filter(here, owner, run_id=run_id, sha256=sha256)
    with here.database.read() as connection:
        page = library.list_(connection, owner, wanted, before=before, limit=limit)
    return {"data": [view(asset) for asset in page.data], "has_more": page.has_more, "next": page.next}


@router.post(
    "",
    status_code=201,
    max_body_size=uploads.MOST_BYTES,
    response_model=AssetShape,
    responses=described(415, 504),
    openapi_extra=file_body("a picture, sound, film, MIDI or text", "application/octet-stream"),
)
async def upload(
    request: Request,
    here: Here,
    owner: Owner,
    caption: Annotated[
        Text | None, Query(max_length=500, description="what it shows, in words; none: its file name")
    ] = None,
    tags: Annotated[Text, Query(description="separated by commas")] = "",
) -> dict[str, Any]:
    """Put a file into the library: as the body, or as the field `file` of a form."""
    return view(await uploads.take(request, here, owner, caption, tags))


@router.get("/{asset_id}", response_model=AssetShape)
def get_asset(asset_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give an asset with its recipe."""
    return view(find(here, owner, asset_id))


@router.delete("/{asset_id}", status_code=204)
def delete_asset(asset_id: str, here: Here, owner: Owner) -> None:
    """Take an asset out of lists and search; what was made from it keeps its history."""
    if not here.database.transact(lambda c: assets.delete(c, owner, asset_id, now=time.time())):
        raise NotFound(f"there is no asset {asset_id!r}")


@router.get("/{asset_id}/content", response_class=StreamingResponse, responses=bytes_range.ANSWERS)
@router.head("/{asset_id}/content", include_in_schema=False)
def content(asset_id: str, request: Request, here: Here, owner: Owner) -> Response:
    """Give the bytes, whole or a range of them; on S3 perhaps by a link to them."""
    return bytes_range.send(request, here, find(here, owner, asset_id))


@router.get("/{asset_id}/thumbnail", response_class=StreamingResponse, responses=bytes_range.ANSWERS)
def thumbnail(asset_id: str, request: Request, here: Here, owner: Owner) -> Response:
    """Give a small PNG of a picture or a video."""
    asset = find(here, owner, asset_id)
    if asset.thumbnail_sha256 is None:
        raise NotFound(f"asset {asset_id!r} has no thumbnail")
    size_bytes = here.blobs.size(asset.thumbnail_sha256)
    return bytes_range.send_blob(request, here, asset.thumbnail_sha256, size_bytes, "image/png", asset.id)


@router.get("/{asset_id}/lineage", response_model=LineageShape)
def lineage(asset_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give what an asset was made from, and what was made from it."""
    with here.database.read() as connection:
        return history.lineage(connection, owner, asset_id).as_json()


@router.put("/{asset_id}/tags", response_model=AssetShape)
def set_tags(asset_id: str, tags: Tags, here: Here, owner: Owner) -> dict[str, Any]:
    """Replace the tags of an asset."""
    return view(here.database.transact(lambda c: assets.set_tags(c, owner, asset_id, tags.tags)))


@router.post("/{asset_id}/verify", status_code=202, response_model=Run)
def check(asset_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Make an asset again from its recipe and compare the bytes; the run that does it says what came out."""
    asset = find(here, owner, asset_id)
    try:
        spec, _ = verify.checkable(here.tools(owner), asset)
    except InvalidInput as error:
        raise Invalid(str(error)) from error
    return accepting.submit(here, verify.new_run(owner, asset_id, spec.queue))


def find(here: Context, owner: str, asset_id: str) -> Asset:
    """Give an asset of the owner.

    Raises:
        NotFound: there is none of this id.
    """
    with here.database.read() as connection:
        asset = assets.get(connection, owner, asset_id)
    if asset is None:
        raise NotFound(f"there is no asset {asset_id!r}")
    return asset


def view(asset: Asset) -> dict[str, Any]:
    """Give an asset with the addresses of its bytes."""
    small = None if asset.thumbnail_sha256 is None else f"/v1/assets/{asset.id}/thumbnail"
    return {**asset.as_json(), "content_url": f"/v1/assets/{asset.id}/content", "thumbnail_url": small}
