"""The command line where no studio runs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from tests.orchestrator.conftest import ATELIER, House


def test_make_starts_a_studio_says_so_and_ends_it(house: House) -> None:
    done = house.atelier("make", "a poem", "--json")
    assert "No studio runs" in done.stderr
    assert '"status": "completed"' in done.stdout
    assert house.processes() == {}


def test_a_killed_command_takes_its_studio_down(house: House, wait_until: Callable[..., None]) -> None:
    process = subprocess.Popen(
        [ATELIER, "chat"], env=house.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_until(lambda: len(house.processes()) >= 6)
    process.kill()
    process.communicate()
    wait_until(lambda: not house.processes(), timeout_s=5)


def test_two_commands_at_once_share_one_studio(house: House) -> None:
    both = [
        subprocess.Popen(
            [ATELIER, "make", f"a poem {number}", "--json"],
            env=house.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert house.processes() == {}


def test_a_studio_that_cannot_start_says_why(house: House) -> None:
    house.environment["ATELIER_DATABASE_URL"] = "sqlite:////nowhere/at/all.db"
    done = house.atelier("runs", "list", check=False)
    assert done.returncode == 1
    assert "database" in done.stderr
    assert "Traceback" not in done.stderr
