"""Processes that are kept alive, and that die with whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import children
from orchestrator.children import Child, Program, trim

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")

PARENT = """
import os, sys, time
from orchestrator.children import spawn
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
print(*[spawn(sleep, environment=os.environ).pid for _ in range(3)], flush=True)
time.sleep(60)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


def wait_until(true: Callable[[], object], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_children_die_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 3
    assert all(map(is_alive, pids))

    parent.kill()
    parent.wait()
    parent.stdout.close()

    wait_until(lambda: not any(map(is_alive, pids)))


def test_a_child_that_dies_comes_back_after_a_pause_that_doubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(children, "FIRST_DELAY_S", 0.05)
    child = Child(Program("sleeper", SLEEP, dict(os.environ)), tmp_path / "sleeper.log", _delay_s=0.05)
    child.tend()
    pids = []
    for _ in range(3):
        assert child.process is not None
        pids.append(child.process.pid)
        child.process.send_signal(signal.SIGKILL)
        child.process.wait()
        child.tend()
        assert child.process is None  # it waits
        wait_until(lambda: (child.tend(), child.process)[1])
    assert child.process is not None
    assert len({*pids, child.process.pid}) == 4
    said = [record.getMessage() for record in caplog.records if "ended by SIGKILL" in record.getMessage()]
    assert ["in 0.1 s" in line or "in 0.2 s" in line for line in said[1:]] == [True, True]
    child.ask_to_end()
    child.end(time.monotonic() + 5)
    assert child.process is None


def test_a_program_that_cannot_be_started_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    program = tmp_path / "later"
    child = Child(Program("later", (str(program),), dict(os.environ)), tmp_path / "later.log", _delay_s=0.01)
    child.tend()
    assert child.process is None
    assert "could not be started" in caplog.text
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o700)
    wait_until(lambda: (child.tend(), child.process)[1])
    child.ask_to_end()
    child.end(time.monotonic() + 5)


def test_a_folder_that_kills_its_program_is_set_aside_once(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "broken").write_text("x")
    fails = (sys.executable, "-c", "import sys; sys.exit(3)")
    child = Child(Program("index", fails, dict(os.environ), folder=folder), tmp_path / "index.log", _delay_s=0.001)
    wait_until(lambda: (child.tend(), child.restarts >= children.QUICK_DEATHS)[1])

    aside = list(tmp_path.glob("index.broken-*"))
    assert [path.name for path in aside[0].iterdir()] == ["broken"]
    assert len(aside) == 1


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "deaf.log"
    child = Child(Program("deaf", (sys.executable, "-c", DEAF), dict(os.environ)), log)
    child.tend()
    wait_until(log.read_text)
    assert child.process is not None
    process = child.process
    child.ask_to_end()
    child.end(time.monotonic() + 0.2)
    assert process.returncode == -signal.SIGKILL


def test_a_long_log_begins_anew(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("ab") as writer:
        writer.write(b"x" * 100)
        writer.flush()
        trim(log, limit_bytes=200)
        assert log.stat().st_size == 100
        trim(log, limit_bytes=50)
        writer.write(b"new")
    assert log.read_bytes() == b"new"
    assert (tmp_path / "a.log.1").read_bytes() == b"x" * 100
