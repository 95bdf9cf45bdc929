"""A small laboratory: a studio of real processes and no nets, in which things can be killed.

It starts a private broker and workers, restarts what dies, and says at the end whether anything was lost, done twice,
or left behind. `benchmarks.lab_parts` is what runs in its processes, `benchmarks.cluster` the same over many machines.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import redis
from sqlalchemy import select

from benchmarks import lab_tools
from benchmarks.lab_tools import ECHO, OWNER, answers_at
from benchmarks.processes import TICK_S, Processes, wait_for
from benchmarks.servers import free_port
from benchmarks.verdict import Verdict, calls_left, judge, open_runs
from orchestrator import broker
from store import runs, transition, views
from store.batches import submit
from store.blobs import Blobs
from store.database import Database
from store.runs import NewRun
from store.schema import migrate
from store.tables import outbox
from store.tables import steps as step_rows
from store.transition import Transition, Wake
from workers.messages import Messenger
from workers.planned import new_steps

__all__ = ["Lab", "Verdict", "echo", "free_port", "postgresql", "wait_for"]

T = TypeVar("T")
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}  # as in a studio's workers
READY = "lab: ready"
POLL_S = 0.0005


@dataclass
class Lab(Processes):
    """Processes, a database and a broker in a folder of their own; use it in a `with` block.

    Attributes:
        database_url: None for a new SQLite file.
        broker_url: None for a private server, which can be killed.
        blobs_url: None for a folder.
        result_url: where answers of workers come back; None for the broker, if it can carry them.
        lease_s: short, so that a test need not wait.
        told: environment variables for all processes.
    """

    database_url: str | None = None
    broker_url: str | None = None
    blobs_url: str | None = None
    result_url: str | None = None
    lease_s: float = 1.5
    max_attempts: int = 3
    queue: str = "image"
    told: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        url = self.database_url or f"sqlite:///{self.folder / 'lab.db'}"
        self.database_url = url
        self.blobs_url = self.blobs_url or str(self.folder / "blobs")
        self._listeners: list[socket.socket] = []
        self.database = Database(url)
        migrate(self.database)
        self.open()
        if self.broker_url is None:
            self.broker_url = self._start_broker()
        self.result_url = self.result_url or answers_at(self.broker_url)
        self.messenger = Messenger(self.broker_url, self.result_url)
        self.blobs = Blobs(self.blobs_url)
        specs = lab_tools.specs().items()
        self.specs = {name: replace(spec, queue=self.queue) for name, spec in specs}
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        for listener in self._listeners:
            listener.close()
        self.messenger.close()
        self.database.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Processes

    def inside(self, _: str | None) -> Sequence[str]:
        """Give what a command is put behind so that it runs on a host."""
        return ()

    def _add(
        self,
        name: str,
        command: Sequence[str],
        more: Mapping[str, str] | None = None,
        host: str | None = None,
        **options: Any,
    ) -> None:
        environment = {
            **os.environ,
            **self.told,
            **(more or {}),
            lab_tools.JOURNAL: str(self.journal),
            lab_tools.QUEUE: self.queue,
            "PYTHONUNBUFFERED": "1",
            **ONE_THREAD,
        }
        self.add(name, [*self.inside(host), *command], environment, host=host, **options)

    def _start_broker(self) -> str:
        path = self.folder / "broker.sock"
        program = broker.program(broker.find_server(), self.folder, path, {})
        assert program.folder is not None
        program.folder.mkdir(parents=True)
        self._add("broker", program.command)
        wait_for(path.exists, "the broker", 10)
        return broker.url(path)

    def start_worker(
        self,
        name: str,
        *queues: str,
        threads: int = 1,
        called: str | None = None,
        real: bool = False,
        host: str | None = None,
        clock_s: float = 0,
    ) -> None:
        """Start a worker process.

        Args:
            called: its name in the studio.
            real: it has the studio's own tools and nets.
            host: the machine that it plays on.
            clock_s: how far the clock of that machine is ahead.
        """
        part = [sys.executable, "-m", "benchmarks.lab_parts", "worker", called or name, *(["--real"] if real else [])]
        options = {
            "threads": threads,
            "lease-s": self.lease_s,
            "database": self.database_url,
            "broker": self.broker_url,
            "blobs": self.blobs_url,
            "results": self.result_url or "",
            "max-attempts": self.max_attempts,
            "clock-s": clock_s,
        }
        given = [word for option, value in options.items() for word in (f"--{option}", str(value))]
        self._add(name, [*part, "--queues", *(queues or (self.queue,)), *given], host=host)

    def start_planner(self, host: str | None = None) -> None:
        """Start the worker that plans, answers and feeds batches."""
        self.start_worker("planner", runs.PLANNER_QUEUE, threads=2, host=host)

    def start_api(self, name: str, *, dies: bool = False, host: str | None = None) -> str:
        """Start the real API and give its URL; one that `dies` is killed before its first message.

        The socket is opened here, so clients reach the API on whatever host it plays, and meet its restarts as those
        of a proxy that waits.
        """
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listeners.append(listener)
        part = ["benchmarks.lab_parts", "api-and-die", name] if dies else ["orchestrator.api"]
        settings = {
            "HOME": self.folder,
            "DATABASE_URL": self.database_url,
            "BROKER_URL": self.broker_url,
            "BLOBS_URL": self.blobs_url,
        }
        given = {f"ATELIER_{key}": str(value) for key, value in settings.items()}
        descriptor = listener.fileno()
        command = [sys.executable, "-m", *part, "--fd", str(descriptor)]
        self._add(name, command, given, host, fds=(descriptor,))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        wait_for(lambda: _answers(url), f"the API {name!r}", 60)
        return url

    def wait_ready(self, *names: str, timeout_s: float = 60) -> None:
        """Wait until workers are up, also again after a death."""
        for name in names:
            wait_for(lambda name=name: self._is_ready(name), f"worker {name!r}", timeout_s)  # type: ignore[misc]

    def _is_ready(self, name: str) -> bool:
        process = self.processes[name]
        return self.pid(name) is not None and self.log(name).count(READY) >= process.starts > 0

    def freeze(self, name: str) -> None:
        """Stop a process without killing it; not while it holds the lock of SQLite, which would stop everybody."""
        while True:
            self.signal(name, signal.SIGSTOP)
            if not self.database.is_sqlite or self._is_writable():
                return
            self.signal(name, signal.SIGCONT)
            time.sleep(TICK_S)

    def _is_writable(self) -> bool:
        connection = sqlite3.connect(self.database.url.removeprefix("sqlite:///"), timeout=0.3)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
        except sqlite3.OperationalError:
            return False
        finally:
            connection.close()
        return True

    def flush_broker(self) -> None:
        """Make the broker forget everything."""
        with redis.Redis(unix_socket_path=str(self.folder / "broker.sock")) as client:
            client.flushall()

    # Work

    @property
    def journal(self) -> Path:
        """The file with a line for each call of a tool."""
        return self.folder / "journal"

    def calls(self) -> list[str]:
        """Give the keys of all calls, in order."""
        return lab_tools.calls(self.journal)

    def change(self, change: Callable[[Transition], T], *, send: bool = True) -> T:
        """Commit a change of state and, as the API does, send its calls."""
        result, wakes = transition.run(self.database, change, durable=True)
        if send:
            self.messenger.send(wakes)
        return result

    def accept(self, new: NewRun, *, send: bool = True) -> str:
        """Accept a run and give its id."""
        return self.change(lambda t: runs.accept(t, new), send=send).run_id

    def new_run(self, *entries: Mapping[str, Any], **options: Any) -> NewRun:
        """Give a run of steps: {"tool": …, "args": …}, named s1, s2, …"""
        plan = {"steps": [{"id": f"s{n}", **entry} for n, entry in enumerate(entries, 1)], "reply": ""}
        made = new_steps(plan, self.specs, self.max_attempts)
        return NewRun(owner=options.pop("owner", OWNER), plan=plan, steps=made, **options)

    def work(self, key: str, tool: str = "write", *, send: bool = True, **args: Any) -> str:
        """Accept a run of one step."""
        return self.accept(self.new_run({"tool": tool, "args": {"key": key, **args}}), send=send)

    def say(self, request: str, *, send: bool = True) -> str:
        """Accept words: "key seconds count"."""
        return self.accept(NewRun(owner=OWNER, request=request, max_attempts=self.max_attempts), send=send)

    def submit(self, content: bytes) -> str:
        """Submit a batch."""
        name = self.blobs.put(content)
        return self.change(lambda t: submit(t, OWNER, name))

    def send_due(self) -> None:
        """Send the calls that were not sent when their runs were accepted."""
        with self.database.read() as connection:
            rows = connection.execute(select(outbox.c.task, outbox.c.ref_id, outbox.c.queue)).all()
        self.messenger.send([Wake(row.task, row.ref_id, row.queue) for row in rows])

    def send_again(self, run_id: str, times: int) -> None:
        """Send the call for a run's first step several times more."""
        with self.database.read() as connection:
            row = connection.execute(
                select(step_rows.c.id, step_rows.c.queue).where(step_rows.c.run_id == run_id)
            ).first()
        assert row is not None
        self.messenger.send([Wake("step", row.id, row.queue)] * times)

    # Looking

    def run(self, run_id: str) -> dict[str, Any]:
        """Give a run as its owner sees it."""
        with self.database.read() as connection:
            return views.get(connection, OWNER, run_id)

    def statuses(self, run_id: str) -> dict[str, str]:
        """Give {step: status}."""
        return {step["id"]: step["status"] for step in self.run(run_id)["steps"]}

    def wait_for_call(self, key: str, times: int = 1, timeout_s: float = 20) -> None:
        """Wait until a tool was called with a key."""
        wait_for(lambda: self.calls().count(key) >= times, f"a call of {key!r}", timeout_s)

    def wait(self, *run_ids: str, timeout_s: float = 30) -> list[str]:
        """Wait until runs have ended and give their statuses."""
        return [str(views.wait(self.database, OWNER, id_, timeout_s, 0.02)["status"]) for id_ in run_ids]

    def open_runs(self) -> int:
        """Count the runs that have not ended."""
        with self.database.read() as connection:
            return open_runs(connection)

    def failures(self) -> set[str]:
        """Give what failed steps say."""
        with self.database.read() as connection:
            rows = connection.execute(select(step_rows.c.error).where(step_rows.c.status == "failed")).scalars()
            return {str(row["message"]) for row in rows}

    def verdict(self, timeout_s: float = 15) -> Verdict:
        """Say what was lost, doubled or left behind, after a moment in which the last calls are heard."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: self._calls_left() == 0, "the outbox", timeout_s)
        return judge(self.database, self.lease_s, self.blobs)

    def _calls_left(self) -> int:
        with self.database.read() as connection:
            return calls_left(connection)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.HTTPError:
        return False


@contextlib.contextmanager
def postgresql(server: str) -> Iterator[str]:
    """Give the URL of a new PostgreSQL database, which is dropped afterwards."""
    from sqlalchemy import create_engine, text

    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"atelier_lab_{uuid.uuid4().hex[:12]}"
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    try:
        yield server.rsplit("/", 1)[0] + f"/{name}"
    finally:
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        engine.dispose()


def echo(lab: Lab, times: int = 1) -> None:
    """Make bare Celery round trips: send tasks, then look for each answer."""
    app = lab.messenger.app
    sent = [app.send_task(ECHO, args=["x"], queue=lab.queue, ignore_result=False).id for _ in range(times)]
    for task_id in sent:
        while app.backend.get_task_meta(task_id)["status"] != "SUCCESS":
            time.sleep(POLL_S)
        app.backend.forget(task_id)
