"""A worker process of the studio: `python -m orchestrator.worker --name image`."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator import parts
from orchestrator.errors import SettingsError, StudioError
from orchestrator.settings import Settings, read_settings
from workers.messages import VECTOR_QUEUE

if TYPE_CHECKING:
    from workers.bench import Bench, InnerRunner
    from workers.messages import Messenger

FIRST_LOOK_S, LOOK_EVERY_S = 15.0, 600.0
SOLUTIONS_EVERY_S = 2.0
# Our nets are small: on a busy machine their threads wait for each other far longer than they work (8 pictures decoded
# in 0.7 s with one thread, in 21 s with two), and with a fixed number the same recipe makes the same bytes.
THREAD_LIBRARIES = ("OMP", "MKL", "OPENBLAS")
logger = logging.getLogger("atelier.worker")
QUEUES: Mapping[str, tuple[str, ...]] = {
    "planner": ("planner", VECTOR_QUEUE),
    "image": ("image",),
    "solution": ("solution", "training"),
}


def open_bench(settings: Settings, name: str) -> Bench:
    """Open what a worker works with.

    Raises:
        SettingsError: there is no broker or no index.
    """
    from models import registry
    from store.blobs import Blobs
    from store.database import Database
    from tools import catalog
    from workers.bench import Bench
    from workers.messages import Messenger

    if settings.broker_url is None:
        raise SettingsError("a worker needs a broker: `atelier up` starts one, or set ATELIER_BROKER_URL")
    messenger = Messenger(settings.broker_url, settings.result_url or settings.broker_url)
    return Bench(
        name=f"{name}@{socket.gethostname()}",
        queues=QUEUES[name],
        database=Database(settings.database_url),
        blobs=Blobs(settings.blobs_url),
        index=parts.search_index(settings),
        messenger=messenger,
        specs=catalog.specs(),
        load_encoder=lambda: _encoder(settings, name, messenger),
        load_chat=lambda: parts.chat_model(settings),
        load_model=registry.load,
        inner=_inner(settings, name),
        lease_s=settings.lease_s,
        max_attempts=settings.max_attempts,
        memory_bytes=settings.memory_mb << 20,
    )


def _encoder(settings: Settings, name: str, messenger: Messenger) -> Any:
    """Give the text encoder; the worker that holds no net asks the planner's worker for vectors."""
    if name != "solution":
        return parts.text_encoder(settings)
    from workers.vectors import AskedEncoder

    return AskedEncoder(messenger, parts.text_space(settings))


def _inner(settings: Settings, name: str) -> Mapping[str, InnerRunner]:
    from workers import verify

    runners: dict[str, InnerRunner] = {verify.VERIFY: verify.run}
    if name == "solution":
        from workers import checks, training

        runners |= {checks.CHECK: checks.run, training.TRAIN: training.run}
    if name == "planner":
        from models.language.seam import dialect
        from orchestrator.planner import desk

        runners |= desk.runners(dialect(settings.language_model, base_url=settings.llm_base_url))
    return runners


def _preload(bench: Bench, name: str) -> None:
    """Load what the first request will need while nobody has asked yet; whatever is missing is told by the step."""
    from models import registry

    try:
        if name == "planner":
            load = getattr(bench.chat, "server", None)  # the local model's; others have nothing to load
            if load is not None:
                load()
        elif name == "image":
            for family in registry.families():
                bench.models.get(family)
    except Exception as error:  # noqa: BLE001  # a head start is no promise
        logger.warning("nothing was loaded ahead: %s", error)


def _watch_index(bench: Bench) -> None:
    """Compare the index with SQL from time to time, and build it again where they differ."""
    from store import probe
    from store.index import IndexDownError

    time.sleep(FIRST_LOOK_S)
    while True:
        try:
            probe.ensure(bench.database, bench.index)
        except IndexDownError as error:
            logger.warning("search compares all vectors: %s", error)
        except Exception:
            logger.exception("the index could not be looked at")
        time.sleep(LOOK_EVERY_S)


def _read_documents(bench: Bench) -> None:
    """Keep the passages of documents as the documents are; the first reading of many takes long."""
    from workers import knowledge

    while True:
        try:
            knowledge.refresh_all(bench)
        except Exception:
            logger.exception("the documents could not be looked at")
        time.sleep(SOLUTIONS_EVERY_S)


def _watch_solutions(bench: Bench, settings: Settings) -> None:
    """Write down the solutions that the settings declare, then look at all of them from time to time."""
    from workers import declared, training

    while True:
        try:
            declared.sync(bench.database, settings.solutions)
            break
        except Exception:
            logger.exception("the solutions of the settings could not be written down; trying again")
            time.sleep(FIRST_LOOK_S)
    while True:
        try:
            bench.solutions.watch()
            training.forget_ended(bench)
        except Exception:
            logger.exception("the solutions could not be looked at")
        time.sleep(SOLUTIONS_EVERY_S)


def main() -> int:
    """Work until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.worker")
    parser.add_argument("--name", choices=sorted(QUEUES), required=True)
    name = parser.parse_args().name
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = read_settings()
        for library in THREAD_LIBRARIES:  # read when numpy and torch are imported, which open_bench does
            os.environ[f"{library}_NUM_THREADS"] = str(settings.net_threads)
        bench = open_bench(settings, name)
    except StudioError as error:
        sys.stderr.write(error.message + "\n")
        return 2
    from workers.app import serve

    if settings.preload:
        threading.Thread(target=_preload, args=(bench, name), daemon=True, name="preload").start()
    if name == "planner":
        threading.Thread(target=_watch_index, args=(bench,), daemon=True, name="index").start()
    if name == "solution":
        threading.Thread(target=_read_documents, args=(bench,), daemon=True, name="documents").start()
        threading.Thread(target=_watch_solutions, args=(bench, settings), daemon=True, name="solutions").start()
    slots = {"planner": settings.planner_slots, "image": settings.image_slots, "solution": settings.solution_slots}
    serve(bench, threads=slots[name], warm=name != "solution")
    return 0


if __name__ == "__main__":
    sys.exit(main())
