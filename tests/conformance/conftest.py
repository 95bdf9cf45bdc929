"""The same studio on each column of DESIGN section 5, and on the many-machine column with its other choices."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text

from benchmarks.pgvector_server import pgvector_server
from benchmarks.servers import S3, Chroma, NoServer, RabbitMQ, Redis, Server, all_running
from tests.conftest import POSTGRESQL, missing
from tests.orchestrator.conftest import House

TOOLS = Path(__file__).with_name("tools")
ONE, MANY, OTHER = "one machine", "PostgreSQL RabbitMQ S3 Chroma", "PostgreSQL Redis S3 pgvector"
SCRIPT = [
    {
        "match": "two suns",
        "reply": {
            "steps": [
                {"id": "s1", "tool": "dots", "args": {"what": "yellow sun"}},
                {"id": "s2", "tool": "dots", "args": {"what": "red sun"}},
                {"id": "s3", "tool": "dots", "args": {"what": "both suns", "about": ["$s1", "$s2"]}},
            ],
            "reply": "Here are your suns.",
        },
    },
    {"match": ".*", "reply": {"steps": [], "reply": "I cannot do that."}},
]


@dataclass
class Column:
    """A running studio and how to speak to it."""

    name: str
    house: House
    api: httpx.Client

    def run(self, **request: Any) -> dict[str, Any]:
        """Start a run, follow it to its end and give it, with its `events`."""
        run = self.post("/v1/runs", json=request)
        told = self.events(run["id"])
        return {**self.get(f"/v1/runs/{run['id']}"), "events": told}

    def dots(self, *pictures: dict[str, Any]) -> dict[str, Any]:
        """Run a plan of pictures, one after another in no order."""
        steps = [{"id": f"s{n}", "tool": "dots", "args": args} for n, args in enumerate(pictures, 1)]
        return self.run(plan={"steps": steps, "reply": ""})

    def events(self, run_id: str, after: int = 0) -> list[dict[str, Any]]:
        """Follow a run from behind an event until it has ended."""
        headers = {"last-event-id": str(after)} if after else {}
        with self.api.stream("GET", f"/v1/runs/{run_id}/events", headers=headers, timeout=60) as stream:
            return [json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:")]

    def get(self, path: str, **options: Any) -> Any:
        """Ask for JSON."""
        answer = self.api.get(path, **options)
        assert answer.is_success, f"{answer.text}\n{self.house.told()}"
        return answer.json()

    def post(self, path: str, **options: Any) -> Any:
        """Send, and give the JSON of the answer."""
        answer = self.api.post(path, **options)
        assert answer.is_success, f"{answer.text}\n{self.house.told()}"
        return answer.json()

    def found(self, **query: Any) -> list[str]:
        """Search, and give the captions that were found."""
        return [hit["caption"] for hit in self.get("/v1/search", params=query)["data"]]


@pytest.fixture(scope="session", params=[ONE, MANY, OTHER])
def column(request: pytest.FixtureRequest) -> Iterator[Column]:
    """Give a studio on one column; `atelier up` starts whatever the settings do not name."""
    folder = Path(tempfile.mkdtemp(prefix="atelier-"))  # short: a socket's path has 107 bytes
    folder.chmod(0o711)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            settings = {ONE: _one, MANY: _many, OTHER: _other}[request.param](stack, folder)
        except (NoServer, FileNotFoundError) as error:
            missing(str(error))
        (folder / "house").mkdir()
        house = House(
            folder / "house", ATELIER_LLM=f"scripted:{folder / 'script.json'}", **_with_tools(folder), **settings
        )
        (folder / "script.json").write_text(json.dumps(SCRIPT))
        up = house.up()
        stack.callback(up.wait, 30)
        stack.callback(up.terminate)
        api = stack.enter_context(httpx.Client(base_url=str(house.url), timeout=30, trust_env=False))
        yield Column(request.param, house, api)


def _one(_: contextlib.ExitStack, __: Path) -> dict[str, str]:
    return {}


def _many(stack: contextlib.ExitStack, folder: Path) -> dict[str, str]:
    servers: list[Server] = [kind(folder / kind.__name__) for kind in (RabbitMQ, S3, Chroma)]
    stack.enter_context(all_running(*servers))
    return {"ATELIER_DATABASE_URL": stack.enter_context(_postgresql()), **_told(servers)}


def _other(stack: contextlib.ExitStack, folder: Path) -> dict[str, str]:
    broker, store = Redis(folder / "redis"), S3(folder / "s3")
    stack.enter_context(all_running(broker, store))
    url = stack.enter_context(pgvector_server(folder / "pgvector"))
    places = {"ATELIER_DATABASE_URL": url, "ATELIER_BROKER_URL": broker.url.replace("redis://", "valkey://")}
    return {**places, "ATELIER_INDEX": "pgvector", **_told([store])}


def _told(servers: list[Server]) -> dict[str, str]:
    return {name: value for server in servers for name, value in server.env.items()}


@contextlib.contextmanager
def _postgresql() -> Iterator[str]:
    """Give the URL of a new, empty database of the shared server: the studio migrates it itself."""
    server = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    name = f"atelier_conformance_{uuid.uuid4().hex[:12]}"
    try:
        with server.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
    except Exception as error:
        missing(f"no PostgreSQL at {POSTGRESQL}: {error}")
    yield POSTGRESQL.rsplit("/", 1)[0] + f"/{name}"
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    server.dispose()


def _with_tools(folder: Path) -> dict[str, str]:
    """Install the tools of this suite as a package is: by what its metadata say."""
    metadata = folder / "site" / "conformance_tools-0.1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.4\nName: conformance_tools\nVersion: 0.1\n")
    points = "dots = conformance_tools:DOTS\nwait = conformance_tools:WAIT\n"
    (metadata / "entry_points.txt").write_text(f"[atelier.tools]\n{points}")
    return {"PYTHONPATH": os.pathsep.join([str(TOOLS), str(folder / "site"), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait until something is true."""
    from benchmarks.processes import wait_for

    return lambda what, timeout_s=30.0: wait_for(lambda: bool(what()), "it", timeout_s)
