"""A run from its acceptance to its end, as its owner sees it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from benchmarks.desk import Desk
from store import runs, steering, steps, views
from store.database import Database
from store.runs import NewRun, UnknownId, WrongState
from store.steps import LeaseLost
from store.tables import runs as run_rows
from store.tables import steps as step_rows
from store.transition import Transition


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def test_an_accepted_plan_is_queued_and_calls_a_worker(desk: Desk) -> None:
    run_id = desk.plan(desk.step("s1"), desk.step("s2", "s1"))

    assert desk.status(run_id) == "pending"
    assert desk.steps(run_id) == {"s1": "queued", "s2": "waiting"}
    assert desk.events(run_id) == ["run.created", "plan.created", "step.queued"]
    assert [task for task, _ in desk.calls()] == ["step"]


def test_accepted_words_wait_for_a_planner_and_no_plan_can_name_its_step(desk: Desk) -> None:
    run_id = desk.say("a cat")

    assert desk.status(run_id) == "pending"
    assert desk.steps(run_id) == {}  # planning is no step of the user's
    plan = desk.one(queues=["planner"])
    assert plan.tool == runs.PLAN
    assert desk.status(run_id) == "planning"


def test_the_same_idempotency_key_gives_the_same_run(desk: Desk) -> None:
    new = NewRun(owner="ada", request="a cat", idempotency_key="k1")
    first = desk.change(lambda t: runs.accept(t, new))
    second = desk.change(lambda t: runs.accept(t, new))
    bob = desk.change(lambda t: runs.accept(t, NewRun(owner="bob", request="a cat", idempotency_key="k1")))

    assert first.created
    assert not second.created
    assert second.run_id == first.run_id
    assert bob.created  # keys belong to their owner
    assert desk.events(first.run_id) == ["run.created"]


def test_the_same_key_sent_eight_times_at_once_is_one_run(desk: Desk) -> None:
    start = threading.Barrier(8)

    def send(_: int) -> runs.Accepted:
        start.wait()
        return desk.change(lambda t: runs.accept(t, NewRun(owner="ada", request="a cat", idempotency_key="k1")))

    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(send, range(8)))
    assert len({one.run_id for one in accepted}) == 1
    assert sum(one.created for one in accepted) == 1
    assert len(desk.claim(queues=["planner"])) == 1
    assert desk.claim(queues=["planner"]) == []


def test_a_plan_without_steps_is_done_at_once(desk: Desk) -> None:
    run_id = desk.plan()
    assert desk.status(run_id) == "completed"
    assert desk.events(run_id)[-1] == "run.completed"


def test_words_become_a_plan_its_steps_and_an_answer(desk: Desk) -> None:
    thread_id = desk.change(lambda t: runs.new_thread(t, "ada"))
    run_id = desk.say("two cats", thread_id=thread_id)
    desk.save_plan(desk.one(queues=["planner"]), desk.step("s1"), desk.step("s2"))
    assert desk.status(run_id) == "in_progress"

    desk.complete(desk.one())
    assert desk.status(run_id) == "in_progress"
    desk.complete(desk.one())
    assert desk.status(run_id) == "in_progress"  # the answer is missing
    desk.reply(desk.one(queues=["planner"]), "Here are two cats.")

    run = desk.run(run_id)
    assert (run["status"], run["reply"]) == ("completed", "Here are two cats.")
    with desk.database.read() as connection:
        said = views.thread(connection, "ada", thread_id)["messages"]
    assert [(m["role"], m["content"]) for m in said] == [("user", "two cats"), ("assistant", "Here are two cats.")]
    assert [e for e in desk.events(run_id) if e.startswith(("run.", "plan."))] == [
        "run.created",
        "plan.created",
        "run.started",
        "run.completed",
    ]
    assert desk.calls() == []


def test_a_plan_without_steps_answers_in_words(desk: Desk) -> None:
    run_id = desk.say("what can you do?")
    desk.save_plan(desk.one(queues=["planner"]), reply="I draw.")
    assert (desk.status(run_id), desk.run(run_id)["reply"]) == ("completed", "I draw.")


def test_a_plan_that_was_only_asked_for_runs_nothing(desk: Desk) -> None:
    run_id = desk.say("a cat", plan_only=True)
    desk.save_plan(desk.one(queues=["planner"]), desk.step("s1"), reply="One cat.")

    assert desk.status(run_id) == "completed"
    assert desk.run(run_id)["plan"]["steps"][0]["id"] == "s1"
    assert desk.steps(run_id) == {}
    assert desk.claim() == []
    assert desk.calls() == []


def test_a_plan_waits_for_approval_and_runs_as_it_was_edited(desk: Desk) -> None:
    run_id = desk.say("a cat", needs_approval=True)
    desk.save_plan(desk.one(queues=["planner"]), desk.step("s1"))
    assert desk.status(run_id) == "waiting_approval"
    assert desk.events(run_id)[-1] == "approval.required"
    assert desk.claim() == []

    edited = {"steps": [{"id": "s9", "tool": "draw", "args": {}}], "reply": ""}
    desk.change(lambda t: steering.approve(t, "ada", run_id, edited, [desk.step("s9")]))
    assert desk.status(run_id) == "in_progress"
    assert desk.one().name == "s9"
    assert desk.run(run_id)["plan"] == edited
    with pytest.raises(WrongState, match="in_progress"):
        desk.change(lambda t: steering.approve(t, "ada", run_id, edited, [desk.step("s9")]))


def test_when_planning_fails_the_run_fails_and_says_why(desk: Desk) -> None:
    thread_id = desk.change(lambda t: runs.new_thread(t, "ada"))
    run_id = desk.say("a cat", thread_id=thread_id)
    desk.fail(desk.one(queues=["planner"]), "I do not understand")

    assert desk.status(run_id) == "failed"
    assert desk.run(run_id)["error"]["message"] == "I do not understand"
    with desk.database.read() as connection:
        assert views.thread(connection, "ada", thread_id)["messages"][-1]["content"] == "I do not understand"


class TestFailure:
    def test_what_stands_behind_a_failed_step_is_skipped_and_the_rest_runs(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"), desk.step("s2", "s1"), desk.step("s3", "s2"), desk.step("s4"))
        desk.fail(desk.one())
        assert desk.steps(run_id) == {"s1": "failed", "s2": "skipped", "s3": "skipped", "s4": "queued"}
        assert desk.status(run_id) == "in_progress"
        desk.complete(desk.one())

        assert desk.status(run_id) == "failed"
        assert desk.run(run_id)["error"]["message"] == "no ink"

    def test_words_get_an_answer_also_when_a_step_failed(self, desk: Desk) -> None:
        run_id = desk.say()
        desk.save_plan(desk.one(queues=["planner"]), desk.step("s1"))
        desk.fail(desk.one())
        desk.reply(desk.one(queues=["planner"]), "There was no ink.")
        run = desk.run(run_id)
        assert (run["status"], run["reply"]) == ("failed", "There was no ink.")

    def test_a_failed_step_is_tried_again_with_what_was_skipped(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"), desk.step("s2", "s1"), desk.step("s3"), desk.step("s4", "s3"))
        s1, s3 = desk.one(), desk.one()
        desk.fail(s1)
        desk.fail(s3)
        assert desk.status(run_id) == "failed"

        assert desk.change(lambda t: steering.retry(t, "ada", run_id, "s1")) == ["s1"]
        assert desk.steps(run_id) == {"s1": "queued", "s2": "waiting", "s3": "failed", "s4": "skipped"}
        desk.complete(desk.one())
        desk.complete(desk.one())
        assert desk.status(run_id) == "failed"  # s3 still is

        assert desk.change(lambda t: steering.retry(t, "ada", run_id)) == ["s3"]
        desk.complete(desk.one())
        desk.complete(desk.one())
        assert desk.status(run_id) == "completed"
        assert desk.run(run_id)["error"] is None
        assert desk.calls() == []

    def test_a_step_tried_again_has_all_its_attempts_and_a_new_token(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"))
        first = desk.one()
        desk.fail(first)
        desk.change(lambda t: steering.retry(t, "ada", run_id))
        again = desk.one()
        assert again.attempts == 1
        assert again.token > first.token

    def test_the_answer_is_made_anew_after_a_retry(self, desk: Desk) -> None:
        run_id = desk.say()
        desk.save_plan(desk.one(queues=["planner"]), desk.step("s1"))
        desk.fail(desk.one())
        desk.reply(desk.one(queues=["planner"]), "There was no ink.")

        desk.change(lambda t: steering.retry(t, "ada", run_id, "s1"))
        assert desk.claim(queues=["planner"]) == []
        desk.complete(desk.one())
        desk.reply(desk.one(queues=["planner"]), "Here it is.")
        run = desk.run(run_id)
        assert (run["status"], run["reply"], run["error"]) == ("completed", "Here it is.", None)

    def test_where_only_the_answer_failed_only_the_answer_is_made_again(self, desk: Desk) -> None:
        run_id = desk.say()
        desk.save_plan(desk.one(queues=["planner"]), desk.step("s1"))
        desk.complete(desk.one())
        desk.fail(desk.one(queues=["planner"]), "no words")
        assert desk.status(run_id) == "completed"

        desk.change(lambda t: steering.retry(t, "ada", run_id))
        desk.reply(desk.one(queues=["planner"]), "Here it is.")
        assert (desk.status(run_id), desk.run(run_id)["reply"]) == ("completed", "Here it is.")
        assert desk.calls() == []
        assert desk.stuck() == []

    def test_planning_that_failed_can_be_tried_again(self, desk: Desk) -> None:
        run_id = desk.say()
        desk.fail(desk.one(queues=["planner"]))
        desk.change(lambda t: steering.retry(t, "ada", run_id))
        desk.save_plan(desk.one(queues=["planner"]), desk.step("s1"))
        desk.complete(desk.one())
        desk.reply(desk.one(queues=["planner"]), "A cat.")
        assert desk.status(run_id) == "completed"

    def test_what_goes_on_or_went_well_cannot_be_tried_again(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"))
        with pytest.raises(WrongState, match="pending"):
            desk.change(lambda t: steering.retry(t, "ada", run_id))
        desk.complete(desk.one())
        with pytest.raises(WrongState, match="no failed step"):
            desk.change(lambda t: steering.retry(t, "ada", run_id))
        with pytest.raises(UnknownId, match="s7"):
            desk.change(lambda t: steering.retry(t, "ada", run_id, "s7"))


class TestCancel:
    def cancel(self, desk: Desk, run_id: str) -> str:
        return desk.change(lambda t: steering.cancel(t, "ada", run_id))

    def test_before_anybody_works_on_it_it_is_cancelled_at_once(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"), desk.step("s2", "s1"))
        assert self.cancel(desk, run_id) == "cancelled"
        assert set(desk.steps(run_id).values()) == {"cancelled"}
        assert desk.claim() == []
        assert desk.calls() == []
        assert desk.events(run_id)[-1] == "run.cancelled"

    def test_while_a_step_runs_it_says_cancelling_until_the_step_has_stopped(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"), desk.step("s2"))
        claim = desk.one()
        assert self.cancel(desk, run_id) == "cancelling"
        assert desk.steps(run_id) == {"s1": "in_progress", "s2": "cancelled"}
        desk.stop(claim)
        assert desk.status(run_id) == "cancelled"
        assert desk.calls() == []

    def test_a_step_that_was_too_fast_to_stop_keeps_its_result_and_starts_no_other(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"), desk.step("s2", "s1"))
        claim = desk.one()
        self.cancel(desk, run_id)
        desk.complete(claim)
        assert desk.steps(run_id) == {"s1": "completed", "s2": "cancelled"}
        assert desk.status(run_id) == "cancelled"

    def test_a_step_that_fails_while_its_run_is_cancelled_ends_it_as_cancelled(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"))
        claim = desk.one()
        self.cancel(desk, run_id)
        desk.fail(claim)
        assert desk.status(run_id) == "cancelled"

    def stop(self, desk: Desk, run_id: str, step: str, owner: str = "ada") -> None:
        desk.change(lambda t: steering.stop_step(t, owner, run_id, step))

    def test_one_step_is_stopped_and_the_rest_goes_on(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"), desk.step("s2", "s1"), desk.step("s3", "s2"), desk.step("s4"))
        self.stop(desk, run_id, "s1")
        assert desk.steps(run_id) == {"s1": "cancelled", "s2": "skipped", "s3": "skipped", "s4": "queued"}
        self.stop(desk, run_id, "s1")
        assert desk.events(run_id).count("step.cancelled") == 1
        desk.complete(desk.one())
        assert desk.status(run_id) == "completed"
        assert desk.calls() == []

    def test_a_step_that_is_worked_on_is_stopped_and_what_its_worker_brings_is_not_taken(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"), desk.step("s2"))
        claims = {claim.name: claim for claim in (desk.one(), desk.one())}
        self.stop(desk, run_id, "s1")
        with pytest.raises(LeaseLost):
            desk.complete(claims["s1"])
        assert desk.status(run_id) == "in_progress"
        desk.complete(claims["s2"])
        assert desk.steps(run_id) == {"s1": "cancelled", "s2": "completed"}
        assert desk.status(run_id) == "completed"
        assert desk.stuck() == []

    def test_a_stopped_step_is_done_when_a_person_wants_it_after_all(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"), desk.step("s2", "s1"))
        held = desk.one()
        self.stop(desk, run_id, "s1")
        assert desk.status(run_id) == "completed"
        with pytest.raises(WrongState, match="no failed step"):
            desk.change(lambda t: steering.retry(t, "ada", run_id))
        desk.change(lambda t: steering.retry(t, "ada", run_id, "s1"))
        with pytest.raises(LeaseLost):
            desk.complete(held)
        desk.complete(desk.one())
        desk.complete(desk.one())
        assert desk.steps(run_id) == {"s1": "completed", "s2": "completed"}

    def test_what_stands_behind_a_stopped_step_stays_out_when_another_is_tried_again(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"), desk.step("s2", "s1"), desk.step("s3"))
        self.stop(desk, run_id, "s1")
        desk.fail(desk.one())
        desk.change(lambda t: steering.retry(t, "ada", run_id))
        assert desk.steps(run_id) == {"s1": "cancelled", "s2": "skipped", "s3": "queued"}

    def test_only_a_step_of_ones_own_run_that_goes_on_is_stopped(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"))
        with pytest.raises(UnknownId):
            self.stop(desk, run_id, "s1", owner="bob")
        with pytest.raises(UnknownId, match="s7"):
            self.stop(desk, run_id, "s7")
        desk.complete(desk.one())
        with pytest.raises(WrongState, match="completed"):
            self.stop(desk, run_id, "s1")
        assert desk.steps(run_id) == {"s1": "completed"}

    def test_a_step_that_would_be_tried_later_is_not(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"))
        claim = desk.one()
        self.cancel(desk, run_id)
        desk.fail(claim, again=True)
        assert desk.steps(run_id) == {"s1": "cancelled"}
        assert desk.status(run_id) == "cancelled"
        assert desk.calls() == []

    def test_while_a_step_waits_for_its_next_attempt(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"))
        desk.fail(desk.one(), again=True)
        assert self.cancel(desk, run_id) == "cancelled"
        assert desk.calls() == []

    def test_while_it_is_planned_the_plan_comes_too_late(self, desk: Desk) -> None:
        run_id = desk.say()
        claim = desk.one(queues=["planner"])
        assert self.cancel(desk, run_id) == "cancelling"
        desk.save_plan(claim, desk.step("s1"))
        assert desk.status(run_id) == "cancelled"
        assert desk.steps(run_id) == {}

    def test_while_it_is_planned_and_planning_fails(self, desk: Desk) -> None:
        run_id = desk.say()
        claim = desk.one(queues=["planner"])
        self.cancel(desk, run_id)
        desk.fail(claim)
        assert desk.status(run_id) == "cancelled"

    def test_while_it_waits_for_approval(self, desk: Desk) -> None:
        run_id = desk.say(needs_approval=True)
        desk.save_plan(desk.one(queues=["planner"]), desk.step("s1"))
        assert self.cancel(desk, run_id) == "cancelled"

    def test_while_it_is_answered(self, desk: Desk) -> None:
        run_id = desk.say()
        desk.save_plan(desk.one(queues=["planner"]), desk.step("s1"))
        desk.complete(desk.one())
        claim = desk.one(queues=["planner"])
        assert self.cancel(desk, run_id) == "cancelling"
        desk.stop(claim)
        assert desk.status(run_id) == "cancelled"

    def test_twice_and_after_the_end_changes_nothing(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"))
        claim = desk.one()
        assert self.cancel(desk, run_id) == "cancelling"
        assert self.cancel(desk, run_id) == "cancelling"
        desk.stop(claim)
        assert self.cancel(desk, run_id) == "cancelled"
        done = desk.plan(desk.step("s1"))
        desk.complete(desk.one())
        assert self.cancel(desk, done) == "completed"

    @pytest.mark.parametrize("database", ["postgresql"], indirect=True)
    def test_while_a_step_of_it_is_being_claimed_neither_waits_for_the_other(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"), desk.step("s2"))
        held, cancelled, tries = threading.Event(), threading.Event(), Counter[str]()

        def claim(t: Transition) -> None:
            tries["claim"] += 1
            queued = select(step_rows.c.id).where(step_rows.c.name == "s1").with_for_update()
            t.connection.execute(queued)  # as a claim does, before it wants the run
            held.set()
            cancelled.wait(10)
            assert steps.claim(t, queues=["image"], worker="w1", lease_s=15, batch_sizes={})

        def cancel(t: Transition) -> None:
            tries["cancel"] += 1
            steering.cancel(t, "ada", run_id)
            cancelled.set()
            time.sleep(0.2)  # the claim wants the run now

        with ThreadPoolExecutor(2) as threads:
            claiming = threads.submit(desk.change, claim)
            assert held.wait(10)
            threads.submit(desk.change, cancel).result(20)
            claiming.result(20)
        assert tries == {"claim": 1, "cancel": 1}
        assert desk.steps(run_id) == {"s1": "in_progress", "s2": "cancelled"}
        assert desk.status(run_id) == "cancelling"


class TestOwners:
    def test_nobody_sees_or_touches_the_run_of_another(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"), owner="ada")
        for touch in (steering.cancel, steering.retry):
            with pytest.raises(UnknownId, match=run_id):
                desk.change(lambda t, touch=touch: touch(t, "bob", run_id))  # type: ignore[misc]
        with pytest.raises(UnknownId), desk.database.read() as connection:
            views.get(connection, "bob", run_id)
        with pytest.raises(UnknownId):
            desk.change(lambda t: steering.approve(t, "bob", run_id, {}, ()))

    def test_a_thread_of_another_takes_no_run(self, desk: Desk) -> None:
        thread_id = desk.change(lambda t: runs.new_thread(t, "ada"))
        with pytest.raises(UnknownId, match=thread_id):
            desk.say(owner="bob", thread_id=thread_id)

    def test_runs_are_listed_newest_first_and_page_by_page(self, desk: Desk) -> None:
        ids = [desk.plan(desk.step("s1")) for _ in range(5)]
        desk.plan(desk.step("s1"), owner="bob")
        with desk.database.read() as connection:
            first = views.list_(connection, "ada", limit=2)
            second = views.list_(connection, "ada", limit=9, before=first[-1]["id"])
            done = views.list_(connection, "ada", status="completed")
        listed = [run["id"] for run in first + second]
        assert sorted(listed) == sorted(ids)
        assert listed == sorted(listed, reverse=True)
        assert done == []


def test_two_steps_that_end_at_the_same_moment_end_their_run(desk: Desk) -> None:
    for _ in range(5):
        run_id = desk.plan(*(desk.step(f"s{n}") for n in range(1, 7)))
        claims = [desk.one() for _ in range(6)]
        start = threading.Barrier(6)

        def end(number: int, claims: list[runs.Any] = claims, start: threading.Barrier = start) -> None:
            start.wait()
            (desk.complete if number % 2 else desk.fail)(claims[number])

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(end, range(6)))
        assert desk.status(run_id) == "failed"
        assert desk.events(run_id).count("run.failed") == 1
    assert desk.calls() == []


def test_a_step_that_a_cancel_passed_over_is_cancelled_by_the_next_sweep(desk: Desk) -> None:
    run_id = desk.plan(desk.step("s1"))
    desk.change(  # as a claim that gave up leaves it
        lambda t: t.connection.execute(update(run_rows).where(run_rows.c.id == run_id).values(status="cancelling"))
    )
    with desk.database.read() as connection:
        assert steps.any_expired(connection, 0.0)
    desk.change(steps.reap)
    assert desk.status(run_id) == "cancelled"
    with desk.database.read() as connection:
        assert not steps.any_expired(connection, 0.0)
