"""Finding assets by meaning."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import func, select

from orchestrator import parts
from orchestrator.api import assets as asset_routes
from orchestrator.api.context import Context, Here, Owner
from orchestrator.errors import Invalid
from store import assets, search, tables
from tools.base import KINDS

router = APIRouter(prefix="/v1/search", tags=["search"])
SMALL_ROWS = search.EXACT_ROWS
Words = Annotated[str, Field(min_length=1, max_length=500)]


class Wanted(BaseModel):
    """What to look for; words and likeness may be joined."""

    model_config = ConfigDict(extra="forbid")
    query: Words | None = Field(None, description="what it shows, in words")
    like: str | None = Field(None, description="the id of an asset: what resembles it")
    kind: str | None = None
    tags: list[str] = Field(default_factory=list, max_length=16)
    limit: int = Field(10, ge=1, le=100)

    @model_validator(mode="after")
    def _known_kind(self) -> Wanted:
        if self.kind is not None and self.kind not in KINDS:
            raise ValueError(f"kind: there is no kind {self.kind!r}; there are {', '.join(KINDS)}")
        return self


@router.post("")
def search_by_body(wanted: Wanted, here: Here, owner: Owner) -> dict[str, Any]:
    """Find assets, nearest first."""
    hits = _search(here, owner, wanted)
    found = [{**asset_routes.view(hit.asset), "score": round(hit.score, 4)} for hit in hits]
    return {"data": found, "has_more": False, "next": None}


@router.get("")
def search_by_query(
    here: Here,
    owner: Owner,
    query: Annotated[Words | None, Query()] = None,
    like: str | None = None,
    kind: str | None = None,
    tags: Annotated[str, Query(description="separated by commas")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> dict[str, Any]:
    """Find assets, nearest first; the same with an address that can be kept."""
    if kind is not None and kind not in KINDS:
        raise Invalid(f"kind: there is no kind {kind!r}; there are {', '.join(KINDS)}", param="kind")
    wanted = Wanted(query=query, like=like, kind=kind, tags=[tag for tag in tags.split(",") if tag], limit=limit)
    return search_by_body(wanted, here, owner)


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
        kind=wanted.kind,
        tags=wanted.tags,
        limit=wanted.limit,
        exclude=() if wanted.like is None else (wanted.like,),
    )
