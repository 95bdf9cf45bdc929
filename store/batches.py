"""Batches: a file of lines, each of which becomes a run, a window of them at a time.

The input is a blob; how far it was read is a number in the batch's row that is raised in the same transaction in
which the runs of those lines are stored. So a line is neither lost nor done twice, and 10,000 lines need no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count
from typing import Any, BinaryIO

from sqlalchemy import Connection, Row, func, insert, select, update

from store import runs as run_rows
from store import steering
from store.database import Database
from store.ids import new_id
from store.runs import BATCH, PLANNER_QUEUE, NewRun, UnknownId, WrongState
from store.tables import assets, batch_rows, batches, runs, step_assets, steps
from store.transition import Transition

WINDOW = 48  # runs of one batch that are open at a time
BITE = 16  # lines a transaction
MAX_LINE_BYTES = 1 << 20
BAD_LINE = "bad_line"  # what a line that could not be read has for a status
RESULT = ("line", "run", "status", "assets", "reply", "error")
_OF_RUN = (runs.c.request, runs.c.plan, runs.c.reply, runs.c.started_at, runs.c.ended_at)

OpenBlob = Callable[[str], AbstractContextManager[BinaryIO]]
ReadLine = Callable[[bytes], NewRun]  # raises ValueError with what is wrong with the line


def submit(
    t: Transition,
    owner: str,
    input_sha256: str,
    *,
    input_file_id: str | None = None,
    endpoint: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> str:
    """Store a batch whose input is already a blob. Commit it durably.

    Args:
        input_file_id: the uploaded file that it is made of; endpoint: what its lines ask; labels: words of the
            client's own. Given where a batch comes in the shape of OpenAI.

    Returns:
        Its id.
    """
    batch_id = new_id("batch")
    t.connection.execute(
        insert(batches).values(
            id=batch_id,
            owner=owner,
            status="in_progress",
            input_sha256=input_sha256,
            position_bytes=0,
            lines=0,
            exhausted=False,
            input_file_id=input_file_id,
            endpoint=endpoint,
            labels=None if labels is None else dict(labels),
            created_at=t.now,
        )
    )
    t.wake("feed", batch_id, PLANNER_QUEUE, BATCH)
    return batch_id


def feed(t: Transition, batch_id: str, open_blob: OpenBlob, read_line: ReadLine) -> None:
    """Turn the next lines into runs, as far as the window allows, or end the batch."""
    batch = t.connection.execute(select(batches).where(batches.c.id == batch_id).with_for_update()).first()
    t.heard("feed", [batch_id])  # before anything is counted: a run that ends from now on calls again
    if batch is None or batch.status not in {"in_progress", "cancelling"}:
        return
    busy = run_rows.open_in_batch(t.connection, batch_id)
    if batch.status == "cancelling" or batch.exhausted:
        if busy == 0:
            _end(t, batch_id, "cancelled" if batch.status == "cancelling" else "completed")
        return
    room = min(BITE, WINDOW - busy)
    if room > 0:
        _take_lines(t, batch, room, open_blob, read_line)
        t.wake("feed", batch_id, PLANNER_QUEUE, BATCH)


def _take_lines(t: Transition, batch: Row[Any], room: int, open_blob: OpenBlob, read_line: ReadLine) -> None:
    position, line = batch.position_bytes, batch.lines
    exhausted = False
    with open_blob(batch.input_sha256) as source:
        source.seek(position)
        while room > 0:
            raw, size_bytes = _next_line(source)
            if not size_bytes:
                exhausted = True
                break
            position += size_bytes
            line += 1
            if raw.strip():
                _take_line(t, batch, line, raw, read_line)
                room -= 1
    t.connection.execute(
        update(batches).where(batches.c.id == batch.id).values(position_bytes=position, lines=line, exhausted=exhausted)
    )


def _next_line(source: BinaryIO) -> tuple[bytes, int]:
    """Give the next line, at most MAX_LINE_BYTES + 1 of it, and how long it is with its end; 0 behind the last."""
    raw = source.readline(MAX_LINE_BYTES + 1)
    size_bytes = len(raw)
    rest = raw
    while len(rest) > 0 and not rest.endswith(b"\n"):  # a monster, or the end: skip to its end
        rest = source.readline(MAX_LINE_BYTES)
        size_bytes += len(rest)
    return raw, size_bytes


def _take_line(t: Transition, batch: Row[Any], line: int, raw: bytes, read_line: ReadLine) -> None:
    run_id, error = None, None
    try:
        if len(raw) > MAX_LINE_BYTES:
            raise ValueError(f"the line is longer than {MAX_LINE_BYTES} bytes")
        new = read_line(raw)
    except ValueError as fault:
        error = {"code": BAD_LINE, "message": str(fault), "type": "invalid_request", "param": None}
    else:
        run_id = run_rows.accept(t, _of_batch(new, batch)).run_id
    statement = t.upsert(batch_rows).values(batch_id=batch.id, line=line, run_id=run_id, error=error)
    t.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["batch_id", "line"], set_={"run_id": run_id, "error": statement.excluded.error}
        )
    )


def _of_batch(new: NewRun, batch: Row[Any]) -> NewRun:
    return replace(new, owner=batch.owner, batch_id=batch.id, priority=BATCH)


def cancel(t: Transition, owner: str, batch_id: str) -> None:
    """Stop a batch: no more lines are read, and its open runs are cancelled.

    Raises:
        UnknownId: there is no such batch of this owner.
    """
    batch = _require(t.connection, owner, batch_id, hold=True)
    if batch.status != "in_progress":
        return
    t.connection.execute(update(batches).where(batches.c.id == batch_id).values(status="cancelling"))
    open_runs = select(runs.c.id).where(runs.c.batch_id == batch_id, runs.c.status.in_(run_rows.OPEN_RUN))
    for run_id in list(t.connection.execute(open_runs.order_by(runs.c.id)).scalars()):
        steering.cancel(t, owner, run_id)
    t.wake("feed", batch_id, PLANNER_QUEUE, BATCH)


def resume(t: Transition, owner: str, batch_id: str, read_line: ReadLine, open_blob: OpenBlob) -> int:
    """Go on with a cancelled batch: lines whose runs were cancelled are run anew, then the rest is read.

    Returns:
        How many lines are run anew.

    Raises:
        UnknownId: there is no such batch of this owner.
        WrongState: it was not cancelled.
    """
    batch = _require(t.connection, owner, batch_id, hold=True)
    if batch.status != "cancelled":
        raise WrongState(f"batch {batch_id!r} is {batch.status}; only a cancelled batch can be resumed")
    lines = list(
        t.connection.execute(
            select(batch_rows.c.line)
            .join(runs, runs.c.id == batch_rows.c.run_id)
            .where(batch_rows.c.batch_id == batch_id, runs.c.status == "cancelled")
            .order_by(batch_rows.c.line)
        ).scalars()
    )
    t.connection.execute(update(batches).where(batches.c.id == batch_id).values(status="in_progress", ended_at=None))
    if lines:
        wanted = set(lines)
        with open_blob(batch.input_sha256) as source:
            for number in range(1, lines[-1] + 1):
                raw, _ = _next_line(source)
                if number in wanted:
                    _take_line(t, batch, number, raw, read_line)
    t.wake("feed", batch_id, PLANNER_QUEUE, BATCH)
    return len(lines)


def get(connection: Connection, owner: str, batch_id: str) -> dict[str, Any]:
    """Give a batch with its counts: lines read, lines by their runs' status, faulty lines.

    Raises:
        UnknownId: there is no such batch of this owner.
    """
    batch = _require(connection, owner, batch_id)
    counts: dict[str, int] = {
        row.status: row.total
        for row in connection.execute(
            select(runs.c.status, func.count().label("total"))
            .join(batch_rows, batch_rows.c.run_id == runs.c.id)
            .where(batch_rows.c.batch_id == batch_id)
            .group_by(runs.c.status)
        )
    }
    faulty = connection.execute(
        select(func.count()).where(
            batch_rows.c.batch_id == batch_id, batch_rows.c.error.isnot(None), batch_rows.c.run_id.is_(None)
        )
    ).scalar_one()
    return {
        "id": batch.id,
        "status": batch.status,
        "lines": batch.lines,
        "exhausted": batch.exhausted,
        "counts": {**counts, BAD_LINE: faulty},
        "input_file_id": batch.input_file_id,
        "endpoint": batch.endpoint,
        "metadata": batch.labels,
        "created_at": batch.created_at,
        "ended_at": batch.ended_at,
    }


def owner_of(connection: Connection, batch_id: str) -> str | None:
    """Say whose a batch is."""
    return connection.execute(select(batches.c.owner).where(batches.c.id == batch_id)).scalar_one_or_none()


def list_(connection: Connection, owner: str, *, before: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
    """Give batches, newest first."""
    query = select(batches.c.id).where(batches.c.owner == owner)
    if before is not None:
        query = query.where(batches.c.id < before)
    ids = connection.execute(query.order_by(batches.c.id.desc()).limit(limit)).scalars().all()
    return [get(connection, owner, batch_id) for batch_id in ids]


def results(database: Database, owner: str, batch_id: str, page: int = 500) -> Iterator[Mapping[str, Any]]:
    """Give a row a line, in order: {"line", "run", "status", "assets", "reply", "error"}.

    Raises:
        UnknownId: there is no such batch of this owner.
    """
    with database.read() as connection:
        _require(connection, owner, batch_id)
    return _results(database, owner, batch_id, page)


def _results(database: Database, owner: str, batch_id: str, page: int) -> Iterator[Mapping[str, Any]]:
    last = 0
    while True:
        with database.read() as connection:
            found = rows(connection, owner, batch_id, after=last, limit=page)
        if not found:
            return
        last = found[-1]["line"]
        for row in found:
            yield {name: row[name] for name in RESULT}


def rows(
    connection: Connection,
    owner: str,
    batch_id: str,
    *,
    status: Sequence[str] = (),
    after: int = 0,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Give the lines that were begun, in order: RESULT, and what the line asked for.

    Args:
        status: only these; `bad_line` is a line that could not be read. None: all.
        after: only lines behind this one.

    Raises:
        UnknownId: there is no such batch of this owner.
    """
    _require(connection, owner, batch_id)
    stands = func.coalesce(runs.c.status, BAD_LINE)
    query = (
        select(batch_rows, stands.label("status"), *_OF_RUN, runs.c.error.label("run_error"))
        .outerjoin(runs, runs.c.id == batch_rows.c.run_id)
        .where(batch_rows.c.batch_id == batch_id, batch_rows.c.line > after)
        .order_by(batch_rows.c.line)
        .limit(limit)
    )
    found = connection.execute(query.where(stands.in_(status)) if status else query).all()
    made = _assets_of(connection, [row.run_id for row in found if row.run_id])
    return [_row(row, made) for row in found]


def _row(row: Row[Any], made: Mapping[str, list[str]]) -> dict[str, Any]:
    step = (row.plan or {}).get("steps", [{}])[:1] if row.request is None else []
    return {
        "line": row.line,
        "run": row.run_id,
        "status": row.status,
        "assets": made.get(row.run_id, []),
        "reply": row.reply,
        "error": row.error or row.run_error,
        "say": row.request,
        "tool": step[0].get("tool") if step else None,
        "args": step[0].get("args") if step else None,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
    }


def _assets_of(connection: Connection, run_ids: list[str]) -> dict[str, list[str]]:
    rows = connection.execute(
        select(steps.c.run_id, step_assets.c.asset_id)
        .join(step_assets, step_assets.c.step_id == steps.c.id)
        .join(assets, assets.c.id == step_assets.c.asset_id)
        .where(steps.c.run_id.in_(run_ids))
        .order_by(steps.c.run_id, steps.c.position, step_assets.c.position)
    )
    found: dict[str, list[str]] = {}
    for run_id, asset_id in rows:
        found.setdefault(run_id, []).append(asset_id)
    return found


def read_input(database: Database, owner: str, batch_id: str, open_blob: OpenBlob) -> Iterator[tuple[int, bytes]]:
    """Give each line of a batch's input with its number, from 1; of a monster its first bytes.

    Raises:
        UnknownId: there is no such batch of this owner.
    """
    with database.read() as connection:
        sha256 = _require(connection, owner, batch_id).input_sha256

    def lines() -> Iterator[tuple[int, bytes]]:
        with open_blob(sha256) as source:
            for number in count(1):
                raw, size_bytes = _next_line(source)
                if not size_bytes:
                    return
                yield number, raw

    return lines()


def _require(connection: Connection, owner: str, batch_id: str, *, hold: bool = False) -> Row[Any]:
    query = select(batches).where(batches.c.id == batch_id, batches.c.owner == owner)
    row = connection.execute(query.with_for_update() if hold else query).first()
    if row is None:
        raise UnknownId(f"there is no batch {batch_id!r}")
    return row


def _end(t: Transition, batch_id: str, status: str) -> None:
    t.connection.execute(update(batches).where(batches.c.id == batch_id).values(status=status, ended_at=t.now))
    t.announce(f"batch.{status}", batch_id)
