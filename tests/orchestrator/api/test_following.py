"""Who follows a run hears of an event when it is committed, also while notices are lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from benchmarks.desk import Desk
from benchmarks.waiting import empty
from orchestrator.api import events
from store.database import Database
from store.notices import Notices

SOON_S = 3.0  # on a machine that is busy


@pytest.fixture
def desk(postgresql_url: str) -> Iterator[Desk]:
    database = Database(postgresql_url, name="follower")
    yield Desk(database)
    empty(database)
    database.close()


def follow(desk: Desk, run_id: str, meanwhile: Callable[[], object]) -> tuple[list[str], float]:
    """Follow a run to its end, do something after its first events, and say how long the rest took."""

    async def watch() -> tuple[list[str], float]:
        seen: list[str] = []
        context: Any = SimpleNamespace(database=desk.database)
        began = time.monotonic()
        async for event in events.follow(context, "ada", run_id, 0):
            assert event is not None
            seen.append(event.type)
            if event.type == "step.queued":
                heard = desk.database.notices
                assert heard is not None
                await asyncio.to_thread(heard.listening.wait, SOON_S)
                began = time.monotonic()
                asyncio.get_running_loop().run_in_executor(None, meanwhile)
        return seen, time.monotonic() - began

    return asyncio.run(watch())


def finish(desk: Desk) -> None:
    time.sleep(0.2)
    desk.complete(desk.one())


def test_a_follower_hears_of_the_end_without_looking(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "UNTOLD_S", 60.0)
    run_id = desk.plan(desk.step("s1"))
    seen, took_s = follow(desk, run_id, lambda: finish(desk))
    assert seen[-1] == "run.completed"
    assert took_s < SOON_S


def test_a_lost_notice_costs_a_look_and_no_event(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Notices, "tell", lambda *_: None)
    run_id = desk.plan(desk.step("s1"))
    seen, took_s = follow(desk, run_id, lambda: finish(desk))
    assert seen[-1] == "run.completed"
    assert took_s < events.UNTOLD_S + SOON_S


def test_a_follower_that_cannot_be_woken_keeps_no_other_from_being_woken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "UNTOLD_S", 60.0)
    notices = desk.database.notices
    assert notices is not None
    run_id, others = desk.plan(desk.step("s1")), desk.plan(desk.step("s1"))

    def gone() -> None:
        raise RuntimeError("Event loop is closed")

    with notices.on(others, gone):
        assert notices.listening.wait(SOON_S)
        notices.tell([others])
        time.sleep(0.3)
        seen, took_s = follow(desk, run_id, lambda: [finish(desk) for _ in range(2)])
    assert seen[-1] == "run.completed"
    assert took_s < SOON_S


def test_it_listens_again_after_its_connection_was_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    notices = desk.database.notices
    assert notices is not None
    run_id = desk.plan(desk.step("s1"))

    def lose_and_finish() -> None:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = :name"
        name = desk.database.engine.url.database
        with desk.database.read() as connection:
            assert connection.execute(text(cut), {"name": name}).all() == [(True,)]
        deadline = time.monotonic() + SOON_S
        while notices.listening.is_set() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert notices.listening.wait(2 * SOON_S)
        monkeypatch.setattr(events, "UNTOLD_S", 60.0)
        finish(desk)

    seen, took_s = follow(desk, run_id, lose_and_finish)
    assert seen[-1] == "run.completed"
    assert took_s < 4 * SOON_S
