"""The networks that this studio has."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from orchestrator import listing
from orchestrator.api.context import Here, Owner
from orchestrator.errors import NotFound

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
def list_models(here: Here, owner: Owner) -> dict[str, Any]:
    """List the models, in OpenAI's shape with fields of our own."""
    return {"object": "list", "data": listing.models(here.settings), "has_more": False, "next": None}


@router.get("/{model_id}")
def get_model(model_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give a model by its id."""
    for model in listing.models(here.settings):
        if model["id"] == model_id:
            return model
    raise NotFound(f"there is no model {model_id!r}")
