"""Who is there, under which name, and what nobody can run."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.desk import Desk
from store import events, presence, views
from store.clock import Clock
from store.database import Database
from store.presence import Worker


@pytest.fixture(autouse=True)
def newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is read anew each time, so that tests need not wait."""
    monkeypatch.setattr(presence, "ROSTER_S", -1.0)


def worker(name: str = "w1", *queues: str, **fields: Any) -> Worker:
    return Worker(name, queues or ("image",), fields.pop("pid", 7), fields.pop("started_at", 1.0), **fields)


def here(database: Database, *workers: Worker) -> list[bool]:
    return [database.transact(lambda c, one=one: presence.here(c, one)) for one in workers]  # type: ignore[misc]


def unserved(database: Database, queue: str, tool: str) -> str | None:
    with database.read() as connection:
        return presence.unserved(connection, queue, tool)


def of_queued(database: Database, run_id: str) -> dict[str, Any]:
    """Give what the event "step.queued" of a run says."""
    with database.read() as connection:
        return next(event.data for event in events.after(connection, run_id, 0) if event.type == "step.queued")


def test_a_name_belongs_to_one_process(database: Database) -> None:
    assert here(database, worker(pid=7), worker(pid=7), worker(pid=8)) == [True, True, False]
    with database.read() as connection:
        seen = presence.get(connection, "w1")
    later, earlier = worker(pid=9), worker(pid=10)
    assert database.transact(lambda c: presence.take(c, later, seen))
    assert not database.transact(lambda c: presence.take(c, earlier, seen))  # the other was quicker
    assert here(database, worker(pid=7)) == [False]


def test_a_worker_that_ends_in_order_is_gone_at_once(database: Database) -> None:
    here(database, worker())
    database.transact(lambda c: presence.gone(c, "w1", 2.0))  # another process of this name
    with database.read() as connection:
        assert len(presence.fresh(connection)) == 1
    database.transact(lambda c: presence.gone(c, "w1", 1.0))
    with database.read() as connection:
        assert presence.fresh(connection) == []


@pytest.mark.parametrize(
    ("there", "queue", "tool", "served"),
    [
        ([], "image", "draw", False),
        ([worker("w1", "planner")], "image", "draw", False),
        ([worker(tools=["draw"])], "image", "draw", True),
        ([worker(tools=["draw"])], "image", "sing", False),
        ([worker(tools=["draw"]), worker("w2", tools=["sing"])], "image", "sing", True),
        ([worker(tools=None)], "image", "sing", True),  # a worker of the release before runs all of its queues
        ([worker(tools=["draw"], draining=True)], "image", "draw", False),
        ([worker("w1", "solution", tools=["*.*"])], "solution", "acme.find", True),
        ([worker("w1", "solution", tools=["*.*"])], "solution", "studio.new", False),
    ],
)
def test_what_nobody_can_run(database: Database, there: list[Worker], queue: str, tool: str, served: bool) -> None:
    here(database, *there)
    said = unserved(database, queue, tool)
    assert (said is None) == served
    if said is not None:
        assert f"atelier worker --queues {queue}" in said


def test_a_run_that_nobody_can_serve_says_so_until_somebody_can(database: Database) -> None:
    desk = Desk(database)
    run_id = desk.plan(desk.step("s1"))
    queued = of_queued(database, run_id)
    assert "no worker serves the queue 'image'" in queued["unserved"]

    def told() -> str | None:
        with database.read() as connection:
            said: str | None = views.get(connection, "ada", run_id)["unserved"]
            return said

    assert told() == queued["unserved"]
    here(database, worker(tools=["draw"]))
    assert told() is None
    second = desk.plan(desk.step("s1"))
    assert "unserved" not in of_queued(database, second)


def test_words_that_no_planner_hears_say_so(database: Database) -> None:
    desk = Desk(database)
    with database.read() as connection:
        said = views.get(connection, "ada", desk.say("a cat"))["unserved"]
    assert "'planner'" in said


def test_the_clock_is_the_database_s_whatever_this_machine_believes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = database.clock.now()
    monkeypatch.setattr("store.clock.time.time", lambda: right + 100)
    ahead_s = Clock(database.engine).now() - right
    if database.is_sqlite:  # there is only this machine
        assert ahead_s == pytest.approx(100, abs=1)
    else:
        assert ahead_s == pytest.approx(0, abs=1)
        assert database.clock.skew_s() == pytest.approx(100, abs=1)
