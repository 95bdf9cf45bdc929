"""What the tests of the library share: a Chroma server, and a way to save assets."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import create_engine, text

from benchmarks.pgvector_server import pgvector_server
from store import assets
from store.assets import NewAsset
from store.database import Database
from store.ids import new_id
from store.index import ChromaIndex, ExactIndex, Index
from store.pgvector import PgVectorIndex
from tests.conftest import POSTGRESQL, missing

SPACE = "text/test"
Save = Callable[..., str]
New = Callable[[], Database]


class ChromaServer:
    """A real `chroma run` on loopback that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        program = shutil.which("chroma", path=str(Path(sys.executable).parent)) or "chroma"
        self.process = subprocess.Popen(
            [program, "run", "--path", str(self.folder), "--host", "127.0.0.1", "--port", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/api/v2/heartbeat", timeout=1).raise_for_status()
                return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise TimeoutError("chroma run did not answer within 30 s")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    server = ChromaServer(tmp_path_factory.mktemp("chroma"))
    yield server
    server.kill()


@pytest.fixture
def chroma(chroma_server: ChromaServer) -> Iterator[ChromaIndex]:
    index = ChromaIndex("127.0.0.1", chroma_server.port, prefix=f"test{uuid.uuid4().hex[:8]}")
    yield index
    index.close()


@pytest.fixture(scope="session")
def pgvector_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a private PostgreSQL that has pgvector."""
    with pgvector_server(tmp_path_factory.mktemp("pgvector")) as url:
        yield url


@pytest.fixture
def pgvector(pgvector_url: str) -> Iterator[PgVectorIndex]:
    made = PgVectorIndex(pgvector_url, schema=f"test{uuid.uuid4().hex[:8]}")
    yield made
    made.drop()
    made.close()


@pytest.fixture(params=["exact", "chroma", "pgvector"])
def index(request: pytest.FixtureRequest) -> Index:
    made: Index = ExactIndex() if request.param == "exact" else request.getfixturevalue(request.param)
    return made


@pytest.fixture
def save(database: Database) -> Save:
    """Save an asset and give its id; `vector` goes to the text space, times go up by a second."""
    clock = iter(range(1_700_000_000, 1_800_000_000))

    def make(owner: str = "ann", *, vector: np.ndarray | None = None, step_id: str | None = None, **fields: Any) -> str:
        asset = new_asset(vectors={} if vector is None else {SPACE: vector}, **fields)
        now = float(next(clock))
        database.transact(
            lambda connection: assets.insert(
                connection, owner, [asset], run_id=fields.get("run_id"), step_id=step_id, now=now
            )
        )
        return asset.id

    return make


def new_asset(*, vectors: Mapping[str, np.ndarray] | None = None, run_id: str | None = None, **fields: Any) -> NewAsset:
    given: dict[str, Any] = {
        "id": new_id("asset"),
        "kind": "image",
        "media_type": "image/png",
        "sha256": uuid.uuid4().hex * 2,
        "size_bytes": 3,
        "caption": "a cat",
        **fields,
    }
    return NewAsset(vectors=vectors or {}, **given)


def databases(kind: str, tmp_path: Path) -> Iterator[New]:
    """Give a way to make new databases without tables, and take them away."""
    made: list[Database] = []
    names: list[str] = []
    server = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})

    def new() -> Database:
        name = f"atelier_test_{uuid.uuid4().hex[:12]}"
        url = f"sqlite:///{tmp_path}/{name}.db"
        if kind == "postgresql":
            try:
                with server.connect() as connection:
                    connection.execute(text(f'CREATE DATABASE "{name}"'))
                    connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
            except sa.exc.OperationalError as error:
                missing(f"no PostgreSQL: {error}")
            names.append(name)
            url = POSTGRESQL.rsplit("/", 1)[0] + f"/{name}"
        made.append(Database(url))
        return made[-1]

    yield new
    for database in made:
        database.close()
    for name in names:
        with server.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    server.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[New]:
    yield from databases(request.param, tmp_path)


@pytest.fixture
def new_sqlite(tmp_path: Path) -> Iterator[New]:
    yield from databases("sqlite", tmp_path)
