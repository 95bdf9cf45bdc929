"""What the studio's own work costs: `python -m benchmarks.orchestration [--database URL]`.

Each figure stands beside something bare that was measured in the same run: a Celery round trip on the same broker and
the same pool, and the same runner on full batches without queue, rows and blobs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from benchmarks.lab import ONE_THREAD, Lab, echo, postgresql, wait_for
from store import presence, runs
from store.tables import runs as run_rows
from tools import catalog

WARM_UP = 30
ROUND_TRIPS = 300
AT_ONCE = 500
POLL_S = 0.0005
ROUNDS = 3
PICTURES = 64
STEPS = 1000
PROMPTS = ("happy cat", "red car", "sun", "sleeping dog", "tree", "pizza", "rocket", "heart")
STATUS = select(run_rows.c.status).where(run_rows.c.id == bindparam("of_run"))


@dataclass(frozen=True)
class Line:
    """A line of the table; `ok` is None where nothing was promised."""

    what: str
    measured: str
    target: str = ""
    ok: bool | None = None


def main() -> int:
    """Measure, print the table, and give 1 if something was lost, doubled, or loaded too often."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orchestration", description=__doc__)
    parser.add_argument("--database", help="a PostgreSQL server's URL; none: SQLite")
    parser.add_argument("--broker", help="a broker's URL; none: a private server")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    given = parser.parse_args()
    lines: list[Line] = []
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgresql(given.database)) if given.database else None
        lab = stack.enter_context(Lab(database_url=url, broker_url=given.broker, lease_s=15))
        for part in given.only:
            lines += PARTS[part](lab)
        verdict = lab.verdict()
        lines.append(Line("correctness", str(verdict), "all 0", verdict.well))
    show(lines)
    return 0 if all(line.ok is not False for line in lines if line.what in MUST) else 1


LOADS = "model loads"
MUST = {"correctness", LOADS}


def overhead(lab: Lab) -> list[Line]:
    """Measure a run of one no-op step from its acceptance to its end, and a bare round trip, in turns; then many."""
    lab.start_worker("w1")
    lab.wait_ready("w1")
    ours: list[float] = []
    bare: list[float] = []
    for turn in range(WARM_UP + ROUND_TRIPS):
        for times, work in ((ours, one_run), (bare, echo)):
            began = time.perf_counter()
            work(lab)
            if turn >= WARM_UP:
                times.append(1000 * (time.perf_counter() - began))
    p50 = statistics.median(ours)
    return [
        Line("a run of one no-op step", spread(ours), "p50 ≤ 15 ms", p50 <= 15),
        Line("a bare Celery round trip", spread(bare)),
        *throughput(lab),
    ]


def one_run(lab: Lab) -> None:
    """Accept a run of one no-op step, as the API does, and see its end."""
    run_id = lab.accept(lab.new_run({"tool": "noop", "args": {}}))
    while True:
        with lab.database.read() as connection:
            if connection.execute(STATUS, {"of_run": run_id}).scalar_one() not in runs.OPEN_RUN:
                return
        time.sleep(POLL_S)


def throughput(lab: Lab) -> list[Line]:
    """Queue many runs, then send their calls and see the last end."""
    ids = [lab.accept(lab.new_run({"tool": "noop", "args": {}}), send=False) for _ in range(AT_ONCE)]
    began = time.perf_counter()
    lab.send_due()
    lab.wait(*ids, timeout_s=120)
    ours = AT_ONCE / (time.perf_counter() - began)
    began = time.perf_counter()
    echo(lab, AT_ONCE)
    bare = AT_ONCE / (time.perf_counter() - began)
    lab.stop("w1")
    return [
        Line(f"{AT_ONCE} runs of one no-op step queued at once", f"{ours:.0f} a second"),
        Line(f"{AT_ONCE} bare Celery tasks queued at once", f"{bare:.0f} a second"),
    ]


def pictures(lab: Lab, slots: int) -> list[Line]:
    """Draw single pictures through the queue and in a bare loop over full batches, in turns; count the loads.

    The bare loop is one thread. The worker has `slots`: 1 shows what the queue costs, 2 is how a studio runs.
    """
    lab.specs = dict(catalog.specs())
    lab.start_worker("artist", real=True, threads=slots)
    lab.wait_ready("artist")
    with bare_loop(lab) as bare:
        draw(lab, [picture(100_000 * slots + number) for number in range(4)])
        bare([picture(number) for number in range(4)])
        ours_s, bare_s = 0.0, 0.0
        for turn in range(ROUNDS):
            wanted = [picture(100_000 * slots + 1000 * (turn + 1) + number) for number in range(PICTURES)]
            bare_s += bare(wanted)
            ours_s += draw(lab, wanted)
    many = [
        picture(100_000 * slots + 10_000 + number, size=64, model=("cgan", "vae")[number % 2])
        for number in range(STEPS)
    ]
    draw(lab, many)
    with lab.database.read() as connection:
        loads = next(worker["models"] for worker in presence.fresh(connection) if worker["name"] == "artist")
    lab.stop("artist")
    each_ms = 1000 / (ROUNDS * PICTURES)
    return [
        Line(
            f"{PICTURES} single pictures, queue and {slots} slots / bare loop",
            f"{bare_s / ours_s:.2f} ({ours_s * each_ms:.1f} ms and {bare_s * each_ms:.1f} ms each)",
            "≥ 0.85",
            bare_s / ours_s >= 0.85,
        ),
        Line(
            LOADS,
            f"{sum(loads.values())} in {STEPS} steps ({loads})",
            f"= {len(loads)}",
            sum(loads.values()) == len(loads),
        ),
    ]


def picture(seed: int, **options: Any) -> dict[str, Any]:
    """Give the arguments of one picture."""
    return {"prompt": PROMPTS[seed % len(PROMPTS)], "seed": seed, **options}


def draw(lab: Lab, wanted: Sequence[dict[str, Any]]) -> float:
    """Queue a run for each picture while the worker stands still; give the seconds that it then needs for all."""
    lab.freeze("artist")
    for args in wanted:
        lab.accept(lab.new_run({"tool": "generate_image", "args": args}))
    lab.signal("artist", signal.SIGCONT)
    began = time.perf_counter()
    wait_for(lambda: lab.open_runs() == 0, "the pictures", 300)
    took_s = time.perf_counter() - began
    failed = lab.failures()
    assert not failed, failed
    return took_s


@contextlib.contextmanager
def bare_loop(lab: Lab) -> Iterator[Callable[[Sequence[dict[str, Any]]], float]]:
    """Give a function that draws pictures in another process and gives the seconds."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.lab_parts",
        "bare",
        "bare",
        "--real",
        "--database",
        str(lab.database_url),
    ]
    command += ["--broker", str(lab.broker_url), "--blobs", str(lab.folder / "blobs")]
    environment = {**os.environ, **ONE_THREAD}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asks, answers = process.stdin, process.stdout

        def bare(wanted: Sequence[dict[str, Any]]) -> float:
            asks.write(json.dumps(wanted) + "\n")
            asks.flush()
            return float(answers.readline())

        yield bare
        asks.close()


def spread(times_ms: Sequence[float]) -> str:
    """Give p50 and p95."""
    ordered = sorted(times_ms)
    return f"p50 {statistics.median(ordered):.1f} ms, p95 {ordered[int(0.95 * len(ordered))]:.1f} ms"


def show(lines: Sequence[Line], wide: int = 0) -> None:
    """Print the table, its first column at least so `wide`."""
    wide = max(wide, *(len(line.what) for line in lines))
    for line in lines:
        mark = {None: "", True: "ok", False: "MISSED"}[line.ok]
        sys.stdout.write(f"{line.what:<{wide}}  {line.measured:<40}  {line.target:<14}  {mark}".rstrip() + "\n")
    sys.stdout.flush()


PARTS: dict[str, Callable[[Lab], list[Line]]] = {
    "steps": overhead,
    "pictures": lambda lab: [line for slots in (1, 2) for line in pictures(lab, slots)],
}

if __name__ == "__main__":
    sys.exit(main())
