"""Finding assets by meaning."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from pydantic import Field, ValidationError
from sqlalchemy import func, select

from orchestrator import parts
from orchestrator.api import assets as asset_routes
from orchestrator.api.context import Context, Here, Owner, Reader
from orchestrator.api.filters import Asked, AskedInQuery
from orchestrator.api.shapes.base import Page
from orchestrator.api.shapes.library import Hit
from orchestrator.api.texts import Text
from orchestrator.errors import Invalid, described
from store import assets, search, tables

router = APIRouter(prefix="/v1/search", tags=["search"])
SMALL_ROWS = search.EXACT_ROWS
MOST = 100
Words = Annotated[str, Field(min_length=1, max_length=500)]


class Wanted(Asked):
    """What to look for, among what; words and likeness may be joined."""

    query: Words | None = Field(None, description="what it shows, in words")
    like: Text | None = Field(None, max_length=40, description="id of an asset: what resembles it")
    limit: int = Field(10, ge=1, le=MOST, description="how many at most")


@router.post("", response_model=Page[Hit], responses=described(504), operation_id="search")
def search_by_body(wanted: Wanted, here: Here, owner: Reader) -> dict[str, Any]:
    """Find assets, nearest first."""
    return {"data": find_hits(here, owner, wanted), "has_more": False, "next": None}


@router.get("", response_model=Page[Hit], responses=described(504), operation_id="search_by_address")
def search_by_query(
    here: Here,
    owner: Owner,
    asked: AskedInQuery,
    query: Annotated[Words | None, Query(description="what it shows, in words")] = None,
    like: Annotated[str | None, Query(max_length=40, description="id of an asset: what resembles it")] = None,
    tags: Annotated[Text, Query(max_length=1400, description="separated by commas; the same as several `tag`")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST, description="how many at most")] = 10,
) -> dict[str, Any]:
    """Find assets, nearest first; the same with an address that can be kept."""
    both = [*asked.tags, *(tag for tag in tags.split(",") if tag.strip())]
    return search_by_body(wanted_among(asked, tags=both, query=query, like=like, limit=limit), here, owner)


def wanted_among(asked: Asked, **more: Any) -> Wanted:
    """Join what is looked for with what it must be.

    Raises:
        Invalid: there are too many tags, or one is too long.
    """
    try:
        return Wanted.model_validate({**asked.model_dump(by_alias=True), **more})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise Invalid(f"{fault['loc'][0]}: {fault['msg']}", param=str(fault["loc"][0])) from error


def find_hits(here: Context, owner: str, wanted: Wanted) -> list[dict[str, Any]]:
    """Give what was found as clients see it, nearest first."""
    return [{**asset_routes.view(hit.asset), "score": round(hit.score, 4)} for hit in _search(here, owner, wanted)]


def _is_large(here: Context, owner: str) -> bool:
    """Say whether asking the index is quicker than comparing with all vectors of an owner."""
    with here.database.read() as connection:
        some = select(tables.vectors.c.asset_id).where(tables.vectors.c.owner == owner).limit(SMALL_ROWS + 1)
        return connection.execute(select(func.count()).select_from(some.subquery())).scalar_one() > SMALL_ROWS


def _search(here: Context, owner: str, wanted: Wanted) -> list[search.Hit]:
    space = parts.text_space(here.settings)
    vector: np.ndarray | None = None
    if wanted.like is not None:
        asset = asset_routes.find(here, owner, wanted.like)
        with here.database.read() as connection:
            vector = assets.vector(connection, asset.id, space)
        if vector is None:
            raise Invalid(f"like: asset {asset.id!r} has no vector to compare with", param="like")
    if wanted.query is not None:
        words = np.asarray(here.messenger.vector(wanted.query), np.float32)
        vector = words if vector is None else vector + words
    return search.search(
        here.database,
        here.index if vector is not None and _is_large(here, owner) else None,
        owner=owner,
        space=space,
        vector=vector,
        wanted=wanted.as_filter(here, owner),
        limit=wanted.limit,
        exclude=() if wanted.like is None else (wanted.like,),
    )
