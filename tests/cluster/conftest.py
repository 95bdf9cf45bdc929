"""The whole set of deploy/processes on free ports: PostgreSQL, RabbitMQ, S3, Chroma, API and workers, all real."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import missing

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = ROOT / "deploy" / "processes"
READY_S = 120
END_S = 15
SCRIPT = [
    {
        "match": "cat",
        "reply": {
            "steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "happy cat", "size": 64}}],
            "reply": "Here is your cat.",
        },
    },
    {"match": "poem", "reply": {"steps": [{"id": "s1", "tool": "write_text", "args": {"prompt": "four lines"}}]}},
    {"match": ".*", "reply": "Roses are red."},
]


class Cluster:
    """The processes of a Procfile, and what can be done with them."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder = folder
        self.files = (folder / ".env", folder / "ports.env")
        ports = [
            line.split("=")[0] for line in (PROCESSES / "cluster.env").read_text().splitlines() if "_PORT=" in line
        ]
        self.ports = dict(zip(ports, free_ports(len(ports)), strict=True))
        lines = [f"CLUSTER_HOME={folder / 'data'}", *(f"{name}={port}" for name, port in self.ports.items())]
        self.files[1].write_text("\n".join(lines) + "\n")
        script = folder / "script.json"
        script.write_text(json.dumps(SCRIPT))
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ATELIER_", "AWS_", "OTEL_"))}
        self.environment = own | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ATELIER_HOME": str(folder / "home"),
            "ATELIER_LLM": f"scripted:{script}",
            "ATELIER_ENCODER": "hash",
            "ATELIER_PRELOAD": "false",
            "OMP_NUM_THREADS": "1",
        }
        made = ["atelier", "env", str(self.files[0]), "--broker", broker]
        subprocess.run(made, env=self.environment, check=True, stdout=subprocess.DEVNULL)
        self.key = re.search(r"(?m)^ATELIER_ADMIN_KEY=(.+)$", self.files[0].read_text())[1]  # type: ignore[index]
        self.log = (folder / "log").open("wb")
        command = [PROCESSES / "up", *self.files]
        self.process = subprocess.Popen(command, env=self.environment, stdout=self.log, stderr=self.log, cwd=ROOT)

    @contextlib.contextmanager
    def another(self, *command: str, **settings: str) -> Iterator[None]:
        """Run one more process of the studio beside those of the Procfile."""
        lines = [line for file in self.files for line in file.read_text().splitlines() if not line.startswith("#")]
        given = dict(line.split("=", 1) for line in lines) | {"CLUSTER_RUN": str(self.process.pid)}
        words = [PROCESSES / "studio", "env", *(f"{name}={value}" for name, value in settings.items()), *command]
        process = subprocess.Popen(words, env=self.environment | given, stdout=self.log, stderr=self.log, cwd=ROOT)
        try:
            yield
        finally:
            process.terminate()
            process.wait(END_S)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['ATELIER_PORT']}"

    def client(self, url: str | None = None) -> httpx.Client:
        """Give a client that shows the key of `.env`."""
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=url or self.url, headers=headers, timeout=30, trust_env=False)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while not answers(f"{self.url}/readyz"):
            assert self.process.poll() is None, self.told()
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.1)

    def pids(self, *words: str) -> list[int]:
        """Give the process ids whose command line has these words; the scripts that keep them are not meant."""
        ours = {pid: command for pid, command in self.running().items() if "deploy/processes/keep" not in command}
        return [pid for pid, command in ours.items() if all(word in command for word in words)]

    def running(self) -> dict[int, list[str]]:
        """Give the command lines of what runs, by process id."""
        found = {}
        mark = f"CLUSTER_HOME={self.folder / 'data'}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().decode().split("\0")
        return found

    def end(self) -> dict[int, list[str]]:
        """End it as Ctrl-C does, and give what still runs then."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        deadline = time.monotonic() + END_S
        while (left := self.running()) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self.log.close()
        return left

    def told(self) -> str:
        """Give the end of what the processes said."""
        return (self.folder / "log").read_text(errors="replace")[-8000:]


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in sockets]


@contextlib.contextmanager
def started(broker: str) -> Iterator[Cluster]:
    """Start a cluster, and see that nothing of it runs on when it was ended."""
    for program in ("initdb", "rabbitmq-server") if broker == "rabbitmq" else ("initdb",):
        if shutil.which(program) is None and not list(Path("/usr/lib/postgresql").glob(f"*/bin/{program}")):
            missing(f"a cluster needs {program}: apt install postgresql rabbitmq-server")
    folder = Path(tempfile.mkdtemp(prefix="atelier-cluster-", dir="/tmp"))
    folder.chmod(0o711)  # PostgreSQL's user passes through
    made = Cluster(folder, broker)
    try:
        made.wait_until_ready()
        yield made
    finally:
        left = made.end()
        shutil.rmtree(folder)
    assert not left


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Give a cluster that is ready, with RabbitMQ."""
    with started("rabbitmq") as made:
        yield made


@pytest.fixture
def api(cluster: Cluster) -> Iterator[httpx.Client]:
    with cluster.client() as client:
        yield client


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait until something is true."""

    def wait(true: Callable[[], object], timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.1)

    return wait
