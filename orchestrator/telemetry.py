"""Opens what a process shows of itself: metrics on a port of their own, traces where the standard variables say so."""

from __future__ import annotations

import logging
import os

from orchestrator.settings import Settings
from workers.watch import Watch

logger = logging.getLogger("atelier.metrics")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def traces_wanted() -> bool:
    """Say whether the standard variables name a place for traces."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not off and any(os.environ.get(name) for name in ENDPOINTS)


def open_watch(settings: Settings, part: str, *, metered: bool) -> Watch:
    """Give the watch of a process; what nobody asked for is not even imported.

    Args:
        part: which process this is: api, worker.
        metered: count also where no port for metrics is set.
    """
    watch = Watch(tells=settings.log_format == "json")
    if metered or settings.metrics_port:
        from prometheus_client import disable_created_metrics

        from workers.meters import Meters

        disable_created_metrics()  # type: ignore[no-untyped-call]

        watch.meters = Meters()
    if traces_wanted():
        from workers.tracing import Tracing

        watch.tracing = Tracing(part, log_prompts=settings.log_prompts)
    return watch


def serve_metrics(watch: Watch, settings: Settings) -> int | None:
    """Show the metrics without a key on `metrics_port`, and give the port; a port that is taken stops no work."""
    if not settings.metrics_port or watch.meters is None:
        return None
    from prometheus_client import start_http_server

    try:
        server, _ = start_http_server(settings.metrics_port, settings.host, watch.meters.registry)
    except OSError as error:
        logger.warning("no metrics on %s port %d: %s", settings.host, settings.metrics_port, error.strerror)
        return None
    return int(server.server_port)
