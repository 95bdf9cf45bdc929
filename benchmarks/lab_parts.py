"""What runs in the processes of the laboratory: `python -m benchmarks.lab_parts worker …`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from benchmarks import lab_tools
from benchmarks.lab_tools import COUNT, DRAIN, ECHO, OWNER, answers_at
from models import registry
from models.embedding import HashEncoder
from orchestrator import parts
from orchestrator.settings import read_settings
from store import runs, transition
from store.blobs import Blobs
from store.database import Database
from store.index import ExactIndex, Index
from store.runs import NewRun
from store.steps import Claim
from store.tables import steps
from tools import catalog
from tools.base import Job, ToolSpec
from workers import app
from workers.bench import Bench
from workers.messages import Messenger
from workers.planned import new_steps
from workers.workshop import StepWorkshop


def open_bench(given: argparse.Namespace) -> Bench:
    """Open what a worker works with: the laboratory's tools and no nets, or the studio's own."""
    if given.real:
        settings = read_settings()
        specs: Mapping[str, ToolSpec] = catalog.specs()
        load_model: Callable[[str], Any] = registry.load
        encoder: Callable[[], Any] = lambda: parts.text_encoder(settings)  # noqa: E731
    else:
        specs, load_model = lab_tools.specs(), _no_model
        encoder = _encoder
    return Bench(
        name=given.name,
        queues=tuple(given.queues or ()),
        database=Database(given.database),
        blobs=Blobs(given.blobs),
        index=_index(),
        messenger=_impatient(Messenger(given.broker, given.results or answers_at(given.broker))),
        specs=specs,
        load_encoder=encoder,
        load_chat=lambda: None,
        load_model=load_model,
        inner=lab_tools.INNER,
        lease_s=given.lease_s,
        max_attempts=given.max_attempts,
    )


def serve(given: argparse.Namespace) -> None:
    """Be a worker until a signal comes."""
    bench = open_bench(given)
    bench.messenger.app.task(_echo, name=ECHO, ignore_result=False)
    bench.messenger.app.task(_count, name=COUNT, ignore_result=True)
    assert given.real or "torch" not in sys.modules, "a worker of the laboratory starts fast"
    logging.getLogger("lab").info("ready")
    app.serve(bench, threads=given.threads, drain_s=float(os.environ.get(DRAIN, "60")))


def draw_bare(given: argparse.Namespace) -> None:
    """Draw pictures in full batches with nothing around: a line of arguments on stdin, the seconds on stdout."""
    bench = open_bench(given)
    spec = bench.specs["generate_image"]
    claim = Claim("step_bare", "run_bare", OWNER, "s1", spec.name, {}, 1, 1, 1, 0)
    workshop = StepWorkshop(bench, claim, quiet=True)
    run = catalog.load(spec.runner)
    for line in sys.stdin:
        jobs = [Job(spec.args.model_validate(args), workshop) for args in json.loads(line)]
        began = time.perf_counter()
        for start in range(0, len(jobs), spec.batch):
            for outcome in run(jobs[start : start + spec.batch]):
                assert isinstance(outcome, list), outcome
        sys.stdout.write(f"{time.perf_counter() - began}\n")
        sys.stdout.flush()


def _echo(text: str) -> str:
    return text


def _count() -> None:
    lab_tools.journal("count")


def _impatient(messenger: Messenger) -> Messenger:
    """Let Redis deliver a message again after a second, so that every step of a test is longer than that."""
    if str(messenger.app.conf.broker_url).startswith("redis"):
        options = {**messenger.app.conf.broker_transport_options, "visibility_timeout": 1}
        messenger.app.conf.broker_transport_options = {**options, "unacked_restore_interval": 1}
    return messenger


def _encoder() -> Any:
    """Give the stand-in for a net: the one that the API is told of, or a small one where there is no API."""
    settings = read_settings()
    return HashEncoder(8) if settings.encoder is None else parts.text_encoder(settings)


def _index() -> Index:
    """Give the index that the environment names, or one of our own."""
    settings = read_settings()
    return ExactIndex() if settings.chroma_host is None else parts.search_index(settings)


def _no_model(family: str) -> Any:
    raise KeyError(family)


def _shift_clock(ahead_s: float) -> None:
    """Let `time.time` of this process be wrong, as the clock of a badly kept machine."""
    right = time.time
    time.time = lambda: right() + ahead_s


def accept_and_die(given: argparse.Namespace) -> None:
    """Be an API that is killed between its commit and its first message."""
    database = Database(given.database)
    plan = {"steps": [{"id": "s1", "tool": "write", "args": {"key": given.name}}], "reply": ""}
    new = NewRun(owner=OWNER, plan=plan, steps=new_steps(plan, lab_tools.specs()))
    accepted, _ = transition.run(database, lambda t: runs.accept(t, new), durable=True)
    sys.stdout.write(accepted.run_id + "\n")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def lock(given: argparse.Namespace) -> None:
    """Lock the steps of a run in a transaction that never ends."""

    def hold(connection: Connection) -> None:
        connection.execute(select(steps.c.id).where(steps.c.run_id == given.name).with_for_update())
        sys.stdout.write("locked\n")
        sys.stdout.flush()
        time.sleep(600)

    Database(given.database).transact(hold)


def api_and_die(given: argparse.Namespace) -> None:
    """Be the real API until it would send its first message."""
    from orchestrator.api import __main__ as api

    def send(*_: Any) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    Messenger.send = send  # type: ignore[method-assign, assignment]
    sys.argv = ["api", "--fd", given.fd]
    api.main()


def main() -> None:
    """Run one process of the laboratory."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab_parts")
    parser.add_argument("part", choices=("worker", "bare", "accept-and-die", "api-and-die", "lock"))
    parser.add_argument("name")
    parser.add_argument("--database")
    parser.add_argument("--broker")
    parser.add_argument("--blobs")
    parser.add_argument("--results")
    parser.add_argument("--fd")
    parser.add_argument("--clock-s", type=float, default=0, help="how far this machine's clock is ahead")
    parser.add_argument("--queues", nargs="+")
    parser.add_argument("--real", action="store_true", help="the studio's own tools and nets")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lease-s", type=float, default=15)
    parser.add_argument("--max-attempts", type=int, default=3)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if given.clock_s:
        _shift_clock(given.clock_s)
    todo: dict[str, Callable[[], None]] = {
        "worker": lambda: serve(given),
        "bare": lambda: draw_bare(given),
        "accept-and-die": lambda: accept_and_die(given),
        "lock": lambda: lock(given),
        "api-and-die": lambda: api_and_die(given),
    }
    todo[given.part]()


if __name__ == "__main__":
    main()
