"""Who holds a data folder, and where its socket lies."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from orchestrator import broker, home
from orchestrator.errors import StudioHeld, StudioNotReady


def test_the_second_holder_is_told_who_the_first_is(tmp_path: Path) -> None:
    card = home.Card(pid=4711, url="http://127.0.0.1:8484", port=8484, started_at=time.time(), embedded=False)
    with home.hold(tmp_path):
        home.write_card(tmp_path, card)
        assert home.running(tmp_path) == card
        with pytest.raises(StudioHeld, match=r"4711.*8484.*ATELIER_HOME"):
            home.hold(tmp_path, wait_s=0)
    assert home.running(tmp_path) is None  # the card is left, but nobody holds the folder
    with home.hold(tmp_path):
        pass


def test_a_holder_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from orchestrator import home; "
        "lock = home.hold(pathlib.Path(sys.argv[1])); print(1, flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    assert home.is_held(tmp_path)
    other.kill()
    other.wait()
    other.stdout.close()
    assert not home.is_held(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_card_that_cannot_be_read_is_no_card(tmp_path: Path, text: str) -> None:
    (tmp_path / home.CARD).write_text(text)
    assert home.read_card(tmp_path) is None


@pytest.mark.parametrize("name", ["short", "deep/" * 30, "with a space", "ünicode"])
def test_the_socket_has_a_short_path_in_a_folder_of_our_own(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path)) if len(str(tmp_path)) < 60 else None
    path = home.socket_path(tmp_path / name)
    assert len(os.fsencode(path)) <= home.SOCKET_PATH_BYTES
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path == home.socket_path(tmp_path / name)
    assert path != home.socket_path(tmp_path / "other")


def test_the_server_answers_on_its_socket_only_and_keeps_what_it_took(tmp_path: Path) -> None:
    server = broker.find_server()
    socket = home.socket_path(tmp_path)
    program = broker.program(server, tmp_path, socket, dict(os.environ))
    assert program.folder is not None
    program.folder.mkdir(parents=True)
    for expected in (None, b"v"):
        process = subprocess.Popen(program.command, stdout=subprocess.DEVNULL)
        with redis.Redis(unix_socket_path=str(socket)) as client:
            deadline = time.monotonic() + 5
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
            assert client.get("k") == expected
            client.set("k", "v")
            assert client.config_get("port") == {"port": "0"}
        process.kill()  # not asked: what it took is in its journal
        process.wait()


def test_without_a_server_one_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker.shutil, "which", lambda _: None)
    packaged = broker.find_server()
    assert packaged.name == "valkey"
    monkeypatch.setattr(broker, "_packaged", lambda: None)
    with pytest.raises(StudioNotReady, match="ATELIER_BROKER_URL"):
        broker.find_server()
