"""A client as it should be: it asks again with the same key until the API has said that a request is accepted."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
from sqlalchemy import func, select

from benchmarks.lab_tools import OWNER
from store.database import Database
from store.tables import runs

PATIENCE_S = 10.0  # an API that is silent for longer hangs
PAUSE_S = 0.2
GIVE_UP_S = 90.0
AT_ONCE = 8  # requests that wait for their answer


class Client:
    """Asks, and remembers what it was promised.

    Attributes:
        accepted: {key: run id}.
        answers: how often each status was answered; 0 stands for none.
        slowest_s: the longest wait for one answer.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.accepted: dict[str, str] = {}
        self.answers: Counter[int] = Counter()
        self.slowest_s = 0.0
        self._tag = uuid.uuid4().hex[:6]
        self._number = 0
        self._lock = threading.Lock()

    def ask(self, seconds: float = 0.0, steps: int = 1) -> str:
        """Ask for a plan of some steps of some seconds and give the id of its run, however long that takes.

        Raises:
            TimeoutError: nobody accepted it within `GIVE_UP_S`.
        """
        with self._lock:
            self._number += 1
            key = f"{self._tag}-{self._number}"
        body = {"say": f"{key} 0 {steps} {seconds}"}
        deadline = time.monotonic() + GIVE_UP_S
        while time.monotonic() < deadline:
            answer = self._send("POST", "/v1/runs", json=body, headers={"Idempotency-Key": key})
            if answer is not None and answer.status_code == 202:
                self.accepted[key] = str(answer.json()["id"])
                return self.accepted[key]
            if answer is not None and answer.status_code < 500:
                raise AssertionError(f"{answer.status_code}: {answer.text}")
            time.sleep(PAUSE_S)
        raise TimeoutError(f"request {key!r} was never accepted")

    def ask_until(self, over: threading.Event, every_s: float, seconds: float, steps: int) -> None:
        """Ask for something every so often."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            asked = []
            while not over.wait(every_s):
                asked.append(threads.submit(self.ask, seconds, steps))
            for one in asked:
                one.result()

    def search(self, words: str, limit: int = 5) -> list[str]:
        """Give the captions that a search finds."""
        answer = self._send("GET", "/v1/search", params={"query": words, "limit": limit})
        assert answer is not None
        assert answer.status_code == 200, answer.text
        return [str(found["caption"]) for found in answer.json()["data"]]

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        began = time.monotonic()
        answer = None
        with suppress(httpx.HTTPError):
            answer = httpx.request(method, self.url + path, timeout=PATIENCE_S, **options)
        took_s = time.monotonic() - began
        with self._lock:
            self.answers[0 if answer is None else answer.status_code] += 1
            self.slowest_s = max(self.slowest_s, took_s)
        return answer

    def statuses(self, database: Database) -> dict[str, str]:
        """Give {run id: status} of what was accepted; what is not in the database is "lost"."""
        with database.read() as connection:
            rows = connection.execute(select(runs.c.id, runs.c.status).where(runs.c.owner == OWNER)).all()
        found = {row.id: str(row.status) for row in rows}
        return {run_id: found.get(run_id, "lost") for run_id in self.accepted.values()}

    def runs_of_each(self, database: Database) -> dict[str, int]:
        """Give how many runs there are of each request, which is to be one."""
        query = select(runs.c.request, func.count()).where(runs.c.owner == OWNER, runs.c.request.is_not(None))
        with database.read() as connection:
            return {str(row[0]): int(row[1]) for row in connection.execute(query.group_by(runs.c.request))}
