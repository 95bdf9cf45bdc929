"""From a commit to the clients that follow a run, and what followers cost while nothing happens."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from sqlalchemy import text

from benchmarks.desk import Desk
from benchmarks.lab import Lab, postgresql
from benchmarks.orchestration import Line
from benchmarks.processes import wait_for
from store.database import Database
from store.steps import Claim
from store.transition import Transition

EVENTS = 100
PAUSE_S = 0.05  # between two events of the run that is watched
IDLE_S = 10.0
COMMITS = 400
WRITERS = 4
CHANNEL = "beside"


@dataclass
class Follower:
    """A client that follows a run, in a thread of its own; it notes when each event came."""

    url: str
    run_id: str
    came_at: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        gone = contextlib.suppress(httpx.HTTPError)  # the API is ended while we follow
        with gone, httpx.stream("GET", f"{self.url}/v1/runs/{self.run_id}/events", timeout=60) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    self.came_at[int(json.loads(line[6:])["sequence_number"])] = time.time()


def measure(database: str, broker: str, followers: int) -> list[Line]:
    """Measure one follower among many that are idle, then two ways to send notices."""
    with postgresql(database) as url, Lab(database_url=url, broker_url=broker) as lab:
        api = lab.start_api("api")
        desk = Desk(lab.database)
        run_ids = [desk.plan(desk.step("s1"), owner="local") for _ in range(followers + 1)]
        claims = {claim.run_id: claim for claim in (desk.one(lease_s=600) for _ in run_ids)}
        alone_ms = _latencies(api, desk, claims[run_ids[0]])
        with _idle(api, run_ids[1:]):
            statements = _statements(lab.database, IDLE_S)
            among_ms = _latencies(api, desk, claims[run_ids[0]])
        lines = [
            Line("from a commit to the one client that follows", _spread(alone_ms)),
            Line(f"the same, beside {followers} idle followers", _spread(among_ms)),
            Line(f"transactions a second with {followers} idle followers", f"{statements:.0f}"),
        ]
        return [*lines, *_two_ways(lab.database)]


def _latencies(api: str, desk: Desk, claim: Claim) -> np.ndarray:
    """Give the milliseconds from each commit of an event to its coming."""
    follower = Follower(api, claim.run_id)
    committed_at: dict[int, float] = {}
    wait_for(lambda: len(follower.came_at) > 1, "the first events", 30)
    time.sleep(1)  # a run is looked at more often while it is young
    for number in range(EVENTS):
        last = desk.change(lambda t, n=number: _tell(t, claim, n))  # type: ignore[misc]
        committed_at[last] = time.time()
        time.sleep(PAUSE_S)
    wait_for(lambda: max(follower.came_at) >= max(committed_at), "the last event", 30)
    return np.array([1000 * (follower.came_at[number] - at) for number, at in committed_at.items()])


def _tell(t: Transition, claim: Claim, percent: int) -> int:
    t.emit(claim.run_id, "step.progress", step=claim.name, percent=percent)
    t.flush()
    last: int = t.connection.execute(
        text("SELECT last_event FROM runs WHERE id = :run"), {"run": claim.run_id}
    ).scalar_one()
    return last


@contextlib.contextmanager
def _idle(api: str, run_ids: list[str]) -> Iterator[None]:
    followers = [Follower(api, run_id) for run_id in run_ids]
    wait_for(lambda: all(follower.came_at for follower in followers), "the followers", 60)
    time.sleep(2)
    yield


def _statements(database: Database, seconds: float) -> float:
    """Give how many transactions a second the database ends while we only wait."""
    ended = text("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")

    def count() -> int:
        with database.read() as connection:
            number: int = connection.execute(ended).scalar_one()
        return number

    before = count()
    time.sleep(seconds)
    return (count() - before) / seconds


def _two_ways(database: Database) -> list[Line]:
    """Commit from several threads with the notice inside of the transaction, after it as the studio does, and never."""
    assert database.notices is not None
    tell = database.notices.tell
    rates = {"none": 0.0, "inside": 0.0, "after": 0.0}
    for name in rates:

        def write(name: str = name) -> None:
            for number in range(COMMITS // WRITERS):
                database.transact(lambda connection: _write(connection, inside=name == "inside"))
                if name == "after":
                    tell([f"run_{number}"])

        threads = [threading.Thread(target=write) for _ in range(WRITERS)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rates[name] = COMMITS / (time.perf_counter() - began)
    said = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
    return [Line(f"commits a second by {WRITERS} writers, by where the notice is sent", said)]


def _write(connection: Any, *, inside: bool) -> None:
    connection.execute(
        text("INSERT INTO shares (owner, served_at) VALUES (gen_random_uuid()::text, 0)"),
    )
    if inside:
        connection.execute(text(f"SELECT pg_notify('{CHANNEL}', gen_random_uuid()::text)"))


def _spread(times_ms: np.ndarray) -> str:
    p50, p99 = np.percentile(times_ms, (50, 99))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
