"""Speed and recall of search at 20,000 assets, beside exact numpy and bare Chroma, in one run.

    python -m benchmarks.search [--assets 20000] [--queries 200] [--index pgvector]

Everything is made in a temporary folder: a SQLite library, a `chroma run` on loopback, if it is asked for a PostgreSQL
with pgvector, and vectors of 384 dimensions that lie around 1,500 topics as captions do. Recall is the share of the ten
truly nearest that were found.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
from sqlalchemy import select

from benchmarks.pgvector_server import pgvector_server
from store import assets, search, tables
from store.assets import NewAsset
from store.database import Database
from store.ids import new_id
from store.index import ChromaIndex, Index
from store.library import Filter
from store.pgvector import PgVectorIndex
from store.schema import migrate

DIM = 384
TOPICS = 1500
SPREAD = 0.7  # distance of a caption from its topic, in lengths of a vector
K = 10
OWNER, SPACE = "ann", "text/benchmark"
INSERT_ROWS = 2000
KINDS = ("image", "image", "image", "image", "video")

Ask = Callable[[np.ndarray], Sequence[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--assets", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--index", choices=("chroma", "pgvector"), default="chroma", help="pgvector: beside Chroma")
    asked = parser.parse_args()
    vectors, queries = drawn(asked.assets, asked.queries)
    with tempfile.TemporaryDirectory(prefix="atelier-search-") as name, chroma_run(Path(name) / "chroma") as port:
        database = Database(f"sqlite:///{name}/atelier.db")
        migrate(database)
        ids = fill(database, vectors)
        index = ChromaIndex("127.0.0.1", port)
        with ExitStack() as stack:
            beside = None
            if asked.index == "pgvector":
                beside = PgVectorIndex(stack.enter_context(pgvector_server(Path(name) / "pgvector")))
            report(database, index, beside, ids, vectors, queries)
            if beside is not None:
                beside.close()
        index.close()
        database.close()


def drawn(count: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw unit vectors around topics, for the library and for what is asked."""
    draw = np.random.default_rng(0)
    topics = units(draw.standard_normal((TOPICS, DIM)))

    def some(number: int) -> np.ndarray:
        return units(topics[draw.integers(0, TOPICS, number)] + SPREAD * units(draw.standard_normal((number, DIM))))

    return some(count), some(queries)


def units(vectors: np.ndarray) -> np.ndarray:
    made: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return made


def fill(database: Database, vectors: np.ndarray) -> list[str]:
    """Save an asset for each vector."""
    names = sorted(new_id("asset") for _ in vectors)
    made = [
        NewAsset(
            id=name,
            kind=KINDS[number % len(KINDS)],
            media_type="image/png",
            sha256=f"{number:064x}",
            size_bytes=1,
            caption=f"thing {number}",
            tags=("rare",) if number % 100 == 0 else ["common"],
            vectors={SPACE: vector},
        )
        for number, (name, vector) in enumerate(zip(names, vectors, strict=True))
    ]
    for start in range(0, len(made), INSERT_ROWS):
        part = made[start : start + INSERT_ROWS]
        database.transact(lambda connection, part=part: assets.insert(connection, OWNER, part, now=time.time()))  # type: ignore[misc]
    return names


def report(
    database: Database,
    index: ChromaIndex,
    beside: PgVectorIndex | None,
    ids: list[str],
    vectors: np.ndarray,
    queries: np.ndarray,
) -> None:
    """Fill the index and the one beside it, measure, and print."""
    built = {"Chroma": timed(lambda: search.rebuild(database, index))}
    if beside is not None:
        built["pgvector"] = timed(lambda: search.rebuild(database, beside))
    bare = bare_chroma(index, dict(zip(digests(database), ids, strict=True)))

    def ours(index: Index | None = index, **fields: object) -> Ask:
        wanted = Filter(**fields)  # type: ignore[arg-type]

        def ask(query: np.ndarray) -> list[str]:
            hits = search.search(database, index, owner=OWNER, space=SPACE, vector=query, limit=K, wanted=wanted)
            return [hit.asset.id for hit in hits]

        return ask

    def exact(keep: Callable[[int], bool] = lambda _: True) -> Ask:
        kept = [number for number in range(len(ids)) if keep(number)]
        matrix, names = vectors[kept], np.array([ids[number] for number in kept])

        def ask(query: np.ndarray) -> list[str]:
            cosines = matrix @ query
            best = np.argpartition(-cosines, K)[:K]
            return [str(name) for name in names[best[np.argsort(-cosines[best])]]]

        return ask

    truth, images, rare = exact(), exact(lambda number: KINDS[number % 5] == "image"), exact(lambda n: n % 100 == 0)
    rows = [
        ("exact numpy, in memory", truth, truth),
        ("bare Chroma over HTTP, ids alone", bare, truth),
        ("our search: Chroma, SQL check, whole assets", ours(), truth),
        ("  only images (4 of 5)", ours(kind="image"), images),
        ("  only a tag (1 of 100)", ours(tags=("rare",)), rare),
        ("  without the index: exact over SQL", ours(None), truth),
    ]
    if beside is not None:
        names = dict(zip(digests(database), ids, strict=True))
        rows += [
            ("bare pgvector, ids alone", bare_pgvector(beside, names), truth),
            ("our search: pgvector, SQL check, whole assets", ours(beside), truth),
            ("  only images (4 of 5)", ours(beside, kind="image"), images),
            ("  only a tag (1 of 100)", ours(beside, tags=("rare",)), rare),
        ]
    took = ", ".join(f"{name} in {seconds:.1f} s" for name, seconds in built.items())
    print(f"{len(ids):,} vectors of {DIM}, {len(queries)} queries, k = {K}; built: {took}\n")
    print(f"{'':46}{'p50 ms':>8}{'p95 ms':>8}{'recall@10':>11}")
    figures = {}
    for name, ask, true in rows:
        p50, p95, recall = measure(ask, true, queries)
        figures[name] = p50, recall
        print(f"{name:46}{p50:8.2f}{p95:8.2f}{recall:11.3f}")
    (bare_ms, bare_recall), (our_ms, our_recall) = figures[rows[1][0]], figures[rows[2][0]]
    if beside is not None:
        ours_ms, ours_recall = figures["our search: pgvector, SQL check, whole assets"]
        print(
            f"\nwith pgvector p50 {ours_ms:.2f} ms, {ours_ms / our_ms:.2f} × with Chroma; recall@10 {ours_recall:.3f}"
        )
    print(
        f"\nsearch p50 {our_ms:.2f} ms, {our_ms / bare_ms:.2f} × bare Chroma ({bare_ms:.2f} ms); "
        f"recall@10 {our_recall:.3f} (bare {bare_recall:.3f})"
    )


def digests(database: Database) -> list[str]:
    """Give the vectors' names in the index, in the order of the assets."""
    with database.read() as connection:
        return list(connection.execute(select(tables.vectors.c.digest).order_by(tables.vectors.c.asset_id)).scalars())


def timed(work: Callable[[], object]) -> float:
    """Give the seconds that something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bare_pgvector(index: PgVectorIndex, names: dict[str, str]) -> Ask:
    """Ask the index and nothing else; `names` gives the asset of an entry."""
    return lambda query: [names[id_] for id_, _ in index.query(OWNER, SPACE, query, K)]


def bare_chroma(index: ChromaIndex, names: dict[str, str]) -> Ask:
    """Ask the same collection through Chroma's own client and nothing else; `names` gives the asset of an entry."""
    import chromadb

    client = chromadb.HttpClient(index.host, index.port, settings=chromadb.Settings(anonymized_telemetry=False))
    (found,) = client.list_collections()
    collection = client.get_collection(found.name, embedding_function=None)

    def ask(query: np.ndarray) -> list[str]:
        ids: list[str] = collection.query(query_embeddings=[query], n_results=K, include=["distances"])["ids"][0]
        return [names[id_] for id_ in ids]

    return ask


def measure(ask: Ask, truth: Ask, queries: np.ndarray) -> tuple[float, float, float]:
    """Give the median and the 95th percentile in milliseconds, and the recall."""
    for query in queries[:5]:
        ask(query)
    times, found = [], 0
    for query in queries:
        started = time.perf_counter()
        got = ask(query)
        times.append(1000 * (time.perf_counter() - started))
        found += len(set(got) & set(truth(query)))
    return float(np.median(times)), float(np.percentile(times, 95)), found / (K * len(queries))


@contextmanager
def chroma_run(folder: Path) -> Iterator[int]:
    """Run a Chroma server on loopback; gives its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    program = shutil.which("chroma", path=str(Path(sys.executable).parent)) or "chroma"
    server = subprocess.Popen(
        [program, "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                httpx.get(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=1).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield port
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
