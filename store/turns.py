"""Whose turn it is: the lines in which steps wait, without looking at the steps.

A line is what waits in one queue for one tool at one priority, of one owner. An index holds the queued steps line by
line, the oldest first, so the database leaps from line to line: a look costs as much as there are lines at the best
priority, however long they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Boolean, Connection, String, TextClause, bindparam, text

OF_SOLUTIONS = "*.*"  # among the tools of a worker: those of solutions, whose names ("acme.find") it need not know
PAGE = 32  # lines that are tried before it is left to the next call: their steps were all taken meanwhile
FIRST = -(2**31)  # before every priority


@dataclass(frozen=True)
class Line:
    """Steps of one owner that wait for one tool, the oldest first."""

    queue: str
    tool: str
    priority: int
    owner: str


def lines(connection: Connection, queues: Sequence[str], due: float, tools: Sequence[str] | None) -> Iterator[Line]:
    """Give the lines of steps that can be claimed, those first whose turn it is.

    The order is priority, then the owner who was served longest ago, then the age of the first step.

    Args:
        due: steps that are put off until later than this are not seen.
        tools: only lines for these; None: for all.
    """
    named = list(tools or ())
    given = {f"queue{n}": queue for n, queue in enumerate(queues)} | {
        "of_due": due,
        "any_tool": tools is None,
        "solutions": OF_SOLUTIONS in named,
        "tools": named,
        "above": FIRST,
        "page": PAGE,
    }
    while rows := connection.execute(_statement(len(queues)), given).all():
        yield from (Line(row.queue, row.tool, row.priority, row.owner) for row in rows if row.since is not None)
        given["above"] = rows[0].priority


@cache
def _statement(queues: int) -> TextClause:
    asked = " UNION ALL ".join(f"SELECT CAST(:queue{n} AS VARCHAR(40)) AS queue" for n in range(queues))
    return text(_TURNS.replace("ASKED", asked)).bindparams(
        bindparam("tools", expanding=True, type_=String),
        bindparam("any_tool", type_=Boolean),
        bindparam("solutions", type_=Boolean),
    )


# The first by a column of an index whose columns before it are given is one leap; no list of distinct values is ever
# made. Not min(): where PostgreSQL believes that few rows wait, it reads all of them for that.
_TURNS = """
WITH RECURSIVE
kinds (queue, tool) AS (
    SELECT asked.queue,
        (SELECT s.tool FROM steps s WHERE s.status = 'queued' AND s.queue = asked.queue ORDER BY s.tool LIMIT 1)
    FROM (ASKED) AS asked
    UNION ALL
    SELECT k.queue,
        (SELECT s.tool FROM steps s
         WHERE s.status = 'queued' AND s.queue = k.queue AND s.tool > k.tool ORDER BY s.tool LIMIT 1)
    FROM kinds k WHERE k.tool IS NOT NULL
),
able (queue, tool, priority) AS (
    SELECT k.queue, k.tool,
        (SELECT s.priority FROM steps s
         WHERE s.status = 'queued' AND s.queue = k.queue AND s.tool = k.tool AND s.priority > :above
         ORDER BY s.priority LIMIT 1)
    FROM kinds k
    WHERE k.tool IS NOT NULL
        AND (:any_tool OR k.tool IN :tools OR (:solutions AND k.tool LIKE '%.%' AND k.tool NOT LIKE 'studio.%'))
),
lines (queue, tool, priority, owner) AS (
    SELECT a.queue, a.tool, a.priority,
        (SELECT s.owner FROM steps s
         WHERE s.status = 'queued' AND s.queue = a.queue AND s.tool = a.tool AND s.priority = a.priority
         ORDER BY s.owner LIMIT 1)
    FROM able a WHERE a.priority = (SELECT min(priority) FROM able)
    UNION ALL
    SELECT l.queue, l.tool, l.priority,
        (SELECT s.owner FROM steps s
         WHERE s.status = 'queued' AND s.queue = l.queue AND s.tool = l.tool AND s.priority = l.priority
            AND s.owner > l.owner
         ORDER BY s.owner LIMIT 1)
    FROM lines l WHERE l.owner IS NOT NULL
),
fronts (queue, tool, priority, owner, served_at, since) AS MATERIALIZED (
    SELECT l.queue, l.tool, l.priority, l.owner,
        coalesce((SELECT shares.served_at FROM shares WHERE shares.owner = l.owner), 0),
        (SELECT s.available_at FROM steps s
         WHERE s.status = 'queued' AND s.queue = l.queue AND s.tool = l.tool AND s.priority = l.priority
            AND s.owner = l.owner AND s.available_at <= :of_due
         ORDER BY s.available_at LIMIT 1)
    FROM lines l WHERE l.owner IS NOT NULL
)
SELECT queue, tool, priority, owner, since FROM fronts
ORDER BY CASE WHEN since IS NULL THEN 1 ELSE 0 END, served_at, since LIMIT :page
"""
