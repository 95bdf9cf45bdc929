"""Runs a program and sees to it that nothing which it started outlives it, or the process that asked for it.

It is a script of its own, started without our packages: code between a fork and an exec is safe only where there is one
thread. Arguments: the id of the process that asks, then the program and its arguments. It leads a process group.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

PR_SET_PDEATHSIG = 1
LOCALE = b"LC_CTYPE"  # Python itself sets it where there is none


def main(parent: int, command: list[str]) -> None:
    """Run a program to its end, then end all of the process group."""
    signal.signal(signal.SIGUSR1, _end_all)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the program may take its time over it
    _tie(parent, signal.SIGUSR1)
    guard = os.getpid()
    program = os.fork()
    if program == 0:
        _become(guard, command)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # or its end would not be heard at the other side
        os.dup2(null, number)
    os.waitpid(program, 0)
    _end_all()


def _become(guard: int, command: list[str]) -> None:
    try:
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        _tie(guard, signal.SIGKILL)
        os.execve(command[0], command, _given())  # noqa: S606
    except OSError as error:
        os.write(2, f"{error}\n".encode())
    finally:
        os._exit(127)


def _tie(parent: int, number: signal.Signals) -> None:
    """Let the system send a signal when the parent ends."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call above
        _end_all()


def _end_all(*_: object) -> None:
    os.killpg(0, signal.SIGKILL)


def _given() -> Mapping[bytes, bytes]:
    """Give the environment as it was given, without what Python put there."""
    try:
        block = Path("/proc/self/environ").read_bytes()
    except OSError:
        return {name: value for name, value in os.environb.items() if name != LOCALE}
    pairs = (entry.partition(b"=") for entry in block.split(b"\0") if entry)
    return {name: value for name, _, value in pairs}


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
