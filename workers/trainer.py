"""The child process of a training: started, listened to, and ended."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from tools.base import ToolFailed, TryLater

CHECKPOINT = "checkpoint.safetensors"
HEAR_S = 0.2  # the longest that a cancelled run waits to be noticed
END_S = 10.0
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}


class Trainer:
    """Runs `models.style.train` on what lies in a folder.

    Args:
        folder: has the pictures, and a checkpoint if one is to be gone on from.
        args: of the step: name, licence, minutes, steps.
    """

    DATA = "pictures.npz"

    def __init__(self, folder: Path, args: Mapping[str, Any]) -> None:
        self._folder, self._args = folder, args

    def command(self) -> list[str]:
        """Give the command line of the child."""
        given = {name: str(self._args[name]) for name in ("name", "licence", "minutes", "steps")}
        given |= {"data": str(self._folder / self.DATA), "out": str(self._folder), "parent": str(os.getpid())}
        return [sys.executable, "-m", "models.style.train", *(f"--{name}={value}" for name, value in given.items())]

    def run(self, hear: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        """Train, and give what the child said at the end.

        Args:
            hear: gets each thing that the child says, and {} a few times a second; what it raises ends the child.

        Raises:
            TryLater: something killed the child.
            ToolFailed: it ended without a result.
        """
        with (self._folder / "training.log").open("w+b") as log:
            process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**_surroundings(), **ONE_THREAD},
                process_group=0,
            )
            try:
                done = self._listen(process, hear)
                code = process.wait(END_S)
            finally:
                process.kill()
                process.wait()
            if done is not None and code == 0:
                return done
            raise _failed(code, log)

    def _listen(
        self, process: subprocess.Popen[bytes], hear: Callable[[Mapping[str, Any]], None]
    ) -> dict[str, Any] | None:
        said: queue.Queue[bytes | None] = queue.Queue()
        assert process.stdout is not None  # noqa: S101  # it is a pipe
        threading.Thread(target=_read, args=(process.stdout, said), daemon=True).start()
        done: dict[str, Any] | None = None
        while True:
            try:
                line = said.get(timeout=HEAR_S)
            except queue.Empty:
                hear({})
                continue
            if line is None:
                return done
            heard = _parsed(line)
            done = heard if "done" in heard else done
            hear(heard)


def _surroundings() -> dict[str, str]:
    """Give what the child needs of our environment: no settings, which hold passwords, and no keys."""
    hidden = ("ATELIER_", "AWS_", "OTEL_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(hidden) and not any(word in name.upper() for word in ("KEY", "TOKEN", "SECRET", "PASSW"))
    }


def _read(stream: IO[bytes], said: queue.Queue[bytes | None]) -> None:
    with stream:
        for line in stream:
            said.put(line)
    said.put(None)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _failed(code: int, log: IO[bytes]) -> Exception:
    if code < 0:
        return TryLater(f"the training was ended by signal {-code}; it goes on from its last checkpoint")
    log.seek(0)
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return ToolFailed(f"the training ended with code {code}: {lines[-1] if lines else 'it said nothing'}")
