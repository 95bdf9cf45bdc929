"""Looks at every part that the studio needs, quickly and without a net."""

from __future__ import annotations

import http.client
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.api.context import Context
from store import presence

QUEUES = ("planner", "image", "solution")
TIMEOUT_S = 1.0


def look(here: Context) -> dict[str, dict[str, Any]]:
    """Give for each part whether it is there, and in words what is missing."""
    parts = {"broker": _broker(here), "index": _index(here)}
    try:
        with here.database.read() as connection:
            served = {queue for worker in presence.fresh(connection) for queue in worker["queues"]}
    except SQLAlchemyError as error:
        return {"database": _absent(f"cannot be read: {error.__class__.__name__}"), **parts}
    parts["database"] = _there()
    for queue in QUEUES:
        parts[f"{queue} worker"] = _there() if queue in served else _absent("has not come yet, or no longer answers")
    return parts


def _there(detail: str = "is there") -> dict[str, Any]:
    return {"ok": True, "detail": detail}


def _absent(detail: str) -> dict[str, Any]:
    return {"ok": False, "detail": detail}


def _broker(here: Context) -> dict[str, Any]:
    try:
        with here.messenger.app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=TIMEOUT_S)
            connection.default_channel.close()
    except Exception as error:  # noqa: BLE001  # each transport raises its own
        return _absent(f"does not answer: {error}")
    return _there()


def _index(here: Context) -> dict[str, Any]:
    """Search works without the index, only slower: its absence is told and is no reason to wait."""
    host = here.settings.chroma_host
    if host is None:
        return _there("is not used; search compares all vectors")
    connection = http.client.HTTPConnection(host, here.settings.chroma_port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/api/v2/heartbeat")
        there = connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        there = False
    finally:
        connection.close()
    return _there("is there" if there else "does not answer; search compares all vectors meanwhile")
