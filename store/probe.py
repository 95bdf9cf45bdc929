"""Is the index to be trusted? Asked from a child process, because a broken one hangs or takes its caller with it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable

import numpy as np
from sqlalchemy import func, select

from store import assets
from store.database import Database
from store.index import ChromaIndex, Index, IndexDownError
from store.search import TEXT_SPACES, rebuild
from store.tables import vectors

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
COLLECTIONS = 32  # probed at most, the largest
SAMPLES = 5  # vectors of each that must find themselves
SAME = 0.999  # cosine of a vector with itself, less rounding
STALE_FACTOR, STALE_ROWS = 1.5, 1000  # deleted assets stay in the index; past this it is worth filling again


def probe(database: Database, index: Index, timeout_s: float = TIMEOUT_S) -> str | None:
    """Compare an index with SQL: counts, and whether some vectors find themselves.

    Returns:
        None if it can be trusted, else what is wrong.
    """
    address = index.address()
    if address is None:
        return check(database, index)
    asked = json.dumps({"url": database.engine.url.render_as_string(hide_password=False), "index": address})
    try:
        child = subprocess.run(
            [sys.executable, "-m", "store.probe"],
            input=asked,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it did not answer within {timeout_s:g} s"
    if child.returncode != 0:
        return f"the probe ended with {child.returncode}: {child.stderr.strip()[-300:]}"
    found: str | None = json.loads(child.stdout.splitlines()[-1])
    return found


def ensure(
    database: Database,
    index: Index,
    timeout_s: float = TIMEOUT_S,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> str | None:
    """Probe an index and fill it again if it fails.

    Returns:
        Why it was filled again, or None.

    Raises:
        IndexDownError: it does not answer even then; delete its folder and start its server anew.
    """
    reason = probe(database, index, timeout_s)
    if reason is not None:
        log.warning("the search index is built again: %s", reason)
        rebuild(database, index, on_progress=on_progress)
    return reason


def check(database: Database, index: Index) -> str | None:
    """Do what `probe` promises, in this process."""
    with database.read() as connection:
        groups = connection.execute(
            select(vectors.c.owner, vectors.c.space, func.count(vectors.c.digest.distinct()))
            .where(vectors.c.space.like(TEXT_SPACES), vectors.c.indexed_at.is_not(None))
            .group_by(vectors.c.owner, vectors.c.space)
            .order_by(func.count().desc(), vectors.c.owner, vectors.c.space)
            .limit(COLLECTIONS)
        ).all()
    try:
        for owner, space, rows in groups:
            wrong = _check_one(database, index, owner, space, rows)
            if wrong is not None:
                return wrong
    except IndexDownError as error:
        return str(error)
    return None


def _check_one(database: Database, index: Index, owner: str, space: str, rows: int) -> str | None:
    taken = index.count(owner, space)
    if taken < rows:
        return f"it has {taken} of {rows} vectors of {space!r}"
    if taken > STALE_FACTOR * rows + STALE_ROWS:
        return f"it has {taken} vectors of {space!r} where there are {rows}"
    for offset in np.linspace(0, rows - 1, min(SAMPLES, rows)).astype(int):
        with database.read() as connection:
            row = connection.execute(
                select(vectors.c.asset_id, vectors.c.shape, vectors.c.content)
                .where(vectors.c.owner == owner, vectors.c.space == space, vectors.c.indexed_at.is_not(None))
                .order_by(vectors.c.digest)
                .offset(int(offset))
                .limit(1)
            ).one_or_none()
        if row is None:
            continue  # deleted meanwhile
        found = index.query(owner, space, assets.from_bytes(row.content, row.shape), 1)
        if not found or found[0][1] < SAME:
            return f"vector {row.asset_id!r} of {space!r} does not find itself"
    return None


def main() -> None:
    """Answer one probe: arguments as JSON on standard input, the result as JSON on standard output."""
    asked = json.load(sys.stdin)
    database = Database(asked["url"])
    print(json.dumps(check(database, ChromaIndex(**asked["index"]))))
    database.close()


if __name__ == "__main__":
    main()
