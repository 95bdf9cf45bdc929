"""A small laboratory: a studio of real processes and no nets, in which things can be killed.

It starts a private broker and workers, restarts what dies, and says at the end whether anything was lost, done twice,
or left behind. `benchmarks.lab_parts` is what runs in its processes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import redis
from sqlalchemy import func, select

from benchmarks import lab_tools
from benchmarks.lab_tools import ECHO, OWNER, answers_at
from orchestrator import broker
from orchestrator.children import spawn
from store import runs, steps, transition, views
from store.batches import submit
from store.blobs import Blobs
from store.database import Database
from store.runs import NewRun
from store.schema import migrate
from store.tables import outbox, step_assets
from store.tables import runs as run_rows
from store.tables import steps as step_rows
from store.transition import Transition, Wake
from workers.messages import Messenger
from workers.planned import new_steps

T = TypeVar("T")
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}  # as in a studio's workers
RESTART_S = 0.1  # between a death and the next process
TICK_S = 0.02
READY = "lab: ready"
POLL_S = 0.0005


@dataclass(frozen=True)
class Verdict:
    """What must be all zero when everything has ended.

    Attributes:
        lost: accepted runs that did not end, or completed steps without their result.
        doubled: results beyond one a step.
        stuck: steps that nobody will move, and calls for work that is done.
    """

    lost: int
    doubled: int
    stuck: int

    @property
    def well(self) -> bool:
        """Nothing is amiss."""
        return self == Verdict(0, 0, 0)

    def __str__(self) -> str:
        return f"lost {self.lost}, doubled {self.doubled}, stuck {self.stuck}"


@dataclass
class Process:
    """One process that is started again when it dies."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    running: subprocess.Popen[bytes] | None = None
    starts: int = 0
    due_at: float = 0.0
    wanted: bool = True

    def tend(self) -> None:
        """Start it when it is due, and notice its death."""
        if self.running is not None and self.running.poll() is not None:
            self.running = None
            self.due_at = time.monotonic() + RESTART_S
        if self.running is None and self.wanted and time.monotonic() >= self.due_at:
            with self.log.open("ab") as log:
                self.running = spawn(self.command, environment=self.environment, output=log)
            self.starts += 1

    def send(self, number: int) -> None:
        """Send it a signal; the whole of it is one process."""
        if self.running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.running.pid, number)


@dataclass
class Lab:
    """Processes, a database and a broker in a folder of their own; use it in a `with` block.

    Attributes:
        database_url: None for a new SQLite file.
        broker_url: None for a private server, which can be killed.
        lease_s: short, so that a test need not wait.
    """

    database_url: str | None = None
    broker_url: str | None = None
    lease_s: float = 1.5
    max_attempts: int = 3
    queue: str = "image"
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="lab-")))
    processes: dict[str, Process] = field(default_factory=dict)

    def __enter__(self) -> Self:
        url = self.database_url or f"sqlite:///{self.folder / 'lab.db'}"
        self.database_url = url
        self.database = Database(url)
        migrate(self.database)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()
        if self.broker_url is None:
            self.broker_url = self._start_broker()
        self.messenger = Messenger(self.broker_url, answers_at(self.broker_url))
        self.specs = {name: _with_queue(spec, self.queue) for name, spec in lab_tools.specs().items()}
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._keeper.join()
        self.messenger.close()
        self.database.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Processes

    def _keep(self) -> None:
        """Start and restart, in the one thread whose end would end all of them."""
        while not self._ended.wait(TICK_S):
            with self._lock:
                for process in self.processes.values():
                    process.tend()
        for process in self.processes.values():
            process.send(signal.SIGKILL)
            if process.running is not None:
                process.running.wait()

    def _add(self, name: str, command: Sequence[str], more: Mapping[str, str] | None = None) -> None:
        environment = {
            **os.environ,
            **(more or {}),
            lab_tools.JOURNAL: str(self.journal),
            lab_tools.QUEUE: self.queue,
            "PYTHONUNBUFFERED": "1",
            **ONE_THREAD,
        }
        log = self.folder / f"{name}.log"
        log.unlink(missing_ok=True)
        with self._lock:
            self.processes[name] = Process(name, command, log, environment)

    def _start_broker(self) -> str:
        path = self.folder / "broker.sock"
        program = broker.program(broker.find_server(), self.folder, path, {})
        assert program.folder is not None
        program.folder.mkdir(parents=True)
        self._add("broker", program.command)
        wait_for(path.exists, "the broker", 10)
        return broker.url(path)

    def start_worker(
        self, name: str, *queues: str, threads: int = 1, called: str | None = None, real: bool = False
    ) -> None:
        """Start a worker process; `called` is its name in the studio, a `real` one has the studio's tools and nets."""
        command = [
            sys.executable,
            "-m",
            "benchmarks.lab_parts",
            "worker",
            called or name,
            *(["--real"] if real else []),
        ]
        command += ["--queues", *(queues or (self.queue,)), "--threads", str(threads), "--lease-s", str(self.lease_s)]
        command += ["--database", str(self.database_url), "--broker", str(self.broker_url)]
        command += ["--blobs", str(self.folder / "blobs"), "--max-attempts", str(self.max_attempts)]
        self._add(name, command)

    def start_planner(self) -> None:
        """Start the worker that plans, answers and feeds batches."""
        self.start_worker("planner", runs.PLANNER_QUEUE, threads=2)

    def start_api(self, name: str, *, dies: bool = False) -> str:
        """Start the real API and give its URL; one that `dies` is killed before its first message."""
        port = free_port()
        part = ["benchmarks.lab_parts", "api-and-die", name] if dies else ["orchestrator.api"]
        settings = {"HOME": self.folder, "DATABASE_URL": self.database_url, "BROKER_URL": self.broker_url, "PORT": port}
        self._add(
            name, [sys.executable, "-m", *part], {f"ATELIER_{key}": str(value) for key, value in settings.items()}
        )
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(url), f"the API {name!r}", 60)
        return url

    def wait_ready(self, *names: str, timeout_s: float = 60) -> None:
        """Wait until workers are up, also again after a death."""
        for name in names:
            wait_for(lambda name=name: self._is_ready(name), f"worker {name!r}", timeout_s)  # type: ignore[misc]

    def _is_ready(self, name: str) -> bool:
        process = self.processes[name]
        return self.pid(name) is not None and self.log(name).count(READY) >= process.starts > 0

    def kill(self, name: str) -> None:
        """Kill a process with -9; it is started again."""
        self.signal(name, signal.SIGKILL)

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a process."""
        with self._lock:
            self.processes[name].send(number)

    def stop(self, name: str) -> None:
        """Kill a process for good, and wait until it is dead."""
        with self._lock:
            self.processes[name].wanted = False
            self.processes[name].send(signal.SIGKILL)
        wait_for(lambda: self.pid(name) is None, f"the end of {name!r}", 10)

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

    def pid(self, name: str) -> int | None:
        """Give the number of the process, None while it is dead."""
        running = self.processes[name].running
        return running.pid if running is not None and running.poll() is None else None

    def log(self, name: str) -> str:
        """Give what a process has said."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

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
        name = Blobs(self.folder / "blobs").put(content)
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
            count: int = connection.execute(
                select(func.count()).where(run_rows.c.status.in_(runs.OPEN_RUN))
            ).scalar_one()
        return count

    def failures(self) -> set[str]:
        """Give what failed steps say."""
        with self.database.read() as connection:
            rows = connection.execute(select(step_rows.c.error).where(step_rows.c.status == "failed")).scalars()
            return {str(row["message"]) for row in rows}

    def verdict(self, timeout_s: float = 15) -> Verdict:
        """Say what was lost, doubled or left behind, after a moment in which the last calls are heard."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: self._calls_left() == 0, "the outbox", timeout_s)
        with self.database.read() as connection:
            results = select(step_assets.c.step_id, func.count()).group_by(step_assets.c.step_id)
            made: dict[str, int] = {row[0]: row[1] for row in connection.execute(results)}
            writers = select(step_rows.c.id).where(
                step_rows.c.tool.in_(("write", "write_together", "later")), step_rows.c.status == "completed"
            )
            done = list(connection.execute(writers).scalars())
            stuck = steps.stuck(connection, time.time(), self.lease_s)
        return Verdict(
            lost=self.open_runs() + sum(id_ not in made for id_ in done),
            doubled=sum(count - 1 for count in made.values()) + self._doubled_assets(),
            stuck=len(stuck) + self._calls_left(),
        )

    def _doubled_assets(self) -> int:
        """Count assets of a step that are not its results: a late worker wrote them."""
        from store.tables import assets

        with self.database.read() as connection:
            stray: int = connection.execute(
                select(func.count())
                .select_from(assets.outerjoin(step_assets, step_assets.c.asset_id == assets.c.id))
                .where(step_assets.c.asset_id.is_(None))
            ).scalar_one()
        return stray

    def _calls_left(self) -> int:
        with self.database.read() as connection:
            left: int = connection.execute(select(func.count()).select_from(outbox)).scalar_one()
        return left


def _with_queue(spec: Any, queue: str) -> Any:
    from dataclasses import replace

    return replace(spec, queue=queue)


def free_port() -> int:
    """Give a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.HTTPError:
        return False


def wait_for(what: Callable[[], bool], name: str, timeout_s: float) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it does not.
    """
    deadline = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:.0f} s for {name}")
        time.sleep(TICK_S)


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
