"""What can happen to a cluster, one by one or as a storm: `python -m benchmarks.faults --cluster`.

Recovery is how long the requests that were under way took to end: from the end of the fault where a service was away,
from its beginning where a host was.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import func, select

from benchmarks.cluster import EAST, FRONT, WEST, Cluster
from benchmarks.processes import wait_for
from benchmarks.servers import S3
from benchmarks.verdict import Verdict
from store.tables import runs, steps

EVERY_S = 0.35  # between two requests of the storm, each of two steps
STEP_S = 0.2
PAUSE_S = (3.0, 8.0)  # between two faults
LENGTH = (0.3, 1.0)  # of a fault's longest
TWICE = 0.25  # how often two faults come together
ATTEMPTS = 20  # nothing here is the step's own fault
SETTLE_S = 90.0


@dataclass(frozen=True)
class Fault:
    """Something that breaks and is mended.

    Attributes:
        short_s, long_s: how long it lasts in a test, and at most in a storm.
        at: what breaks: no two faults at one place come together.
        of_a_host: others take over; recovery counts from the beginning.
        by_cable: needs the network.
    """

    name: str
    begin: Callable[[Cluster], object]
    end: Callable[[Cluster], object]
    short_s: float
    long_s: float
    at: str
    of_a_host: bool = False
    by_cable: bool = False


@dataclass(frozen=True)
class Struck:
    """A fault that was, in seconds since 1970."""

    fault: Fault
    began: float
    ended: float

    @property
    def counts_from(self) -> float:
        """When recovery could begin."""
        return self.began if self.fault.of_a_host else self.ended


def _gone(place: str, name: str, short_s: float, long_s: float) -> Fault:
    return Fault(name, lambda c: c.servers[place].kill(), lambda c: c.servers[place].start(), short_s, long_s, place)


def _cut(one: str, other: str, name: str, short_s: float, long_s: float, **options: bool) -> Fault:
    def begin(cluster: Cluster) -> None:
        assert cluster.network is not None
        cluster.network.cut(one, other)

    def end(cluster: Cluster) -> None:
        assert cluster.network is not None
        cluster.network.mend(one, other)

    return Fault(name, begin, end, short_s, long_s, one, by_cable=True, **options)


def _unplug(host: str, name: str, short_s: float, long_s: float) -> Fault:
    def begin(cluster: Cluster) -> None:
        assert cluster.network is not None
        cluster.network.unplug(host)

    def end(cluster: Cluster) -> None:
        assert cluster.network is not None
        cluster.network.plug(host)

    return Fault(name, begin, end, short_s, long_s, host, of_a_host=True, by_cable=True)


def _blobs(how: str, name: str, short_s: float, long_s: float) -> Fault:
    def store(cluster: Cluster) -> S3:
        found = cluster.servers["blobs"]
        assert isinstance(found, S3)
        return found

    return Fault(name, lambda c: store(c).fail(how, 3600), lambda c: store(c).heal(), short_s, long_s, "blobs")


FAULTS = (
    Fault("host lost", lambda c: c.lose(EAST), lambda c: c.bring_back(EAST), 3, 8, EAST, of_a_host=True),
    _unplug(WEST, "host unplugged", 4, 15),
    Fault("API killed", lambda c: c.kill("api"), lambda _: None, 0, 0, FRONT),
    _gone("database", "database crashed", 0, 0),
    _gone("database", "database gone", 4, 10),
    _gone("broker", "broker crashed", 0, 0),
    _gone("broker", "broker gone", 3, 15),
    _blobs("500", "S3 answers 500", 6, 30),
    _blobs("hang", "S3 hangs", 3, 20),
    _blobs("drop", "S3 hangs up", 4, 20),
    _gone("index", "index gone", 2, 15),
    _cut(FRONT, "broker", "API cut from broker", 5, 15),
    _cut(FRONT, "database", "API cut from database", 5, 15),
    _cut(EAST, "database", "host cut from database", 5, 15, of_a_host=True),
    _cut(WEST, "broker", "host cut from broker", 5, 15),
    _cut(EAST, "blobs", "host cut from S3", 5, 15),
)


@contextmanager
def struck(cluster: Cluster, fault: Fault) -> Iterator[list[Struck]]:
    """Let a fault be while the block runs; the list has it afterwards."""
    found: list[Struck] = []
    began = time.time()
    fault.begin(cluster)
    try:
        yield found
    finally:
        fault.end(cluster)
        found.append(Struck(fault, began, time.time()))


def recovery(cluster: Cluster, was: Struck) -> float:
    """Give the seconds until all that was under way had ended; 0 where nothing was."""
    under_way = (runs.c.created_at <= was.counts_from, runs.c.ended_at > was.counts_from)
    with cluster.database.read() as connection:
        last = connection.execute(select(func.max(runs.c.ended_at)).where(*under_way)).scalar()
    return 0.0 if last is None else float(last) - was.counts_from


def storm(minutes: float, seed: int) -> int:
    """Let everything happen at random while requests come in; print a table and the verdict.

    Returns:
        0 if nothing was lost, doubled or stuck.
    """
    with Cluster(max_attempts=ATTEMPTS, west_ahead_s=120) as cluster:
        began = time.monotonic()
        with cluster.asked(every_s=EVERY_S, seconds=STEP_S):
            been = _happen(cluster, random.Random(seed), began + 60 * minutes)
        with suppress(TimeoutError):
            wait_for(lambda: not cluster.open_runs(), "the last runs", SETTLE_S)
        verdict = cluster.judge_accepted()
        _print(cluster, been, time.monotonic() - began)
        print(verdict)
        return 0 if verdict == Verdict(0, 0, 0) else 1


def _happen(cluster: Cluster, chance: random.Random, until: float) -> list[Struck]:
    """Strike, rest, and strike again; every fault comes before one comes twice."""
    been: list[Struck] = []
    bag: list[Fault] = []
    while time.monotonic() < until:
        time.sleep(chance.uniform(*PAUSE_S))
        chosen: list[Fault] = []
        for _ in range(2 if chance.random() < TWICE else 1):
            bag = bag or chance.sample(_possible(cluster), len(_possible(cluster)))
            if bag[-1].at not in {one.at for one in chosen}:
                chosen.append(bag.pop())
        with ExitStack() as stack:
            entered = [stack.enter_context(struck(cluster, fault)) for fault in chosen]
            time.sleep(max(fault.long_s for fault in chosen) * chance.uniform(*LENGTH))
        been += [one for found in entered for one in found]
    return been


def _possible(cluster: Cluster) -> list[Fault]:
    return [fault for fault in FAULTS if cluster.network is not None or not fault.by_cable]


def _print(cluster: Cluster, been: list[Struck], took_s: float) -> None:
    client = cluster.client
    with cluster.database.read() as connection:
        made = connection.execute(select(func.count()).where(steps.c.tool == "write")).scalar_one()
        tries = connection.execute(select(func.max(steps.c.attempts))).scalar()
    print(f"{len(client.accepted)} requests, {made} steps in {took_s:.0f} s under {len(been)} faults")
    print(f"answers of the API: {dict(client.answers)}, the slowest after {client.slowest_s:.1f} s")
    print(f"most attempts of a step: {tries}; failures: {sorted(cluster.failures()) or 'none'}")
    print(f"{'fault':<24} {'times':>5}  {'recovery p50':>12}  {'max':>6}")
    for fault in FAULTS:
        took = [recovery(cluster, one) for one in been if one.fault is fault]
        if took:
            print(f"{fault.name:<24} {len(took):>5}  {statistics.median(took):>10.1f} s  {max(took):>4.1f} s")
    every = [recovery(cluster, one) for one in been]
    if every:
        print(f"recovery p50 {statistics.median(every):.1f} s, max {max(every):.1f} s")
