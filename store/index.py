"""The search index: rebuildable from SQL at any time, so nothing is lost with it.

`ChromaIndex` talks to a Chroma server; `ExactIndex` is its stand-in in memory. Both keep one collection for each
owner and space, because a filter inside a collection costs five times a plain query.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Protocol

import numpy as np

UPSERT_ROWS = 1000  # rows a request
TIMEOUT_S = 10.0
# A kill between two syncs broke the index with Chroma's own threshold of 1,000 and never with this one: what lies
# before the first sync is replayed from its write-ahead log.
SYNC_THRESHOLD = 1_000_000
GRAPH = {"ef_search": 200, "ef_construction": 200, "max_neighbors": 32}
HNSW = {"space": "cosine", "sync_threshold": SYNC_THRESHOLD, **GRAPH}


class IndexDownError(Exception):
    """The index did not answer, or not with what was asked; SQL still knows everything."""


class Index(Protocol):
    """What search needs of an index. Every call may raise `IndexDownError`."""

    def upsert(self, owner: str, space: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Take vectors, (N, D) float32, or replace those with the same ids."""

    def query(self, owner: str, space: str, vector: np.ndarray, limit: int) -> list[tuple[str, float]]:
        """Give up to `limit` ids with their cosines, nearest first; none where nothing was taken."""

    def count(self, owner: str, space: str) -> int:
        """Give the number of vectors taken."""

    def drop(self) -> None:
        """Forget everything."""

    def address(self) -> dict[str, Any] | None:
        """Give what `ChromaIndex` needs to reach the same index from another process, or None."""


class ExactIndex:
    """An index in memory that compares with everything."""

    def __init__(self) -> None:
        self._collections: dict[tuple[str, str], dict[str, np.ndarray]] = {}

    def upsert(self, owner: str, space: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Take vectors, (N, D) float32, or replace those with the same ids."""
        collection = self._collections.setdefault((owner, space), {})
        collection.update(zip(ids, np.array(vectors, np.float32), strict=True))

    def query(self, owner: str, space: str, vector: np.ndarray, limit: int) -> list[tuple[str, float]]:
        """Give up to `limit` ids with their cosines, nearest first."""
        collection = self._collections.get((owner, space), {})
        return nearest(list(collection), np.array(list(collection.values())), vector, limit)

    def count(self, owner: str, space: str) -> int:
        """Give the number of vectors taken."""
        return len(self._collections.get((owner, space), {}))

    def drop(self) -> None:
        """Forget everything."""
        self._collections.clear()

    def address(self) -> dict[str, Any] | None:
        """Give None: no other process sees it."""
        return None


class ChromaIndex:
    """An index in a Chroma server; connects at the first call, and again after the server came back.

    Args:
        host, port: where `chroma run` listens.
        prefix: of its collections' names, where several studios share a server.
        timeout_s: for each request; a server that hangs counts as down.
    """

    def __init__(self, host: str, port: int, *, prefix: str = "atelier", timeout_s: float = TIMEOUT_S) -> None:
        self.host = host
        self.port = port
        self.prefix = prefix
        self.timeout_s = timeout_s
        self._client: Any = None
        self._collections: dict[str, Any] = {}
        self._lock = threading.Lock()

    def upsert(self, owner: str, space: str, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Take vectors, (N, D) float32, or replace those with the same ids."""
        for start in range(0, len(ids), UPSERT_ROWS):
            part = slice(start, start + UPSERT_ROWS)
            self._ask(owner, space, partial(_upsert, ids=list(ids[part]), vectors=vectors[part]), create=True)

    def query(self, owner: str, space: str, vector: np.ndarray, limit: int) -> list[tuple[str, float]]:
        """Give up to `limit` ids with their cosines, nearest first."""
        found = self._ask(
            owner,
            space,
            lambda collection: collection.query(query_embeddings=[vector], n_results=limit, include=["distances"]),
        )
        if found is None:
            return []
        return [(id_, 1.0 - distance) for id_, distance in zip(found["ids"][0], found["distances"][0], strict=True)]

    def count(self, owner: str, space: str) -> int:
        """Give the number of vectors taken."""
        return int(self._ask(owner, space, lambda collection: collection.count()) or 0)

    def drop(self) -> None:
        """Forget everything: delete the collections with our prefix."""
        from chromadb.errors import NotFoundError

        with _translated(self._where()):
            client = self._connected()
            for collection in client.list_collections():
                if collection.name.startswith(f"{self.prefix}-"):
                    with suppress(NotFoundError):  # another process was faster
                        client.delete_collection(collection.name)
            self._collections.clear()

    def address(self) -> dict[str, Any] | None:
        """Give the arguments that make an equal index elsewhere."""
        return {"host": self.host, "port": self.port, "prefix": self.prefix}

    def close(self) -> None:
        """Close the connections; the next call opens them again."""
        with self._lock:
            if self._client is not None:
                for session in _sessions(self._client):
                    session.close()
                self._client.close()
            self._client = None
            self._collections.clear()

    def _ask(self, owner: str, space: str, work: Callable[[Any], Any], *, create: bool = False) -> Any:
        """Run `work` on a collection; None where there is none and none is created."""
        from chromadb.errors import NotFoundError

        name = f"{self.prefix}-{hashlib.sha256(f'{owner}/{space}'.encode()).hexdigest()[:40]}"
        with _translated(self._where()):
            for fresh in (False, True):
                try:
                    return work(self._collection(name, create=create, fresh=fresh))
                except NotFoundError:
                    continue  # another process dropped it since we looked it up, or it was never there
        if create:
            raise IndexDownError(f"the index {self._where()} lost collection {name!r} again and again")
        return None

    def _collection(self, name: str, *, create: bool, fresh: bool) -> Any:
        found = None if fresh else self._collections.get(name)
        if found is None:
            client = self._connected()
            found = self._collections[name] = (
                client.get_or_create_collection(name, embedding_function=None, configuration={"hnsw": HNSW})
                if create
                else client.get_collection(name, embedding_function=None)
            )
        return found

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Any:
        import chromadb
        import httpx

        # The client waits for ever in its constructor; a server that hangs is met here, with a limit.
        httpx.get(f"http://{self.host}:{self.port}/api/v2/heartbeat", timeout=self.timeout_s).raise_for_status()
        client = chromadb.HttpClient(self.host, self.port, settings=chromadb.Settings(anonymized_telemetry=False))
        for session in _sessions(client):
            session.timeout = httpx.Timeout(self.timeout_s)
        return client

    def _where(self) -> str:
        return f"at {self.host}:{self.port}"


def _sessions(client: Any) -> list[Any]:
    """Give the HTTP sessions of a Chroma client, which sets no time limit and does not close them itself."""
    return [client._server._session, client._admin_client._server._session]


def _upsert(collection: Any, ids: list[str], vectors: np.ndarray) -> None:
    collection.upsert(ids=ids, embeddings=vectors)


def nearest(ids: Sequence[str], vectors: np.ndarray, vector: np.ndarray, limit: int) -> list[tuple[str, float]]:
    """Compare a unit vector, (D,), with all of (N, D): up to `limit` ids with their cosines, nearest first.

    Equal cosines keep the order of `ids`.
    """
    if not ids:
        return []
    # Not `@`: on a busy machine BLAS's threads wait for each other longer than one thread works.
    cosines = np.einsum("nd,d->n", vectors, vector.astype(np.float32))
    kept = np.sort(np.argpartition(-cosines, limit - 1)[:limit]) if limit < len(ids) else np.arange(len(ids))
    order = kept[np.argsort(-cosines[kept], kind="stable")]
    return [(ids[at], float(cosines[at])) for at in order]


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Turn whatever the client throws into `IndexDownError`; it throws its own, httpx's and plain ValueErrors."""
    import httpx
    from chromadb.errors import ChromaError, NotFoundError

    try:
        yield
    except NotFoundError:
        raise
    except (ChromaError, httpx.HTTPError, OSError, ValueError) as error:
        raise IndexDownError(f"the index {where} does not answer: {error}") from error
