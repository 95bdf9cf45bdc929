"""Processes that are started again when they die, and that can be killed, frozen and stopped for good."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.children import spawn

RESTART_S = 0.1  # between a death and the next process
TICK_S = 0.02


@dataclass
class Process:
    """One process that is started again when it dies.

    Attributes:
        host: the machine that it plays on; all of a host can be killed at once.
        fds: open files that it inherits.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    host: str | None = None
    fds: Sequence[int] = ()
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
                self.running = spawn(self.command, environment=self.environment, fds=self.fds, output=log)
            self.starts += 1

    def send(self, number: int) -> None:
        """Send it a signal; the whole of it is one process."""
        if self.running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.running.pid, number)


@dataclass
class Processes:
    """Processes with their logs in a folder; `open` before the first, `end` after the last."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="lab-")))
    processes: dict[str, Process] = field(default_factory=dict)

    def open(self) -> None:
        """Begin to keep processes alive."""
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def end(self) -> None:
        """Kill them all."""
        self._ended.set()
        self._keeper.join()

    def _keep(self) -> None:
        """Start and restart, in the one thread whose end would end all of them."""
        while not self._ended.wait(TICK_S):
            with self._lock:
                for process in self.processes.values():
                    process.tend()
        for process in self.processes.values():
            process.send(signal.SIGKILL)
        for process in self.processes.values():
            if process.running is not None:
                process.running.wait()

    def add(self, name: str, command: Sequence[str], environment: Mapping[str, str], **more: object) -> None:
        """Keep a process of this name; an older one of the name must have been stopped."""
        log = self.folder / f"{name}.log"
        log.unlink(missing_ok=True)
        with self._lock:
            self.processes[name] = Process(name, command, log, environment, **more)  # type: ignore[arg-type]

    def kill(self, name: str) -> None:
        """Kill a process with -9; it is started again."""
        self.signal(name, signal.SIGKILL)

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a process."""
        with self._lock:
            self.processes[name].send(number)

    def kill_host(self, host: str, *, for_good: bool = False) -> None:
        """Kill all processes of a host at once; they come again unless it is for good."""
        with self._lock:
            for process in self.processes.values():
                if process.host == host:
                    process.wanted = not for_good
                    process.send(signal.SIGKILL)

    def stop(self, name: str) -> None:
        """Kill a process for good, and wait until it is dead."""
        with self._lock:
            self.processes[name].wanted = False
            self.processes[name].send(signal.SIGKILL)
        wait_for(lambda: self.pid(name) is None, f"the end of {name!r}", 10)

    def pid(self, name: str) -> int | None:
        """Give the number of the process, None while it is dead."""
        running = self.processes[name].running
        return running.pid if running is not None and running.poll() is None else None

    def log(self, name: str) -> str:
        """Give what a process has said."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""


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
