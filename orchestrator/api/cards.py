"""What is written about each network: what it does, what it learned from, how good it is, and what it cannot do."""

from __future__ import annotations

from fastapi import APIRouter, Response

from orchestrator import listing
from orchestrator.api.context import Here, Owner
from orchestrator.errors import NotFound

router = APIRouter(prefix="/v1/models", tags=["models"])
MARKDOWN = "text/markdown; charset=utf-8"
ANSWER = {
    "description": "the card",
    "content": {"text/markdown": {"schema": {"type": "string", "contentMediaType": "text/markdown"}}},
}


@router.get("/{model_id}/card", response_class=Response, responses={200: ANSWER})
def get_card(model_id: str, here: Here, owner: Owner) -> Response:
    """Give the card of a model, in Markdown."""
    names = [model["id"] for model in listing.models(here.settings)]
    if model_id not in names:
        raise NotFound(f"there is no model {model_id!r}; there are {', '.join(names)}", param="model_id")
    card = listing.card(model_id)
    if card is None:
        raise NotFound(f"the model {model_id!r} has no card here", param="model_id")
    return Response(card.read_bytes(), media_type=MARKDOWN)
