"""Finds the studio elsewhere or here, or starts one for a single command."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from orchestrator.errors import StudioNotReady

if TYPE_CHECKING:
    from orchestrator.cli.client import Client
    from orchestrator.home import Card
    from orchestrator.settings import Settings

START_S = 120.0
END_S = 10.0
LOOK_S = 0.15
USERS = "studio.users"  # each command that uses the studio of another command holds this


def note(text: str) -> None:
    """Say something to the person that is no part of the result."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def studio(settings: Settings, *, works: bool = True) -> Iterator[Client]:
    """Give a client of the studio elsewhere that the settings name, or of the one on the data folder.

    A studio that had to be started is ended afterwards.

    Args:
        works: wait for the workers too; what only looks needs none.

    Raises:
        StudioNotReady: it could not be started, did not become ready, or does not answer.
    """
    with _elsewhere(settings) if settings.url is not None else _here(settings, works=works) as client:
        yield client


def is_alone(settings: Settings) -> bool:
    """Say whether a command would have to start a studio of its own."""
    from orchestrator import home

    return settings.url is None and home.running(settings.home) is None


@contextmanager
def _elsewhere(settings: Settings) -> Iterator[Client]:
    """Give a client of a studio that others run: what it lacks is not ours to wait for, and what it takes it keeps."""
    from orchestrator.cli.client import Client

    assert settings.url is not None  # noqa: S101  # by who calls
    client = Client(settings.url, _key(settings), elsewhere=True)
    try:
        client.get("/healthz")
        yield client
    finally:
        client.close()


def _key(settings: Settings) -> str | None:
    return None if settings.key is None else settings.key.get_secret_value()


@contextmanager
def _here(settings: Settings, *, works: bool) -> Iterator[Client]:
    from orchestrator import home
    from orchestrator.cli.client import Client

    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.home / USERS).open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        card = home.running(settings.home)
        process = None if card else _start(settings)
        try:
            if process is not None:
                card = _card_of(settings, process)
                if card.pid != process.pid:  # another command was a moment earlier
                    process.wait()
                    process = None
            assert card is not None  # noqa: S101  # by the lines above
            _wait_until_ready(settings, card, process, works=works)
            client = Client(card.url, _key(settings) or card.key)
            try:
                yield client
            finally:
                client.close()
        finally:
            if process is not None:
                _end(process, users)


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    from orchestrator.children import spawn

    note(f"No studio runs on {settings.home}; starting one for this command.")
    settings.logs.mkdir(parents=True, exist_ok=True)
    with (settings.logs / "embedded.log").open("wb") as log:
        return spawn(
            [sys.executable, "-m", "orchestrator.studio"],
            environment={**os.environ, **settings.environment()},
            output=log,
        )


def _card_of(settings: Settings, process: subprocess.Popen[bytes]) -> Card:
    """Wait for the card of the studio that was just started, by us or, a moment earlier, by another command."""
    from orchestrator import home

    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if (card := home.running(settings.home)) is not None:
            return card
        if process.poll() is not None:
            raise _failed(settings)
        time.sleep(0.02)
    raise StudioNotReady(f"the studio did not start; see {settings.logs}")


def _wait_until_ready(settings: Settings, card: Card, process: subprocess.Popen[bytes] | None, *, works: bool) -> None:
    from orchestrator.studio import missing

    began = time.monotonic()
    while lacking := missing(card.url, timeout_s=5, key=card.key):
        if not works and all(name.endswith("worker") for name in lacking):
            break
        if process is not None and process.poll() is not None:
            raise _failed(settings)
        waited = time.monotonic() - began
        if waited > START_S:
            what = "; ".join(f"{name} {detail}" for name, detail in lacking.items())
            raise StudioNotReady(f"the studio did not become ready in {waited:.0f} s: {what}; see {settings.logs}")
        time.sleep(LOOK_S)
    if process is not None:
        note(f"Ready after {time.monotonic() - began:.1f} s.")


def _end(process: subprocess.Popen[bytes], users: IO[str]) -> None:
    """End our studio, once no other command uses it."""
    try:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("Another command uses this studio; it ends when that one has ended.")
            fcntl.flock(users, fcntl.LOCK_EX)
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _failed(settings: Settings) -> StudioNotReady:
    log = settings.logs / "embedded.log"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    why = lines[-1] if lines else f"it ended without a word; see {log.parent}"
    return StudioNotReady(f"the studio could not be started: {why}")
