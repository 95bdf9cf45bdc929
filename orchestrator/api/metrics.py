"""What Prometheus reads of an API process: its own counts, and the state of the studio as SQL tells it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.api.context import Context, Reader
from orchestrator.api.described import bytes_of
from store.load import Load, load
from workers.meters import connections, gauge

router = APIRouter(tags=["health"])
KEEP_S = 5.0  # between two looks at SQL, however many ask


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: bytes_of("The metrics.", "text/plain")},
)
def metrics(request: Request, _: Reader) -> Response:
    """Give the metrics of this process and of the studio in Prometheus' text format."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    return Response(generate_latest(request.app.state.registry), headers={"content-type": CONTENT_TYPE_LATEST})


class StudioLook:
    """Looks at SQL and at the disk when it is asked, but not more often than every few seconds."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: Load | None = None
        self._next = 0.0

    def __call__(self) -> Iterable[Any]:
        """Give the gauges; without SQL those that need none."""
        yield gauge("atelier_info", "This release.", ("version",), {version("atelier"): 1.0})
        yield from connections(self._context.database)
        yield from self._disk()
        seen = self._load()
        yield gauge("atelier_database_up", "SQL answers.", (), {"": float(seen is not None)})
        if seen is not None:
            yield from _gauges(seen)

    def _load(self) -> Load | None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + KEEP_S
            try:
                with self._context.database.read() as connection:
                    self._seen = load(connection, self._context.database.clock.now())
            except SQLAlchemyError:
                self._seen = None
        return self._seen

    def _disk(self) -> Iterable[Any]:
        settings = self._context.settings
        places = {"home": settings.home}
        if "://" not in settings.blobs_url:
            places["blobs"] = Path(settings.blobs_url)
        disks = {place: shutil.disk_usage(path) for place, path in places.items() if path.exists()}
        free = {place: float(disk.free) for place, disk in disks.items()}
        size = {place: float(disk.total) for place, disk in disks.items()}
        yield gauge("atelier_disk_free_bytes", "Free space below a folder of the studio.", ("place",), free)
        yield gauge("atelier_disk_bytes", "Size of the disk below a folder of the studio.", ("place",), size)


def _gauges(seen: Load) -> Iterable[Any]:
    by_queue: tuple[tuple[str, str, Mapping[str, float]], ...] = (
        ("atelier_queue_waiting", "Steps that could be claimed now.", seen.waiting),
        ("atelier_queue_oldest_seconds", "How long the oldest of them waits.", seen.oldest_s),
        ("atelier_queue_running", "Steps that workers hold.", seen.running),
        ("atelier_queue_expired", "Steps whose lease ended and that nobody took back yet.", seen.expired),
        ("atelier_workers", "Workers that are there and take work.", seen.workers),
        ("atelier_worker_slots", "Steps that they can hold at once.", seen.slots),
        ("atelier_worker_busy", "Steps that they hold.", seen.busy),
    )
    queues = {queue for _, _, values in by_queue for queue in values}  # zero is told too: nothing else ends an alert
    for name, says, values in by_queue:
        yield gauge(name, says, ("queue",), {queue: float(values.get(queue, 0)) for queue in queues})
    yield gauge("atelier_runs_open", "Runs that have not ended.", ("status",), seen.runs)
    yield gauge("atelier_outbox_due", "Wake-up calls that wait to be sent again.", (), {"": float(seen.calls_due)})
    pending = {"": float(seen.vectors_pending)}
    yield gauge("atelier_vectors_pending", "Vectors that the search index does not have yet.", (), pending)
