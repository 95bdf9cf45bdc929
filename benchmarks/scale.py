"""How the studio grows: `python -m benchmarks.scale [--quick] [--only claims steps events memory]`.

It starts private servers (PostgreSQL, RabbitMQ, Redis or Valkey) and measures: a claim among 100 and among 100,000
waiting steps; no-op steps a second with 1, 2 and 4 workers, beside bare Celery with the same settings on the same
servers; from a commit to the client that follows; and whether memory stays flat over 10,000 steps. It gives 1 where
something was lost, or memory or claims grew.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import following, memory, waiting
from benchmarks.lab import Lab, postgresql
from benchmarks.lab_tools import COUNT
from benchmarks.orchestration import Line, show
from benchmarks.processes import wait_for
from benchmarks.scale_model import Costs, costs_of
from benchmarks.servers import PostgreSQL, RabbitMQ, Redis, Server, all_running
from store import runs
from store.database import Database
from store.schema import migrate

WORKERS = (1, 2, 4)
TIMES_SLOWER = 2.0  # a claim among the most waiting steps, at the most
WAIT_S = 600.0
WIDE = 52  # of the first column
TICKS_HZ = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    queued: Sequence[int]
    claims: int
    steps: int
    cases: Sequence[waiting.Case]
    followers: int
    memory_steps: int


FULL = Size((100, 1_000, 10_000, 100_000), 500, 300, waiting.CASES, 200, 10_000)
QUICK = Size((100, 2_000), 40, 60, waiting.CASES[:2], 10, 0)


@dataclass(frozen=True)
class Place:
    """Servers that run, and a folder."""

    folder: Path
    database: str
    brokers: dict[str, str]
    pids: dict[str, int]
    costs: Path | None = None


def main() -> int:
    """Measure, print the table, and give 1 if something was lost or grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers: does it work at all?")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--json", type=Path, help="also write the lines to this file")
    parser.add_argument("--costs", type=Path, help="write what a step costs to this file, for benchmarks.scale_model")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    lines: list[Line] = []
    with place(given.costs) as here:
        for part in given.only:
            for line in PARTS[part](here, size):
                show([line], WIDE)
                lines.append(line)
    if given.json:
        given.json.write_text(json.dumps([asdict(line) for line in lines], indent=1))
    return 1 if any(line.ok is False for line in lines) else 0


@contextlib.contextmanager
def place(costs: Path | None) -> Iterator[Place]:
    """Start private servers, and take them away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    sql, rabbit, redis = (one(folder / one.__name__.lower()) for one in (PostgreSQL, RabbitMQ, Redis))
    servers: tuple[Server, ...] = (sql, rabbit, redis)
    try:
        with all_running(*servers):
            pids = {one.name: one.running.pid for one in servers if one.running is not None}
            yield Place(folder, sql.url, {"RabbitMQ": rabbit.url, "Redis": redis.url}, pids, costs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# Claims


def claims(here: Place, size: Size) -> Iterator[Line]:
    """Measure claims on both databases, in every way to wait."""
    for kind in ("SQLite", "PostgreSQL"):
        for case in size.cases:
            with contextlib.ExitStack() as stack:
                databases = [stack.enter_context(_filled(here, kind, case, number)) for number in size.queued]
                took_ms = 1000 * waiting.measure(databases, case, size.claims)
            yield _claim_line(f"claim, {kind}, {case.name}", size.queued, took_ms)


@contextlib.contextmanager
def _filled(here: Place, kind: str, case: waiting.Case, number: int) -> Iterator[Database]:
    with contextlib.ExitStack() as stack:
        if kind == "SQLite":
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=here.folder))
            url = f"sqlite:///{folder}/waiting.db"
        else:
            url = stack.enter_context(postgresql(here.database))
        database = Database(url)
        stack.callback(database.close)
        migrate(database)
        database.transact(lambda connection: waiting.fill(connection, case, 0, number))
        yield database


def _claim_line(what: str, sizes: Sequence[int], took_ms: np.ndarray) -> Line:
    p50, p99 = np.percentile(took_ms, (50, 99), axis=1)
    said = "; ".join(f"{n:,}: {a:.1f}/{b:.1f}" for n, a, b in zip(sizes, p50, p99, strict=True))
    slower = p99[-1] / p99[0]
    return Line(
        what, f"p50/p99 ms {said}; {slower:.2f} times", f"≤ {TIMES_SLOWER:.0f} times", bool(slower <= TIMES_SLOWER)
    )


# Steps a second


def steps(here: Place, size: Size) -> Iterator[Line]:
    """Measure no-op steps a second beside bare Celery tasks, with more and more workers."""
    for name in here.brokers:
        yield from _with_broker(here, name, size.steps)


def _with_broker(here: Place, name: str, number: int) -> Iterator[Line]:
    rates: dict[int, float] = {}
    cores: dict[int, float] = {}
    costs: Costs | None = None
    with postgresql(here.database) as url, Lab(database_url=url, broker_url=here.brokers[name], lease_s=15) as lab:
        for workers in WORKERS:
            while len(lab.processes) < workers:
                lab.start_worker(f"w{len(lab.processes) + 1}")
            lab.wait_ready(*lab.processes)
            _queue(lab, number // 10)
            _ours(lab, number // 10)
            _queue(lab, number)
            before, all_before = _cpu_s(here, lab, name), all_cpu_s()
            ours = _ours(lab, number)
            spent = (_cpu_s(here, lab, name) - before) / number
            others = (all_cpu_s() - all_before) * ours / number - spent.sum() * ours
            cores[workers] = CORES - others
            bare = _bare(lab, number)
            rates[workers] = ours
            costs = costs or costs_of(spent, ours)
            what = f"no-op steps, PostgreSQL and {name}, {workers} worker{'s' * (workers > 1)}"
            said = f"{ours:.0f} a second; bare Celery {bare:.0f}; {ours / bare:.2f} of it"
            yield Line(what, said)
            said = f"{_each_ms(spent)}; others left us {cores[workers]:.1f} cores"
            yield Line("  processor a step: worker, database, broker", said)
        verdict = lab.verdict()
        yield Line(f"correctness, {name}", str(verdict), "all 0", verdict.well)
    if here.costs and costs and name == "RabbitMQ":
        found = {"costs": asdict(costs), "cores": cores, "rates": rates}
        here.costs.write_text(json.dumps(found, indent=1))


def _cpu_s(here: Place, lab: Lab, broker: str) -> np.ndarray:
    """Give the processor seconds that the workers, the database and the broker have used. (3,) float64."""
    workers = sum(cpu_s(lab.pid(name) or 0) for name in lab.processes)
    return np.array([workers, cpu_s(here.pids["postgresql"]), cpu_s(here.pids[broker.lower()])])


def _each_ms(spent: np.ndarray) -> str:
    return ", ".join(f"{1000 * value:.1f} ms" for value in spent)


def cpu_s(pid: int) -> float:
    """Give the processor seconds of a process and of all below it, those that ended included."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        tasks = Path(f"/proc/{pid}/task").iterdir()
        below = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(part) for part in stat[11:15]) / TICKS_HZ + sum(cpu_s(child) for child in below)


def all_cpu_s() -> float:
    """Give the processor seconds that all processes of the machine have used."""
    user, nice, system, _, _, irq, softirq, *_ = (int(word) for word in Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq) / TICKS_HZ


def _queue(lab: Lab, number: int) -> None:
    """Let no-op steps wait, of which nobody was told; all at once, or idle workers find the first before the last."""
    new = lab.new_run({"tool": "noop", "args": {}})
    lab.change(lambda t: [runs.accept(t, new) for _ in range(number)], send=False)


def _ours(lab: Lab, number: int) -> float:
    """Tell of the steps that wait; give how many of them ended a second."""
    began = time.perf_counter()
    lab.send_due()
    wait_for(lambda: lab.open_runs() == 0, "the steps", WAIT_S)
    return number / (time.perf_counter() - began)


def _bare(lab: Lab, number: int) -> float:
    """Send bare tasks; give how many ended a second."""
    seen = len(lab.calls())
    began = time.perf_counter()
    with lab.messenger.app.producer_or_acquire() as producer:
        for _ in range(number):
            lab.messenger.app.send_task(COUNT, queue=lab.queue, ignore_result=True, producer=producer)
    wait_for(lambda: len(lab.calls()) >= seen + number, "the tasks", WAIT_S)
    return number / (time.perf_counter() - began)


PARTS: dict[str, Callable[[Place, Size], Iterable[Line]]] = {
    "claims": claims,
    "steps": steps,
    "events": lambda here, size: following.measure(here.database, here.brokers["RabbitMQ"], size.followers),
    "memory": lambda here, size: memory.measure(here.database, here.brokers["RabbitMQ"], size.memory_steps),
}

if __name__ == "__main__":
    sys.exit(main())
