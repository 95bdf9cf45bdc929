"""Which workers are there, and what each of them can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from orchestrator.api.context import Here, Known, Owner
from orchestrator.api.shapes.base import Page
from orchestrator.api.shapes.house import WorkerShape
from store import keys, presence

router = APIRouter(prefix="/v1/workers", tags=["workers"])


@router.get("", response_model=Page[WorkerShape], response_model_exclude_unset=True)
def list_workers(here: Here, _: Owner, caller: Known) -> dict[str, Any]:
    """List the workers that answer; only an admin sees on which machines they are."""
    with here.database.read() as connection:
        rows = presence.fresh(connection, presence.GONE_S)
    data = [worker_view(row, shows_hosts=caller.may(keys.ADMIN)) for row in rows]
    return {"data": data, "has_more": False, "next": None}


def worker_view(row: Mapping[str, Any], *, shows_hosts: bool) -> dict[str, Any]:
    """Give a worker as clients see it; what a worker of the release before does not say is null."""
    shown = {
        "id": row["name"] if shows_hosts else row["name"].partition("@")[0],
        "queues": row["queues"],
        "tools": row["tools"],
        "may_load": row["families"],
        "loaded": row["models"],
        "device": row["device"],
        "slots": row["slots"],
        "busy": row["busy"],
        "draining": bool(row["draining"]),
        "version": row["version"],
        "started_at": row["started_at"],
        "seen_at": row["seen_at"],
    }
    return {**shown, "host": row["host"], "pid": row["pid"]} if shows_hosts else shown
