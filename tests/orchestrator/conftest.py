"""A whole studio of real processes, with a scripted language model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator import home
from orchestrator.studio import missing

ATELIER = Path(sys.executable).with_name("atelier")
READY_S = 150
SCRIPT = [
    {"match": "pizza", "reply": {"steps": [], "reply": "I cannot bake."}},
    {"match": "poem", "reply": {"steps": [{"id": "s1", "tool": "write_text", "args": {"prompt": "four lines"}}]}},
    {"match": "slow", "reply": {"steps": [], "reply": "Here."}, "delay_s": 3},
    {"match": ".*", "reply": "Roses are red."},
]


class House:
    """A data folder with its settings, and what can be done with it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        script = folder / "script.json"
        script.write_text(json.dumps(SCRIPT))
        foreign = {name for name in os.environ if name.startswith("ATELIER_")}
        self.environment = {name: value for name, value in os.environ.items() if name not in foreign} | {
            "ATELIER_HOME": str(folder),
            "ATELIER_LLM": f"scripted:{script}",
            "ATELIER_ENCODER": "hash",
            "ATELIER_PRELOAD": "false",
            **settings,
        }

    def up(self) -> subprocess.Popen[bytes]:
        """Start `atelier up` on a free port and wait until it is ready."""
        with (self.folder / "up.log").open("ab") as log:
            process = subprocess.Popen([ATELIER, "up", "--port", "0"], env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_S
        while missing(self.url or "http://127.0.0.1:1", timeout_s=5):
            assert process.poll() is None, (self.folder / "up.log").read_text()
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.05)
        return process

    @property
    def url(self) -> str | None:
        card = home.running(self.folder)
        return card.url if card else None

    def atelier(self, *words: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line."""
        done = subprocess.run(
            [ATELIER, *words], env=self.environment, capture_output=True, text=True, check=False, timeout=170, **options
        )
        assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.told()}"
        return done

    def json(self, *words: str, **options: Any) -> Any:
        """Run a command and give the JSON that it prints."""
        return json.loads(self.atelier(*words, "--json", **options).stdout)

    def processes(self) -> dict[str, int]:
        """Give the process ids of the studio's children by their names, as the system sees them."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().decode().split("\0")
                is_ours = f"ATELIER_HOME={self.folder}".encode() in (folder / "environ").read_bytes().split(b"\0")
                # The servers below get no settings of ours; they work in our folder, or are told of it.
                is_ours |= self.folder in (folder / "cwd").resolve().parents
                is_ours |= any(word.startswith(f"{self.folder}/") for word in words)
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except (OSError, ValueError):
                continue
            if is_ours and state != "Z":
                found[_name(words)] = int(folder.name)
        return found

    def told(self) -> str:
        """Give the end of every log."""
        logs = [self.folder / "up.log", *sorted((self.folder / "logs").glob("*.log"))]
        return "\n".join(f"== {log.name}\n{log.read_text()[-2000:]}" for log in logs if log.exists())


def _name(words: list[str]) -> str:
    if "--name" in words:
        return words[words.index("--name") + 1]
    for part, name in (("orchestrator.api", "api"), ("chromadb_rust", "index"), ("-server", "broker"), ("up", "up")):
        if any(part in word for word in words):
            return name
    return " ".join(words)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Give an empty house; whatever is left running in it at the end is a fault."""
    made = House(tmp_path)
    yield made
    left = made.processes()
    for pid in left.values():
        os.kill(pid, 9)
    assert not left


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give a house in which a studio runs, shared by the tests of a module."""
    made = House(tmp_path_factory.mktemp("house"))
    process = made.up()
    yield made
    process.terminate()
    process.wait(20)


@pytest.fixture
def api(shared: House) -> Iterator[httpx.Client]:
    """Give a client of the shared studio."""
    assert shared.url is not None
    with httpx.Client(base_url=shared.url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait until something is true."""

    def wait(true: Callable[[], object], timeout_s: float = 30) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)

    return wait
