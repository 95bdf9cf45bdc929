"""Looks at every part that the studio needs, quickly and without a net.

One machine is ready when all of it is there. Of many machines an API is ready when it can accept requests: they are
done when a worker comes, so a worker that is away, or scaled to zero, takes no API out of the load balancer.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.api.context import Context
from store import presence, schema
from store.blobs import BlobsDown

QUEUES = ("planner", "image", "solution")
TIMEOUT_S = 1.0
KEEP_S = 1.0  # between two looks for strangers
BROKER_S = 2.0


class Glance:
    """What was seen last: however many strangers ask, the servers are asked once a second, by one of them."""

    def __init__(self, look: Callable[[], dict[str, dict[str, Any]]]) -> None:
        self._look = look
        self._looking = Lock()
        self._seen: dict[str, dict[str, Any]] = {}
        self._until = 0.0  # on the monotonic clock

    def parts(self) -> dict[str, dict[str, Any]]:
        """Give for each part whether it is there, seen within the last second or being looked at now."""
        if not self._looking.acquire(blocking=not self._seen):
            return self._seen
        try:
            if time.monotonic() >= self._until:
                self._seen = self._look()
                self._until = time.monotonic() + KEEP_S
            return self._seen
        finally:
            self._looking.release()


def look(here: Context) -> dict[str, dict[str, Any]]:
    """Give for each part whether it is there, and in words what is missing."""
    parts = {"broker": _broker(here), "index": _index(here), "blobs": _blobs(here)}
    try:
        with here.database.read() as connection:
            parts["database"] = _schema(connection)
            served = {queue for worker in presence.fresh(connection) for queue in worker["queues"]}
    except SQLAlchemyError as error:
        return {**parts, "database": _absent(f"cannot be read: {error.__class__.__name__}")}
    for queue in QUEUES:
        parts[f"{queue} worker"] = _there() if queue in served else _absent("has not come yet, or no longer answers")
    return parts


def look_at_api(here: Context) -> dict[str, dict[str, Any]]:
    """Give the parts without which this process can accept nothing, and the broker as a warning."""
    try:
        with here.database.read() as connection:
            parts = {"database": _schema(connection)}
    except SQLAlchemyError as error:
        parts = {"database": _absent(f"cannot be read: {error.__class__.__name__}")}
    broker = _broker(here)
    parts["broker"] = broker if broker["ok"] else _there(f"{broker['detail']}; what is accepted waits in the database")
    return parts


def _schema(connection: Connection) -> dict[str, Any]:
    """A newer schema is fine, because a release only adds to it; with an older one nothing works."""
    found, needed = schema.revision(connection), schema.head()
    if found is None or found < needed:
        return _absent(f"has schema {found}, and {needed} is needed: run `atelier migrate`")
    return _there()


def _there(detail: str = "is there") -> dict[str, Any]:
    return {"ok": True, "detail": detail}


def _absent(detail: str) -> dict[str, Any]:
    return {"ok": False, "detail": detail}


def _broker(here: Context) -> dict[str, Any]:
    """Look at the broker, but not for long: one that is frozen must not make an API look dead to its load balancer."""
    looking = ThreadPoolExecutor(1)
    try:
        return looking.submit(_reach, here).result(BROKER_S)
    except TimeoutError:
        return _absent(f"does not answer within {BROKER_S:.0f} s")
    finally:
        looking.shutdown(wait=False)


def _reach(here: Context) -> dict[str, Any]:
    try:
        with here.messenger.app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=TIMEOUT_S)
            connection.default_channel.close()
    except Exception as error:  # noqa: BLE001  # each transport raises its own
        return _absent(f"does not answer: {error}")
    return _there()


def _blobs(here: Context) -> dict[str, Any]:
    try:
        here.blobs.check()
    except BlobsDown as error:
        return _absent(str(error))
    return _there()


def _index(here: Context) -> dict[str, Any]:
    """Search works without the index, only slower: its absence is told and is no reason to wait."""
    if here.settings.index == "pgvector":
        return _there("lies in the database")
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
