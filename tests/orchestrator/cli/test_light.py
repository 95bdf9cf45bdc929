"""The command is quick to answer, because nothing heavy is loaded before it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ATELIER = Path(sys.executable).with_name("atelier")
COMMANDS = [
    "up",
    "make",
    "chat",
    "plan",
    "run",
    "runs",
    "batch",
    "search",
    "assets",
    "verify",
    "models",
    "tools",
    "index",
    "keys",
    "usage",
    "webhooks",
    "doctor",
    "worker",
    "workers",
    "migrate",
    "api",
    "env",
    "mcp",
]
HEAVY = {
    "torch",
    "numpy",
    "sqlalchemy",
    "celery",
    "fastapi",
    "httpx",
    "pydantic",
    "rich.progress",
    "chromadb",
    "langgraph",
}


def test_help_names_every_command_in_less_than_400_ms() -> None:
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        said = subprocess.run([ATELIER, "--help"], capture_output=True, text=True, check=True).stdout
        taken.append(time.perf_counter() - began)
    assert all(f"  {command} " in said for command in COMMANDS)
    assert min(taken) < 0.4


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; import orchestrator.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize("command", ["runs", "batch", "assets", "models", "tools", "index"])
def test_a_group_of_commands_alone_shows_its_help(command: str) -> None:
    said = subprocess.run([ATELIER, command], capture_output=True, text=True, check=False)
    assert "Usage" in said.stdout + said.stderr


def test_an_unknown_setting_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    environment = {**os.environ, "ATELIER_HOME": str(tmp_path), "ATELIER_PROT": "1"}
    said = subprocess.run([ATELIER, "runs", "list"], capture_output=True, text=True, env=environment, check=False)
    assert said.returncode == 1
    assert said.stderr == "atelier: ATELIER_PROT is no setting; did you mean ATELIER_PORT? The README lists them all.\n"
