"""The networks that this studio has, and the studio itself, which OpenAI's clients talk to as a model."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from orchestrator import listing
from orchestrator.api.context import Context, Here, Owner
from orchestrator.api.openai.asked import STUDIO
from orchestrator.api.shapes.house import ModelShape, ModelsPage
from orchestrator.errors import ModelNotFound

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("", response_model=ModelsPage)
def list_models(here: Here, owner: Owner) -> dict[str, Any]:
    """List the models, the studio first, in OpenAI's shape with fields of our own."""
    return {"object": "list", "data": _all(here), "has_more": False, "next": None}


@router.get("/{model_id:path}", response_model=ModelShape)  # names of language models have slashes
def get_model(model_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give a model by its id."""
    for model in _all(here):
        if model["id"] == model_id:
            return model
    raise ModelNotFound(f"there is no model {model_id!r}", param="model")


def _all(here: Context) -> list[dict[str, Any]]:
    nets = listing.models(here.settings)
    newest = max((model["created"] for model in nets), default=0)
    return [{"id": STUDIO, "object": "model", "created": newest, "owned_by": "atelier", "kind": "studio"}, *nets]
