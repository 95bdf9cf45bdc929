"""Events are numbered without a gap, and a wake-up call is repeated until it is heard."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from benchmarks.desk import Desk
from store import events, presence, transition
from store.database import Database
from store.tables import outbox
from store.transition import Wake


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def make_due(desk: Desk) -> None:
    desk.database.transact(lambda connection: connection.execute(update(outbox).values(due_at=time.time() - 1)))


def test_events_are_numbered_without_a_gap_when_many_write_at_once(desk: Desk) -> None:
    run_id = desk.plan(desk.step("s1"))
    start = threading.Barrier(8)

    def tell(writer: int) -> None:
        start.wait()
        for turn in range(10):
            desk.change(lambda t, turn=turn: t.emit(run_id, "step.progress", writer=writer, turn=turn))  # type: ignore[misc]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(8)))

    with desk.database.read() as connection:
        told = events.after(connection, run_id, 0)
    assert [event.sequence_number for event in told] == list(range(1, 3 + 80 + 1))
    for writer in range(8):  # and each writer's events keep their order
        turns = [event.data["turn"] for event in told if event.data.get("writer") == writer]
        assert turns == list(range(10))


def test_a_client_that_comes_back_gets_what_it_missed_and_nothing_twice(desk: Desk) -> None:
    run_id = desk.plan(desk.step("s1"))
    desk.complete(desk.one())

    with desk.database.read() as connection:
        everything = events.after(connection, run_id, 0)
        missed = events.after(connection, run_id, 3)
        page = events.after(connection, run_id, 0, limit=2)

    assert [event.sequence_number for event in missed] == [
        n.sequence_number for n in everything if n.sequence_number > 3
    ]
    assert [event.sequence_number for event in page] == [1, 2]
    assert everything[-1].as_json()["type"] == "run.completed"
    assert everything[-1].as_json()["sequence_number"] == len(everything)


def test_a_change_that_fails_leaves_no_event_and_no_call(desk: Desk) -> None:
    run_id = desk.plan(desk.step("s1"))
    before = desk.events(run_id), desk.calls()

    def broken(t: transition.Transition) -> None:
        t.emit(run_id, "step.progress")
        t.wake("step", "step_x", "image")
        t.flush()
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        desk.change(broken)

    assert (desk.events(run_id), desk.calls()) == before


def test_the_message_is_sent_after_the_commit_and_stays_in_the_outbox_until_it_is_heard(desk: Desk) -> None:
    result, wakes = transition.run(desk.database, lambda t: t.wake("step", "step_1", "image", 5))

    assert result is None
    assert wakes == [Wake("step", "step_1", "image", 5)]
    assert desk.calls() == [("step", "step_1")]
    desk.change(lambda t: t.heard("step", ["step_1"]))
    assert desk.calls() == []


def test_a_call_that_nobody_answered_is_sent_again_less_and_less_often(desk: Desk) -> None:
    desk.change(lambda t: t.wake("step", "step_1", "image"))
    assert transition.due(desk.database) == []  # the first message is still on its way

    waits = []
    for _ in range(6):
        make_due(desk)
        assert transition.due(desk.database) == [Wake("step", "step_1", "image")]
        assert transition.due(desk.database) == []
        with desk.database.read() as connection:
            waits.append(connection.execute(select(outbox.c.due_at)).scalar_one() - time.time())

    assert waits[:4] == sorted(waits[:4])
    assert transition.RESEND_S < waits[0] < 3 * transition.RESEND_S
    assert 0.8 * transition.RESEND_MAX_S < waits[-1] <= transition.RESEND_MAX_S


def test_a_broker_that_was_away_is_not_punished_with_longer_and_longer_waits(desk: Desk) -> None:
    desk.change(lambda t: t.wake("step", "step_1", "image"))
    for _ in range(8):  # each time the broker is away
        make_due(desk)
        transition.not_sent(desk.database, transition.due(desk.database))

    assert transition.due(desk.database) == [Wake("step", "step_1", "image")]  # due at once, not in a minute


def test_two_processes_do_not_send_the_same_call_again_at_once(desk: Desk) -> None:
    for number in range(40):
        desk.change(lambda t, n=number: t.wake("step", f"step_{n}", "image"))  # type: ignore[misc]
    make_due(desk)
    start = threading.Barrier(4)

    def sweep(_: int) -> list[Wake]:
        start.wait()
        return transition.due(desk.database)

    with ThreadPoolExecutor(4) as pool:
        sent = [wake.ref_id for wakes in pool.map(sweep, range(4)) for wake in wakes]
    assert sorted(sent) == sorted(set(sent))
    assert len(sent) == 40


def test_a_call_for_later_is_not_sent_before_its_time(desk: Desk) -> None:
    _, wakes = transition.run(desk.database, lambda t: t.wake("step", "step_1", "image", delay_s=0.3))
    assert wakes == []
    assert transition.due(desk.database) == []
    time.sleep(0.35)
    assert transition.due(desk.database) == [Wake("step", "step_1", "image")]


def test_one_transition_may_call_about_the_same_thing_twice(desk: Desk) -> None:
    def twice(t: transition.Transition) -> None:
        t.wake("feed", "batch_1", "planner")
        t.wake("feed", "batch_1", "planner")

    desk.change(twice)
    assert desk.calls() == [("feed", "batch_1")]


def test_who_is_there_is_seen_and_who_left_long_ago_is_forgotten(desk: Desk) -> None:
    def here(name: str, loads: dict[str, int]) -> None:
        desk.database.transact(
            lambda c: presence.here(c, presence.Worker(name, ["image"], 7, started_at=1.0, models=loads))
        )

    here("w1", {})
    here("w1", {"vae": 1})
    with desk.database.read() as connection:
        (worker,) = presence.fresh(connection)
        assert worker["models"] == {"vae": 1}
        assert presence.fresh(connection, within_s=-1) == []
