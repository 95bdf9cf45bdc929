"""The search index, which can be built again at any time."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from orchestrator.api.context import Admin, Here, Owner
from orchestrator.api.shapes.house import IndexState, Rebuilt
from orchestrator.errors import Conflict, StudioNotReady
from store import probe, search
from store.index import IndexDownError

router = APIRouter(prefix="/v1/index", tags=["index"])


@router.get("", response_model=IndexState)
def look(here: Here, owner: Owner) -> dict[str, Any]:
    """Say whether the index can be trusted; it is asked from a process of its own."""
    if here.index is None:
        return {"ok": True, "detail": "is not used; search compares all vectors"}
    fault = probe.probe(here.database, here.index)
    return {"ok": fault is None, "detail": fault or "agrees with SQL"}


@router.post("/rebuild", response_model=Rebuilt, operation_id="rebuild_index")
def rebuild(here: Here, admin: Admin) -> dict[str, Any]:
    """Empty the index and fill it from SQL; searches go on meanwhile."""
    if here.index is None:
        raise Conflict("this studio runs without an index; search compares all vectors")
    try:
        return {"vectors": search.rebuild(here.database, here.index)}
    except IndexDownError as error:
        raise StudioNotReady(f"{error}; see logs/index.log") from error
