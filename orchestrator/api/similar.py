"""What resembles an asset."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from orchestrator.api.context import Here, Owner
from orchestrator.api.filters import AskedInQuery
from orchestrator.api.search import MOST, find_hits, wanted_among
from orchestrator.api.shapes.base import Page
from orchestrator.api.shapes.library import Hit

router = APIRouter(prefix="/v1/assets", tags=["assets"])


@router.get("/{asset_id}/similar", response_model=Page[Hit])
def similar(
    asset_id: str,
    here: Here,
    owner: Owner,
    asked: AskedInQuery,
    limit: Annotated[int, Query(ge=1, le=MOST, description="how many at most")] = 20,
) -> dict[str, Any]:
    """List what resembles an asset, nearest first, without itself. What is compared are the captions."""
    wanted = wanted_among(asked, like=asset_id, limit=limit)
    return {"data": find_hits(here, owner, wanted), "has_more": False, "next": None}
