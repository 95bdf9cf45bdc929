"""200 short steps while processes are killed at random: `python -m benchmarks.faults [--seed N]`.

With `--cluster [--minutes M]` it is a cluster in which servers, hosts and cables break (`benchmarks.cluster_faults`).
Workers, planner and broker are real processes, killed with -9. Recovery is the time from a kill to the next work that
begins in what was killed: a step for the worker, a plan for the planner, either for the broker.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import func, select

from benchmarks import cluster_faults
from benchmarks.lab import Lab, Verdict, postgresql, wait_for
from benchmarks.lab_tools import OWNER
from store.tables import events
from store.tables import runs as run_rows
from store.tables import steps as step_rows

PLAIN_RUNS = 100  # of one step
SAID_RUNS = 50  # planned first, of two steps
STEPS = PLAIN_RUNS + 2 * SAID_RUNS
SPREAD_S = 20.0  # requests come in over this time
STEP_S = (0.05, 0.2)
PAUSE_S = (1.0, 4.0)  # between two kills
LIMIT_S = 150.0
ATTEMPTS = 20  # nothing here is the step's own fault
WEIGHTS = {"worker": 5, "planner": 3, "broker": 2}
SIGNS = {"worker": ("step.started",), "planner": ("plan.created",), "broker": ("step.started", "plan.created")}


@dataclass(frozen=True)
class Kill:
    """What was killed, and when: seconds since 1970."""

    what: str
    at: float


def main() -> int:
    """Run, print the table and the verdict, and give 1 if anything was lost, doubled or stuck."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", help="a PostgreSQL server's URL; none: SQLite")
    parser.add_argument("--cluster", action="store_true", help="servers and hosts of its own, on many machines")
    parser.add_argument("--minutes", type=float, default=3, help="how long the cluster's storm lasts")
    given = parser.parse_args()
    if given.cluster:
        return cluster_faults.storm(given.minutes, given.seed)
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgresql(given.database)) if given.database else None
        lab = stack.enter_context(Lab(database_url=url, max_attempts=ATTEMPTS))
        lab.start_worker("worker")
        lab.start_planner()
        lab.wait_ready("worker", "planner")
        began = time.time()
        kills = _storm(lab, random.Random(given.seed))
        _print(lab, kills, time.time() - began)
        verdict = lab.verdict(30)
        for error in sorted(lab.failures()):
            print(f"failed: {error}")
        recovered = [took for kill in kills if (took := recovery(lab, kill)) is not None]
        print(f"{verdict}, recovery p50 {statistics.median(recovered):.1f} s, max {max(recovered):.1f} s")
        return 0 if verdict == Verdict(0, 0, 0) and _steps(lab)["completed"] == STEPS else 1


def _storm(lab: Lab, chance: random.Random) -> list[Kill]:
    """Let requests come in while things are killed, until all have ended."""
    client = threading.Thread(target=_ask, args=(lab, random.Random(chance.random())))
    client.start()
    kills: list[Kill] = []
    deadline = time.monotonic() + LIMIT_S
    while (client.is_alive() or lab.open_runs()) and time.monotonic() < deadline:
        pause_s = chance.uniform(*PAUSE_S)
        what = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: not client.is_alive() and not lab.open_runs(), "the end", pause_s)
        if lab.pid(what) is not None and (client.is_alive() or lab.open_runs()):
            kills.append(Kill(what, time.time()))
            lab.kill(what)
    client.join()
    return kills


def _ask(lab: Lab, chance: random.Random) -> None:
    """Send all requests: half at once, the others one by one."""
    kinds = ["plain"] * PLAIN_RUNS + ["said"] * SAID_RUNS
    chance.shuffle(kinds)
    for number, kind in enumerate(kinds):
        if kind == "plain":
            lab.work(f"plain-{number}", seconds=chance.uniform(*STEP_S))
        else:
            lab.say(f"said-{number} {chance.uniform(*STEP_S):.3f} 2")
        if number > len(kinds) / 2:
            time.sleep(2 * SPREAD_S / len(kinds))


def recovery(lab: Lab, kill: Kill) -> float | None:
    """Give the seconds from a kill to the next sign of life; None where there was no more work of its kind."""
    query = select(func.min(events.c.created_at)).where(events.c.type.in_(SIGNS[kill.what]))
    with lab.database.read() as connection:
        alive_at = connection.execute(query.where(events.c.created_at > kill.at)).scalar()
    return None if alive_at is None else alive_at - kill.at


def _steps(lab: Lab) -> Counter[str]:
    query = select(step_rows.c.status).where(step_rows.c.tool == "write")
    with lab.database.read() as connection:
        return Counter(connection.execute(query).scalars())


def _print(lab: Lab, kills: list[Kill], took_s: float) -> None:
    with lab.database.read() as connection:
        ended = Counter(connection.execute(select(run_rows.c.status).where(run_rows.c.owner == OWNER)).scalars())
        tries = connection.execute(select(func.max(step_rows.c.attempts))).scalar()
    print(f"{sum(ended.values())} runs, {sum(_steps(lab).values())} steps in {took_s:.0f} s under {len(kills)} kills")
    print(f"runs: {dict(ended)}; steps: {dict(_steps(lab))}; most attempts of a step: {tries}")
    print(f"{'killed':<8} {'times':>5}  {'recovery p50':>12}  {'max':>6}")
    for what in WEIGHTS:
        took = [s for kill in kills if kill.what == what and (s := recovery(lab, kill)) is not None]
        if took:
            times = sum(kill.what == what for kill in kills)
            print(f"{what:<8} {times:>5}  {statistics.median(took):>10.1f} s  {max(took):>4.1f} s")


if __name__ == "__main__":
    sys.exit(main())
