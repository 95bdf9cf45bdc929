"""Whether the memory of the studio's processes stays flat while it works."""

from __future__ import annotations

import os
import threading
from collections import deque
from pathlib import Path

import httpx
import numpy as np
from sqlalchemy import func, select

from benchmarks.lab import Lab, postgresql
from benchmarks.orchestration import Line
from benchmarks.processes import wait_for
from store.database import Database
from store.tables import assets, events, runs, vectors
from store.tables import steps as step_rows

STEPS_A_RUN = 4  # the plan, two texts, the reply
OPEN_RUNS = 16
WARM_UP, TAIL = 0.3, 0.1  # shares of the time: before the first is nothing counted; this much is "start" and "end"
GROWTH = 0.05
LOOK_S = 0.25
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def measure(database: str, broker: str, steps: int) -> list[Line]:
    """Send runs through the real API, and watch the resident memory of the API and of two workers."""
    if not steps:
        return []
    with postgresql(database) as url, Lab(database_url=url, broker_url=broker, lease_s=15) as lab:
        lab.start_planner()
        lab.start_worker("image", threads=2)
        api = lab.start_api("api")
        lab.wait_ready("planner", "image")
        watch = Watch({name: lab.pid(name) or 0 for name in lab.processes})
        watch.start()
        _ask(api, steps // STEPS_A_RUN)
        wait_for(lambda: lab.open_runs() == 0, "the runs", 120)
        watch.stop()
        verdict = lab.verdict()
        rows = Line("bytes of rows and indexes a step", _bytes(lab.database, steps))
    lines = [grown(name, steps, np.array(sizes)) for name, sizes in watch.sizes.items()]
    return [*lines, rows, Line(f"correctness, {steps:,} steps", str(verdict), "all 0", verdict.well)]


def _bytes(database: Database, steps: int) -> str:
    """Say what each table has grown by, and how many rows it has a step."""
    said = []
    with database.read() as connection:
        for table in (runs, step_rows, events, assets, vectors):
            size = connection.execute(select(func.pg_total_relation_size(table.name))).scalar_one()
            rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
            said.append(f"{table.name} {size / steps:.0f} ({rows / steps:.2f} rows)")
    return ", ".join(said)


def grown(name: str, steps: int, sizes: np.ndarray) -> Line:
    """Say how memory grew after the warm-up. `sizes`: (T,) bytes at even times."""
    after = sizes[int(WARM_UP * len(sizes)) :]
    width = max(1, int(TAIL * len(sizes)))
    start, end = np.median(after[:width]), np.median(after[-width:])
    slope = np.polyfit(np.linspace(0, steps * (1 - WARM_UP), len(after)), after, 1)[0]
    said = f"{start / 2**20:.1f} to {end / 2**20:.1f} MB, {slope:+.0f} bytes a step"
    return Line(f"memory of {name} over {steps:,} steps", said, f"≤ +{GROWTH:.0%}", bool(end <= (1 + GROWTH) * start))


def _ask(api: str, number: int) -> None:
    """Ask for runs, a few at a time, and follow each of them."""
    waiting: deque[str] = deque()
    with httpx.Client(base_url=api, timeout=60) as client:
        for turn in range(number):
            answer = client.post("/v1/runs", json={"say": f"memory{turn} 0 2"}).raise_for_status()
            waiting.append(answer.json()["id"])
            if len(waiting) >= OPEN_RUNS:
                _see(client, waiting.popleft())


def _see(client: httpx.Client, run_id: str) -> None:
    """Follow a run to its end, then look at it."""
    with client.stream("GET", f"/v1/runs/{run_id}/events") as stream:
        for _ in stream.iter_lines():
            pass
    client.get(f"/v1/runs/{run_id}").raise_for_status()


class Watch:
    """Notes the resident memory of processes in a thread of its own."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.sizes: dict[str, list[int]] = {name: [] for name in pids}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_S):
            for name, pid in self._pids.items():
                self.sizes[name].append(resident_bytes(pid))


def resident_bytes(pid: int) -> int:
    """Give the resident memory of a process; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except FileNotFoundError:
        return 0
