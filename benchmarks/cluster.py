"""The laboratory over many machines: PostgreSQL, RabbitMQ, S3 and Chroma of its own, and hosts that can be lost.

As root, each server and each host is a network namespace, and the cables between them can be cut; otherwise all of it
is on the loopback address, and only processes can die.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from unittest.mock import patch

from benchmarks import network
from benchmarks.asking import Client
from benchmarks.lab import Lab
from benchmarks.processes import wait_for
from benchmarks.servers import S3, Chroma, PostgreSQL, RabbitMQ, Server, all_running
from benchmarks.verdict import Verdict

EAST, WEST, FRONT = "east", "west", "front"  # hosts: two that work, one with the API
WORKERS = {"east": EAST, "west": WEST}  # by name
KINDS: dict[str, type[Server]] = {"database": PostgreSQL, "broker": RabbitMQ, "blobs": S3, "index": Chroma}


@dataclass
class Cluster(Lab):
    """A laboratory with servers and hosts; `servers` has them by what they are for.

    Attributes:
        west_ahead_s: how far the clock of the host "west" is ahead.
    """

    west_ahead_s: float = 0
    servers: dict[str, Server] = field(default_factory=dict)
    network: network.Network | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder.chmod(0o711)
            if network.reason_why_not() is None:
                self.network = stack.enter_context(network.Network())
                for host in (EAST, WEST, FRONT):
                    self.network.host(host)
            self.servers = {name: self._server(name, kind) for name, kind in KINDS.items()}
            stack.enter_context(all_running(*self.servers.values()))
            self.told = {name: value for server in self.servers.values() for name, value in server.env.items()}
            self.told["ATELIER_ENCODER"] = "hash"
            stack.enter_context(patch.dict(os.environ, self.told))
            self.database_url, self.broker_url, self.blobs_url = (
                self.servers[name].url for name in ("database", "broker", "blobs")
            )
            self.result_url = self.broker_url
            super().__enter__()
            self._stack = stack.pop_all()
        try:
            self._populate()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            super().__exit__()
        finally:
            self._stack.close()

    def _server(self, name: str, kind: type[Server]) -> Server:
        if self.network is None:
            return kind(self.folder / name)
        address = self.network.host(name)
        return kind(self.folder / name, address, self.network.inside(name))

    def _populate(self) -> None:
        """Start an API, a planner on each working host, and a worker on each."""
        for name, host in WORKERS.items():
            clock_s = self.west_ahead_s if host == WEST else 0
            self.start_worker(name, threads=2, host=host, clock_s=clock_s)
            self.start_worker(f"planner-{host}", "planner", "vector", threads=2, host=host, clock_s=clock_s)
        self.client = Client(self.start_api("api", host=FRONT))
        self.wait_all_ready()

    def wait_all_ready(self, timeout_s: float = 60) -> None:
        """Wait until all workers are up, also again after a death."""
        workers = [name for name, process in self.processes.items() if process.wanted and name != "api"]
        self.wait_ready(*workers, timeout_s=timeout_s)

    def inside(self, host: str | None) -> Sequence[str]:
        """Give what a command is put behind so that it runs on a host."""
        return () if self.network is None or host is None else self.network.inside(host)

    def lose(self, host: str) -> None:
        """Let a host vanish: everything on it is killed at once."""
        self.kill_host(host, for_good=True)
        for pid in [] if self.network is None else self.network.pids(host):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def bring_back(self, host: str) -> None:
        """Let the processes of a lost host start again."""
        with self._lock:
            for process in self.processes.values():
                if process.host == host:
                    process.wanted = True

    def start_locker(self, run_id: str, host: str) -> None:
        """Start a process on a host that locks the steps of a run, and wait until it has."""
        command = [sys.executable, "-m", "benchmarks.lab_parts", "lock", run_id, "--database", str(self.database_url)]
        self._add("locker", command, host=host)
        wait_for(lambda: "locked" in self.log("locker"), "the locks", 20)

    def judge_accepted(self, timeout_s: float = 60) -> Verdict:
        """Wait until everything that a client was promised has ended, and judge: it must be there, once, and done."""
        with suppress(TimeoutError):
            wait_for(lambda: not self.open_runs(), "the last runs", timeout_s)
        found = self.verdict()
        statuses = self.client.statuses(self.database)
        undone = sum(status != "completed" for status in statuses.values())
        again = sum(count - 1 for count in self.client.runs_of_each(self.database).values())
        return Verdict(found.lost + undone, found.doubled + again, found.stuck)

    @contextmanager
    def asked(self, *, every_s: float, seconds: float = 0.2, steps: int = 2) -> Any:
        """Let requests come in all the time while the block runs."""
        over = threading.Event()
        thread = threading.Thread(target=self.client.ask_until, args=(over, every_s, seconds, steps))
        thread.start()
        try:
            yield self.client
        finally:
            over.set()
            thread.join()
