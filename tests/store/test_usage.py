"""What was used is counted from the rows, and days are those of UTC on every database."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from benchmarks.desk import Desk
from store import tables, usage
from store.database import Database
from tests.store.conftest import Save

DAY_S = 86400.0
FROM, UNTIL = 19_000 * DAY_S, 19_010 * DAY_S


def test_groups_and_edges(database: Database, save: Save) -> None:
    desk = Desk(database)
    at = [FROM, FROM + DAY_S - 0.25, FROM + 1.75 * DAY_S, UNTIL]  # the last is not in it
    for moment in at:
        run = desk.plan(desk.step("s1"), key_id="key_1" if moment == FROM else None)
        made = save("ada", run_id=run, size_bytes=10)
        for table, id_ in ((tables.runs, run), (tables.assets, made)):
            moved = update(table).where(table.c.id == id_).values(created_at=moment)
            database.transact(lambda c, moved=moved: c.execute(moved))  # type: ignore[misc]
    worked = update(tables.steps).values(started_at=5.0, ended_at=7.5)
    database.transact(lambda c: c.execute(worked))

    def counted(group_by: str | None) -> dict[object, tuple[float, ...]]:
        with database.read() as connection:
            found = usage.used(connection, owner="ada", since=FROM, until=UNTIL, group_by=group_by)
        return {group: tuple(row[name] for name in usage.COUNTED) for group, row in found.items()}

    assert counted(None) == {None: (3, 3, 7.5, 3, 30)}
    assert counted("day") == {19_000: (2, 2, 5.0, 2, 20), 19_001: (1, 1, 2.5, 1, 10)}
    assert counted("key") == {"key_1": (1, 1, 2.5, 1, 10), None: (2, 2, 5.0, 2, 20)}
    assert counted("owner") == {"ada": (3, 3, 7.5, 3, 30)}
    assert counted("tool") == {"draw": (3, 3, 7.5, 0, 0), None: (0, 0, 0, 3, 30)}  # the assets name no step
    with database.read() as connection:
        assert usage.used(connection, owner="bob", since=FROM, until=UNTIL, group_by="day") == {}
        nobody = usage.used(connection, owner="bob", since=FROM, until=UNTIL)
    assert nobody == {None: dict.fromkeys(usage.COUNTED, 0)}


def test_a_way_to_group_that_does_not_exist_is_refused(database: Database) -> None:
    with database.read() as connection, pytest.raises(ValueError, match="moon"):
        usage.used(connection, owner=None, since=0.0, until=1.0, group_by="moon")
