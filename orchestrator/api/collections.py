"""Collections: assets that belong together under a name."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from orchestrator.api import exports
from orchestrator.api import lists as shared
from orchestrator.api.assets import view
from orchestrator.api.context import Here, Owner
from orchestrator.api.lists import Before, Limit
from orchestrator.api.shapes.base import Page, Shown
from orchestrator.api.shapes.library import AssetShape
from store import collections, library
from store.library import Filter

router = APIRouter(prefix="/v1/collections", tags=["collections"])
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=r"^[^\x00]+$")]


class Named(BaseModel):
    """What a collection is called."""

    model_config = ConfigDict(extra="forbid")
    name: Name = Field(description="for people; 1 to 80 characters, and an owner has each name once")


class CollectionShape(Shown):
    """A collection."""

    id: str = Field(description="`collection_…`; ids sort by time")
    name: str = Field(description="for people; an owner has each name once")
    assets: int = Field(description="how many assets are in it")
    created_at: float = Field(description="when it was made, seconds since 1970")


@router.post("", status_code=201, response_model=CollectionShape)
def create(named: Named, here: Here, owner: Owner) -> dict[str, Any]:
    """Make an empty collection."""
    id_ = here.database.transact(lambda c: collections.create(c, owner, named.name, now=time.time()), durable=True)
    return _view(here, owner, id_)


@router.get("", response_model=Page[CollectionShape])
def list_collections(
    here: Here,
    owner: Owner,
    asset: Annotated[str | None, Query(max_length=40, description="only those that this asset is in")] = None,
    before: Before = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List collections, newest first."""
    with here.database.read() as connection:
        return shared.page(
            lambda n: collections.list_(connection, owner, asset_id=asset, before=before, limit=n), limit
        )


@router.get("/{collection_id}", response_model=CollectionShape)
def get_collection(collection_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give a collection with the number of its assets."""
    return _view(here, owner, collection_id)


@router.patch("/{collection_id}", response_model=CollectionShape)
def rename(collection_id: str, named: Named, here: Here, owner: Owner) -> dict[str, Any]:
    """Call a collection by another name."""
    here.database.transact(lambda c: collections.rename(c, owner, collection_id, named.name), durable=True)
    return _view(here, owner, collection_id)


@router.delete("/{collection_id}", status_code=204)
def delete_collection(collection_id: str, here: Here, owner: Owner) -> None:
    """Take a collection away; its assets stay in the library."""
    here.database.transact(lambda c: collections.remove(c, owner, collection_id), durable=True)


@router.get("/{collection_id}/assets", response_model=Page[AssetShape])
def list_assets(
    collection_id: str, here: Here, owner: Owner, before: Before = None, limit: Limit = 50
) -> dict[str, Any]:
    """List the assets of a collection, newest first."""
    with here.database.read() as connection:
        collections.require(connection, owner, collection_id)
        wanted = Filter(collection_id=collection_id)
        page = library.list_(connection, owner, wanted, before=before, limit=limit)
    return {"data": [view(asset) for asset in page.data], "has_more": page.has_more, "next": page.next}


@router.put("/{collection_id}/assets/{asset_id}", response_model=CollectionShape)
def add(collection_id: str, asset_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Put an asset into a collection; doing it twice changes nothing."""
    here.database.transact(lambda c: collections.add(c, owner, collection_id, asset_id, now=time.time()))
    return _view(here, owner, collection_id)


@router.delete("/{collection_id}/assets/{asset_id}", response_model=CollectionShape)
def take_out(collection_id: str, asset_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Take an asset out of a collection; it stays in the library."""
    here.database.transact(lambda c: collections.take_out(c, owner, collection_id, asset_id))
    return _view(here, owner, collection_id)


@router.get("/{collection_id}/export", response_class=StreamingResponse, responses=exports.ZIP_ANSWER)
def export(collection_id: str, here: Here, owner: Owner) -> StreamingResponse:
    """Give a collection as a ZIP file with recipes."""
    name = str(_view(here, owner, collection_id)["name"])
    return exports.send(here, library.all_of(here.database, owner, Filter(collection_id=collection_id)), name)


def _view(here: Here, owner: str, collection_id: str) -> dict[str, Any]:
    with here.database.read() as connection:
        return collections.get(connection, owner, collection_id)
