"""Gives each request an id, a log line, its counts, and a span."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any
from uuid import uuid4

from prometheus_client import Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.logs import ACCESS
from workers.about import about
from workers.meters import SECONDS, Meters
from workers.watch import Watch

logger = logging.getLogger("atelier.api")
access = logging.getLogger(ACCESS)
HEADER = "x-request-id"
SANE = re.compile(r"[A-Za-z0-9._:/=+-]{1,128}")
PROBES = {"/healthz", "/readyz", "/metrics"}  # asked every few seconds by machines: no line in the log, no span
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
NO_ROUTE = "none"


class RequestMeters:
    """The meters of requests, beside the others of the process."""

    def __init__(self, meters: Meters) -> None:
        self.registry = meters.registry
        r: dict[str, Any] = {"registry": meters.registry}
        labels = ("method", "route")
        self.requests = Counter("atelier_http_requests", "Requests that were answered.", (*labels, "status"), **r)
        self.seconds = Histogram("atelier_http_seconds", "Until the answer began.", labels, buckets=SECONDS, **r)
        self.followers = Gauge("atelier_followers", "Clients that follow events.", **r)


class Seen:
    """Stands before the whole application."""

    def __init__(self, app: ASGIApp, watch: Watch, meters: RequestMeters) -> None:
        self.app = app
        self._watch = watch
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, and tell of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(HEADER, "")
        request_id = given if SANE.fullmatch(given) else uuid4().hex
        turn = _Turn(scope, send, request_id, self._meters)
        tracing = None if scope["path"] in PROBES else self._watch.tracing
        with about(request=request_id), tracing.request(scope["method"], headers) if tracing else nullcontext() as span:
            try:
                await self.app(scope, receive, turn.send)
            except Exception as error:
                logger.error("a bug in %s %r", scope["method"], scope["path"], exc_info=error)
                turn.status = turn.status or 500
                raise
            finally:
                turn.ended()
                if span is not None:
                    span.update_name(f"{scope['method']} {turn.route}")
                    span.set_attributes({"http.route": turn.route, "atelier.request": request_id, **turn.outcome()})


class _Turn:
    """One request from its head to the end of its answer."""

    def __init__(self, scope: Scope, send: Send, request_id: str, meters: RequestMeters) -> None:
        self.status = 0
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._meters = meters
        self._began = time.perf_counter()
        self._head_s: float | None = None
        self._follows = False

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on; its head gets the request's id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._head_s = time.perf_counter() - self._began
            headers = MutableHeaders(scope=message)
            headers[HEADER] = self._request_id
            if headers.get("content-type", "").startswith("text/event-stream"):
                self._follows = True
                self._meters.followers.inc()
        await self._send(message)

    @property
    def route(self) -> str:
        """The route's template: a path would be a new label for each id."""
        path: str = getattr(self._scope.get("route"), "path", NO_ROUTE)
        return path

    def outcome(self) -> Mapping[str, Any]:
        """Give what the span says of the answer."""
        return {"http.response.status_code": self.status} if self.status else {}

    def ended(self) -> None:
        """Count the request, and write its line."""
        took_s = time.perf_counter() - self._began
        method = self._scope["method"] if self._scope["method"] in METHODS else "other"
        self._meters.requests.labels(method, self.route, str(self.status)).inc()
        self._meters.seconds.labels(method, self.route).observe(took_s if self._head_s is None else self._head_s)
        if self._follows:
            self._meters.followers.dec()
        level = logging.WARNING if self.status >= 500 else logging.DEBUG if self.route in PROBES else logging.INFO
        fields = {"method": method, "route": self.route, "status": self.status, "ms": round(1000 * took_s, 1)}
        access.log(level, "%s %s %d", method, self.route, self.status, extra={"fields": fields})
