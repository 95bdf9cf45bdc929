"""Processes that are kept alive, and that die with the process that started them."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

logger = logging.getLogger("atelier.studio")

PR_SET_PDEATHSIG = 1
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
STEADY_S = 30.0  # alive for this long: the next death is met with the first delay again
QUICK_DEATHS = 4  # in a row, after which a folder that can be rebuilt is suspected
LOG_BYTES = 5_000_000


@dataclass(frozen=True)
class Program:
    """What is started.

    Attributes:
        name: for logs and people.
        command: the program and its arguments; no secret is among them.
        environment: all of its variables.
        fds: open files that it inherits.
        folder: where it keeps what can be rebuilt from SQL; moved aside when the program keeps dying at start.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    fds: Sequence[int] = ()
    folder: Path | None = None


@dataclass
class Child:
    """One program and the process that runs it now."""

    program: Program
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    _started_at: float = 0.0
    _due_at: float = 0.0
    _delay_s: float = FIRST_DELAY_S
    _quick: int = 0
    _suspected: bool = field(default=False)

    def tend(self) -> None:
        """Start the program when it is due, and notice its death."""
        now = time.monotonic()
        if self.process is None:
            if now >= self._due_at:
                self._try_to_start(now)
        elif (code := self.process.poll()) is not None:
            self._ended(code, now)
        elif now - self._started_at >= STEADY_S:
            self._delay_s, self._quick = FIRST_DELAY_S, 0

    def _try_to_start(self, now: float) -> None:
        try:
            self._start(now)
        except OSError as error:  # no memory or no disk just now; the others go on
            logger.warning("%s could not be started: %s", self.program.name, error)
            self._put_off(now)

    def _start(self, now: float) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.program.folder is not None:
            self.program.folder.mkdir(parents=True, exist_ok=True)
        trim(self.log)
        with self.log.open("ab") as log:
            self.process = spawn(
                self.program.command, environment=self.program.environment, fds=self.program.fds, output=log
            )
        self._started_at = now
        logger.info("%s started, process %d", self.program.name, self.process.pid)

    def _ended(self, code: int, now: float) -> None:
        lived_s = now - self._started_at
        self.process = None
        self.restarts += 1
        self._quick = self._quick + 1 if lived_s < STEADY_S else 1
        logger.warning(
            "%s %s after %.1f s; starting it again in %.1f s (its log: %s)",
            self.program.name,
            _how(code),
            lived_s,
            self._delay_s,
            self.log,
        )
        self._put_off(now)
        if self._quick >= QUICK_DEATHS:
            self._suspect_folder()

    def _put_off(self, now: float) -> None:
        self._due_at = now + self._delay_s
        self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)

    def _suspect_folder(self) -> None:
        folder = self.program.folder
        if folder is None or self._suspected or not folder.exists():
            return
        aside = folder.with_name(f"{folder.name}.broken-{time.time_ns() // 1_000_000}")
        folder.rename(aside)
        self._suspected = True
        logger.warning("%s keeps dying; %s was set aside as %s and begins anew", self.program.name, folder, aside)

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end(self, deadline: float) -> None:
        """Wait until a time of the monotonic clock, then kill."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            logger.info("%s did not end in time and was killed", self.program.name)
            self.process.kill()
            self.process.wait()
        self.process = None


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    fds: Sequence[int] = (),
    output: IO[bytes] | int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that the system kills when the thread that called this ends: call it from the main thread.

    It gets a process group of its own, so that Ctrl-C reaches only us and we end it in order.
    """
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        env=dict(environment),
        pass_fds=tuple(fds),
        process_group=0,
        preexec_fn=_tie(os.getpid()),  # noqa: PLW1509  # nothing in it takes a lock
    )


def _tie(parent: int) -> Callable[[], None]:
    """Give what the child runs before the program: the system shall kill it when its parent dies."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)

    def tie() -> None:
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)

    return tie


def trim(log: Path, limit_bytes: int = LOG_BYTES) -> None:
    """Keep a log small: its content moves to `<name>.1`, and its writers go on at the beginning."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > limit_bytes:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            os.truncate(log, 0)


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
