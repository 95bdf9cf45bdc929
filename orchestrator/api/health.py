"""Whether the process lives, and whether the studio can work."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from orchestrator.api import readiness
from orchestrator.api.context import Here, Stranger
from orchestrator.api.shapes.house import Health, Readiness

router = APIRouter(tags=["health"])
Of = Annotated[Literal["studio", "api"], Query(description="all parts, or what this process alone needs")]
UNTOLD = "is told to who shows a key"


@router.get("/healthz", response_model=Health)
def healthz() -> dict[str, Any]:
    """Say that this process answers."""
    return {"ok": True, "version": version("atelier")}


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "A part that is needed is missing."}},
)
def readyz(request: Request, here: Here, stranger: Stranger, of: Of = "studio") -> JSONResponse:
    """Say whether every part is there; 503 while a needed one is missing. `of=api`: what this process alone needs."""
    look = readiness.look if of == "studio" else readiness.look_at_api
    glance: readiness.Glance = request.app.state.glances[of]
    parts = glance.parts() if stranger else look(here)
    ready = all(part["ok"] for part in parts.values())
    if stranger:  # why may name addresses
        parts = {name: {"ok": part["ok"], "detail": UNTOLD} for name, part in parts.items()}
    return JSONResponse({"ok": ready, "parts": parts}, 200 if ready else 503)
