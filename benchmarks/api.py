"""How fast the API is: `python -m benchmarks.api`, or with `--quick` in seconds.

It starts a studio with `atelier up`, with a scripted language model so that the API is what is measured, and asks: how
long until the first event of a chat request; how many reads a second, beside a bare FastAPI route in the same run; how
long from a commit to each of 200 clients that follow a run with 10 events a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import api_load
from benchmarks.desk import Desk
from orchestrator import home
from orchestrator.api.keyring import LOCAL
from orchestrator.studio import missing
from store import assets
from store.assets import NewAsset
from store.database import Database
from store.ids import new_id
from store.runs import NewStep

ATELIER = Path(sys.executable).with_name("atelier")
READY_S = 150
RATE_HZ = 10
NOBODYS = "benchmark"  # a queue that no worker takes from


@dataclass(frozen=True)
class Size:
    """How much is measured: chats, seconds for each read, clients that follow, seconds of events."""

    chats: int = 50
    read_s: float = 5.0
    clients: int = 200
    events_s: float = 10.0


QUICK = Size(chats=3, read_s=0.3, clients=10, events_s=1.0)


@contextmanager
def studio(folder: Path) -> Iterator[str]:
    """Run `atelier up` on a free port; gives its address."""
    script = folder / "script.json"
    script.write_text(json.dumps([{"match": ".*", "reply": {"steps": [], "reply": "Hello."}}]))
    ours = {"HOME": str(folder), "LLM": f"scripted:{script}", "ENCODER": "hash", "PRELOAD": "false"}
    foreign = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
    environment = foreign | {f"ATELIER_{name}": value for name, value in ours.items()}
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen([ATELIER, "up", "--port", "0"], env=environment, stdout=log, stderr=log)
    try:
        yield _ready(folder, process)
    finally:
        process.terminate()
        process.wait(30)


def _ready(folder: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + READY_S
    while True:
        card = home.running(folder)
        if card is not None and not missing(card.url, timeout_s=5):
            return card.url
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((folder / "up.log").read_text())
        time.sleep(0.05)


def measure(url: str, database: Database, size: Size) -> dict[str, float]:
    """Measure all of it; gives milliseconds, answers a second, and ratios by name."""
    first = api_load.first_event_ms(url, size.chats)
    found = {"first event p50 ms": _at(first, 50), "first event p99 ms": _at(first, 99)}
    return found | _reads(url, database, size) | _following(url, database, size)


def _reads(url: str, database: Database, size: Size) -> dict[str, float]:
    made = [_asset(number) for number in range(50)]
    database.transact(lambda c: assets.insert(c, LOCAL, made, now=time.time()))
    run_id = Desk(database).plan(_step(), owner=LOCAL)
    with api_load.bare() as beside:
        _answers(beside)
        bare = api_load.reads_a_second(beside, "/bare", size.read_s)
        paths = {"/healthz": "/healthz", "/v1/assets": "/v1/assets?limit=50", "/v1/runs/{id}": f"/v1/runs/{run_id}"}
        rates = {name: api_load.reads_a_second(url, path, size.read_s) for name, path in paths.items()}
    found = {"a bare route, a second": bare}
    for name, rate in rates.items():
        found |= {f"{name}, a second": rate, f"a bare route to {name}": bare / rate}
    return found


def _answers(url: str) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            api_load.reads_a_second(url, "/bare", 0.01)
        except OSError:
            time.sleep(0.05)
        else:
            return


def _following(url: str, database: Database, size: Size) -> dict[str, float]:
    """Tell a run's events at a steady rate while many follow it."""
    desk = Desk(database)
    run_id = desk.plan(_step(), owner=LOCAL)
    events = int(RATE_HZ * size.events_s)
    begun = len(desk.events(run_id))
    committed: dict[int, float] = {}

    def tell() -> None:
        began = time.monotonic()
        for number in range(1, events + 1):
            time.sleep(max(0.0, began + number / RATE_HZ - time.monotonic()))
            desk.change(lambda t, n=number: t.emit(run_id, "step.progress", step="s1", percent=n % 100))  # type: ignore[misc]
            committed[begun + number] = time.time()

    telling = threading.Thread(target=tell)
    seen = api_load.follow(url, f"/v1/runs/{run_id}/events", size.clients, begun + events, telling.start)
    telling.join()
    took = np.array([1000 * (one[number] - at) for one in seen for number, at in committed.items()])
    name = f"{size.clients} followers at {RATE_HZ} events a second"
    return {f"{name}, p50 ms": _at(took, 50), f"{name}, p99 ms": _at(took, 99)}


def _step() -> NewStep:
    return NewStep("s1", "write_text", {"prompt": "a poem"}, NOBODYS)


def _asset(number: int) -> NewAsset:
    kind = {"kind": "text", "media_type": "text/plain", "sha256": "0" * 64, "size_bytes": 3}
    return NewAsset(id=new_id("asset"), caption=f"poem {number}", **kind)  # type: ignore[arg-type]


def _at(values: np.ndarray, percent: float) -> float:
    return float(np.percentile(values, percent))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few of everything, in seconds")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder, studio(Path(folder)) as url:
        database = Database(f"sqlite:///{folder}/atelier.db")
        for name, value in measure(url, database, QUICK if given.quick else Size()).items():
            print(f"{name:48} {value:10.1f}")
        database.close()


if __name__ == "__main__":
    main()
