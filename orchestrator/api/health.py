"""Whether the process lives, and whether the studio can work."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from orchestrator.api import readiness
from orchestrator.api.context import Here

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, Any]:
    """Say that this process answers."""
    return {"ok": True, "version": version("atelier")}


@router.get("/readyz")
def readyz(here: Here) -> JSONResponse:
    """Say whether every part is there; 503 while a needed one is missing."""
    parts = readiness.look(here)
    ready = all(part["ok"] for part in parts.values())
    return JSONResponse({"ok": ready, "parts": parts}, 200 if ready else 503)
