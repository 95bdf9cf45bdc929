"""A real API on a free port, over a database in which the test plays the workers by hand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from benchmarks.desk import Desk
from models.embedding import HashEncoder
from orchestrator.api.app import create_app
from orchestrator.api.context import Context
from orchestrator.api.keyring import LOCAL
from orchestrator.settings import Settings
from store import assets
from store.assets import NewAsset
from store.blobs import Blobs
from store.database import Database
from store.ids import new_id
from store.transition import Wake


class Post:
    """Takes the place of the broker: remembers what was sent, and answers vectors itself."""

    def __init__(self) -> None:
        self.sent: list[Wake] = []
        self.encoder = HashEncoder()

    def send(self, wakes: Sequence[Wake]) -> int:
        self.sent += wakes
        return len(wakes)

    def vector(self, text: str, timeout_s: float = 15.0) -> list[float]:
        return [float(value) for value in self.encoder.encode([text])[0]]

    def vectors(self, texts: Sequence[str], timeout_s: float = 60.0) -> list[list[float]]:
        return [self.vector(text) for text in texts]

    def close(self) -> None:
        pass


@pytest.fixture
def context(sqlite_url: str, tmp_path: Path) -> Context:
    settings = Settings(home=tmp_path, blobs_url=str(tmp_path / "blobs"), encoder="hash", max_upload_mb=1)
    return Context(settings, Database(sqlite_url), Blobs(tmp_path / "blobs"), Post(), None)  # type: ignore[arg-type]


@pytest.fixture
def url(context: Context) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(context), log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def api(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def post(context: Context) -> Any:
    return context.messenger


@pytest.fixture
def desk(context: Context) -> Desk:
    return Desk(context.database)


@pytest.fixture
def save(context: Context) -> Callable[..., str]:
    """Put an asset into the library and give its id."""

    def make(content: bytes = b"\x89PNG\r\n\x1a\n" + bytes(2000), owner: str = LOCAL, **fields: Any) -> str:
        given: dict[str, Any] = {
            "id": new_id("asset"),
            "kind": "image",
            "media_type": "image/png",
            "sha256": context.blobs.put(content),
            "size_bytes": len(content),
            "caption": "a happy cat",
            **fields,
        }
        asset = NewAsset(**given)
        context.database.transact(lambda c: assets.insert(c, owner, [asset], now=1_700_000_000.0))
        return asset.id

    return make
