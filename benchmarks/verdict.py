"""Whether anything was lost, done twice, or left behind."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from store import runs, steps
from store.blobs import Blobs
from store.database import Database
from store.tables import assets, outbox, step_assets
from store.tables import runs as run_rows
from store.tables import steps as step_rows

MAKERS = ("write", "write_together", "later")  # tools that make one thing a step


@dataclass(frozen=True)
class Verdict:
    """What must be all zero when everything has ended.

    Attributes:
        lost: accepted runs that did not end, completed steps without their result, results without their bytes.
        doubled: results beyond one a step.
        stuck: steps that nobody will move, and calls for work that is done.
    """

    lost: int
    doubled: int
    stuck: int

    @property
    def well(self) -> bool:
        """Nothing is amiss."""
        return self == Verdict(0, 0, 0)

    def __str__(self) -> str:
        return f"lost {self.lost}, doubled {self.doubled}, stuck {self.stuck}"


def judge(database: Database, lease_s: float, blobs: Blobs) -> Verdict:
    """Look at everything that a laboratory has."""
    with database.read() as connection:
        results = select(step_assets.c.step_id, func.count()).group_by(step_assets.c.step_id)
        made: dict[str, int] = {row[0]: row[1] for row in connection.execute(results)}
        makers = select(step_rows.c.id).where(step_rows.c.tool.in_(MAKERS), step_rows.c.status == "completed")
        without = sum(id_ not in made for id_ in connection.execute(makers).scalars())
        names = list(connection.execute(select(assets.c.sha256).distinct()).scalars())
        stuck = steps.stuck(connection, time.time(), lease_s)
        open_, stray, left = open_runs(connection), _stray(connection), calls_left(connection)
    return Verdict(
        lost=open_ + without + sum(not blobs.has(name) for name in names),
        doubled=sum(count - 1 for count in made.values()) + stray,
        stuck=len(stuck) + left,
    )


def open_runs(connection: Connection) -> int:
    """Count the runs that have not ended."""
    return _count(connection, select(func.count()).where(run_rows.c.status.in_(runs.OPEN_RUN)))


def calls_left(connection: Connection) -> int:
    """Count the wake-up calls that nobody has heard."""
    return _count(connection, select(func.count()).select_from(outbox))


def _stray(connection: Connection) -> int:
    """Count assets of a step that are not its results: a late worker wrote them."""
    joined = assets.outerjoin(step_assets, step_assets.c.asset_id == assets.c.id)
    return _count(connection, select(func.count()).select_from(joined).where(step_assets.c.asset_id.is_(None)))


def _count(connection: Connection, query: object) -> int:
    count: int = connection.execute(query).scalar_one()  # type: ignore[call-overload]
    return count
