"""A worker that is killed in the middle of a training takes its child with it; the next one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.desk import Desk
from store import runs, versions
from store.blobs import Blobs
from store.database import Database
from tests.workers.test_training import checkpoints, png, said
from workers import training

pytestmark = pytest.mark.faults
STEPS = 60
WORKER = """
import sys
from models.embedding import HashEncoder
from store.blobs import Blobs
from store.database import Database
from store.index import ExactIndex
from workers import training
from workers.bench import Bench
from workers.pulse import Pulse
from workers.work import work
import time

class Nobody:
    def send(self, wakes): return len(wakes)
    def close(self): pass

bench = Bench(
    name="solution@here", queues=("training",), database=Database(sys.argv[1]), blobs=Blobs(sys.argv[2]),
    index=ExactIndex(), messenger=Nobody(), specs={}, load_encoder=HashEncoder, load_chat=lambda: None,
    load_model=lambda family: None, inner={training.TRAIN: training.run}, lease_s=2.0,
)
Pulse(bench, indexes=False, take=lambda: None).start()
while True:
    if not work(bench):
        time.sleep(0.1)
"""


@pytest.fixture
def desk(sqlite_url: str) -> Iterator[Desk]:
    database = Database(sqlite_url)
    yield Desk(database)
    database.close()


@contextmanager
def worker(url: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", WORKER, url, str(folder / "blobs")])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(true: Callable[[], Any], timeout_s: float = 90) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def test_a_training_goes_on_where_a_killed_worker_was(desk: Desk, sqlite_url: str, tmp_path: Path) -> None:
    """Real processes and a real training: about half a minute, most of it two starts of torch."""
    shop: Any = type("Shop", (), {"bench": type("Bench", (), {"database": desk.database})()})()
    given = _pictures(desk, Blobs(tmp_path / "blobs"))
    new = training.new_run("ada", "acme", given, steps=STEPS)
    run_id = desk.change(lambda t: runs.accept(t, new)).run_id

    with worker(sqlite_url, tmp_path) as first:
        until(lambda: checkpoints(shop))
        (child,) = children(first.pid)
        before = [event["percent"] for event in said(desk, run_id, "step.progress")]
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        until(lambda: not alive(child), timeout_s=5)
    assert desk.status(run_id) == "in_progress"

    with worker(sqlite_url, tmp_path):
        until(lambda: desk.status(run_id) == "completed")
    after = [event["percent"] for event in said(desk, run_id, "step.progress")][len(before) :]
    assert after[0] > before[-1] / 2
    with desk.database.read() as connection:
        version = versions.newest(connection, "ada", "style", "acme")
    assert version is not None
    assert version.card["steps"] == STEPS
    assert checkpoints(shop) == []
    assert desk.stuck() == []


def _pictures(desk: Desk, blobs: Blobs) -> list[dict[str, str]]:
    from store import assets
    from store.assets import NewAsset
    from store.ids import new_id

    new = []
    for number in range(12):
        content = png(number)
        sha256 = blobs.put(content)
        new.append(NewAsset(new_id("asset"), "image", "image/png", sha256, len(content), f"ball {number}"))
    desk.database.transact(lambda c: assets.insert(c, "ada", new, now=1.0))
    return [{"asset_id": one.id, "caption": one.caption} for one in new]
