"""A worker process: `atelier worker --queues image`, or `python -m orchestrator.worker --name image`."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NoReturn

from orchestrator import logs, parts, telemetry
from orchestrator.errors import SettingsError, StudioError
from orchestrator.post import TRAINING, Post, names, post
from orchestrator.settings import Settings, read_settings

if TYPE_CHECKING:
    from workers.bench import Bench, InnerRunner
    from workers.messages import Messenger

FIRST_LOOK_S, LOOK_EVERY_S = 15.0, 600.0
SOLUTIONS_EVERY_S = 2.0
SKEW_S = 1.0  # a clock that differs by more is worth a word: logs and ids go by it
# Our nets are small: on a busy machine their threads wait for each other far longer than they work (8 pictures decoded
# in 0.7 s with one thread, in 21 s with two), and with a fixed number the same recipe makes the same bytes.
THREAD_LIBRARIES = ("OMP", "MKL", "OPENBLAS")
logger = logging.getLogger("atelier.worker")


def open_bench(settings: Settings, to_do: Post) -> Bench:
    """Open what a worker works with.

    Raises:
        SettingsError: there is no broker, no index, or not the device that is wanted.
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
    watch = telemetry.open_watch(settings, to_do.name, metered=False)
    device = _device(settings, to_do)
    return Bench(
        name=f"{to_do.name}@{socket.gethostname()}",
        queues=to_do.queues,
        database=Database(settings.database_url, pool=settings.database_pool, name=f"atelier {to_do.name}"),
        blobs=watch.blobs(Blobs(settings.blobs_url)),
        index=parts.search_index(settings),
        messenger=messenger,
        specs=catalog.specs(),
        load_encoder=lambda: _encoder(settings, to_do, messenger),
        load_chat=lambda: parts.chat_model(settings),
        load_model=lambda family: registry.load(family, device=device["kind"]),
        inner=_inner(settings, to_do),
        lease_s=settings.lease_s,
        max_attempts=settings.max_attempts,
        memory_bytes=settings.memory_mb << 20,
        families=to_do.families,
        version=version("atelier"),
        device=device,
        slots=to_do.slots,
        watch=watch,
    )


def _device(settings: Settings, to_do: Post) -> dict[str, Any]:
    """Give what the nets run on; torch is asked only where a tool of these queues has nets."""
    from models import registry
    from tools import catalog

    if not any(spec.families for spec in catalog.specs().values() if spec.queue in to_do.queues):
        return registry.processor()
    try:
        return registry.device(settings.device)
    except ValueError as error:
        raise SettingsError(f"ATELIER_DEVICE is {settings.device}: {error}") from error


def _encoder(settings: Settings, to_do: Post, messenger: Messenger) -> Any:
    """Give the text encoder; the worker that holds no net asks the planner's worker for vectors."""
    if to_do.holds_nets:
        return parts.text_encoder(settings)
    from workers.vectors import AskedEncoder

    return AskedEncoder(messenger, parts.text_space(settings))


def _inner(settings: Settings, to_do: Post) -> Mapping[str, InnerRunner]:
    from workers import verify

    runners: dict[str, InnerRunner] = {}
    if to_do.families is None:  # whatever tool made an asset makes it again
        runners[verify.VERIFY] = verify.run
    if to_do.minds_solutions:
        from workers import checks

        runners[checks.CHECK] = checks.run
    if TRAINING in to_do.queues:
        from workers import training

        runners[training.TRAIN] = training.run
    if to_do.plans:
        from models.language.seam import dialect
        from orchestrator.planner import desk

        runners |= desk.runners(dialect(settings.language_model, base_url=settings.llm_base_url))
    return runners


def _preload(bench: Bench, to_do: Post) -> None:
    """Load what the first request will need while nobody has asked yet; whatever is missing is told by the step."""
    try:
        load = getattr(bench.chat, "server", None) if to_do.plans else None  # the local model's; others load nothing
        if load is not None:
            load()
        for family in dict.fromkeys(family for tool in bench.offers() for family in _families(bench, tool)):
            bench.models.get(family)
    except Exception as error:  # noqa: BLE001  # a head start is no promise
        logger.warning("nothing was loaded ahead: %s", error)


def _families(bench: Bench, tool: str) -> tuple[str, ...]:
    spec = bench.specs.get(tool)
    return () if spec is None else spec.families


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


def _send_deliveries(bench: Bench, settings: Settings) -> None:
    """Send what webhooks are to hear, for as long as the process lives."""
    from workers.deliveries import Sender

    Sender(bench.database, settings.webhook_origins).run(threading.Event())


def run(settings: Settings, to_do: Post) -> NoReturn:
    """Be a worker until a signal ends it, and the process with it.

    Raises:
        SettingsError: a setting or a part that it needs is missing.
    """
    logs.configure(settings, to_do.name)
    for library in THREAD_LIBRARIES:  # read when numpy and torch are imported, which open_bench does
        os.environ[f"{library}_NUM_THREADS"] = str(settings.net_threads)
    bench = open_bench(settings, to_do)
    from workers.app import serve

    if bench.watch.meters is not None:
        from workers.meters import of_worker

        bench.watch.meters.look_at(lambda: of_worker(bench))
        telemetry.serve_metrics(bench.watch, settings)
    if settings.preload:
        threading.Thread(target=_preload, args=(bench, to_do), daemon=True, name="preload").start()
    if to_do.plans:
        threading.Thread(target=_watch_index, args=(bench,), daemon=True, name="index").start()
    if to_do.minds_solutions:
        threading.Thread(target=_read_documents, args=(bench,), daemon=True, name="documents").start()
        threading.Thread(target=_watch_solutions, args=(bench, settings), daemon=True, name="solutions").start()
        threading.Thread(target=_send_deliveries, args=(bench, settings), daemon=True, name="webhooks").start()
    if abs(skew_s := bench.database.clock.skew_s()) > SKEW_S:
        logger.warning(
            "the clock of this machine is %+.1f s beside the database's; work goes by the database's", skew_s
        )
    serve(bench, threads=to_do.slots, warm=to_do.holds_nets, drain_s=settings.drain_s)
    logging.shutdown()
    os._exit(os.EX_OK)  # all is closed; taking apart what was loaded would cost another second


def main() -> int:
    """Work until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.worker")
    parser.add_argument("--name")
    parser.add_argument("--queues", type=names, default=())
    parser.add_argument("--models", type=names, default=())
    parser.add_argument("--slots", type=int)
    given = vars(parser.parse_args())
    try:
        settings = read_settings()
        run(settings, post(settings, **given))
    except StudioError as error:
        sys.stderr.write(error.message + "\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
