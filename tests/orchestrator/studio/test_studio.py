"""The processes of a studio, for real: started, killed, started again, gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import httpx
import pytest

from tests.orchestrator.conftest import House

WaitUntil = Callable[..., None]
PARTS = {"broker", "index", "api", "planner", "image", "solution"}

pytestmark = pytest.mark.faults


def test_a_killed_studio_leaves_nothing_behind_and_starts_again(house: House, wait_until: WaitUntil) -> None:
    process = house.up()
    assert set(house.processes()) == PARTS | {"up"}

    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not house.processes(), timeout_s=5)

    process = house.up()  # its lock and its card are no obstacle
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert time.monotonic() - began < 10
    assert house.processes() == {}
    assert house.url is None


def test_each_part_that_is_killed_comes_back_and_the_studio_works_on(house: House, wait_until: WaitUntil) -> None:
    process = house.up()
    url = house.url
    before = house.processes()
    for name in PARTS:
        os.kill(before[name], signal.SIGKILL)
    wait_until(lambda: set(house.processes()) == PARTS | {"up"})
    after = house.processes()
    assert all(after[name] != before[name] for name in PARTS)
    assert after["up"] == before["up"]

    assert url is not None
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:  # the socket was open all the time
        plan = {"steps": [{"id": "s1", "tool": "search_assets", "args": {"query": "a cat"}}]}
        run = client.post("/v1/runs", json={"plan": plan}).json()
        wait_until(lambda: client.get(f"/v1/runs/{run['id']}").json()["status"] == "completed", timeout_s=60)
    log = (house.folder / "logs" / "studio.log").read_text()
    assert log.count("was ended by SIGKILL") == len(PARTS)
    process.terminate()
    process.wait(20)


def test_the_second_up_says_who_holds_the_folder(house: House) -> None:
    process = house.up()
    second = house.atelier("up", check=False)
    assert second.returncode == 1
    assert str(process.pid) in second.stderr
    assert str(house.url) in second.stderr
    assert "Traceback" not in second.stderr
    assert set(house.processes()) == PARTS | {"up"}
    process.terminate()
    process.wait(20)


def test_a_taken_port_is_named(house: House) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = house.atelier("up", "--port", port, check=False)
    assert done.returncode == 1
    assert port in done.stderr
    assert "--port" in done.stderr
