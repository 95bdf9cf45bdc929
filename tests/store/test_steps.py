"""Who gets which step, and that a worker that lost its lease writes nothing."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.desk import GONE, Desk
from store import assets, library, runs, steering, steps, transition
from store.assets import NewAsset
from store.completion import Ended, complete
from store.database import Database
from store.ids import new_id
from store.runs import BATCH, CHAT, NewRun
from store.steps import Claim, LeaseLost


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def save_asset(desk: Desk, claim: Claim, caption: str = "a cat") -> str:
    """Make an asset and complete its step, as a worker does."""
    asset = NewAsset(new_id("asset"), "image", "image/png", "0" * 64, 3, caption)

    def done(t: steps.Transition) -> None:
        steps.guard(t, claim)
        assets.insert(t.connection, claim.owner, [asset], run_id=claim.run_id, step_id=claim.id, now=t.now)
        complete(t, [Ended(claim, [asset.id], recipe_hash="r1")])

    desk.change(done)
    return asset.id


class TestOrder:
    def test_chat_goes_before_batch(self, desk: Desk) -> None:
        for n in range(3):
            desk.plan(desk.step(f"b{n}"), priority=BATCH)
        desk.plan(desk.step("chat"), priority=CHAT)
        assert desk.one().name == "chat"

    def test_an_owner_with_three_steps_does_not_wait_for_one_with_thirty(self, desk: Desk) -> None:
        for n in range(30):
            desk.plan(desk.step(f"g{n}"), owner="greedy")
        for n in range(3):
            desk.plan(desk.step(f"m{n}"), owner="modest")
        served = [desk.one().owner for _ in range(8)]
        assert served.count("modest") == 3
        assert "modest" in served[:2]

    def test_of_one_owner_the_oldest_goes_first(self, desk: Desk) -> None:
        desk.plan(desk.step("s1"), desk.step("s2"))
        time.sleep(0.01)
        desk.plan(desk.step("s3"))
        assert [desk.one().name for _ in range(3)] == ["s1", "s2", "s3"]

    def test_a_worker_gets_only_what_its_queues_hold(self, desk: Desk) -> None:
        desk.plan(desk.step("s1"))
        assert desk.claim(queues=["planner"]) == []
        assert desk.one(queues=["planner", "image"]).name == "s1"

    def test_eight_workers_at_once_never_get_the_same_step(self, desk: Desk) -> None:
        for n in range(40):
            desk.plan(desk.step("s1"), owner=f"o{n % 3}")
        start = threading.Barrier(8)

        def take(number: int) -> list[str]:
            start.wait()
            got: list[str] = []
            while claims := desk.claim(f"w{number}"):
                got += [claim.id for claim in claims]
            return got

        with ThreadPoolExecutor(8) as pool:
            got = [id_ for ids in pool.map(take, range(8)) for id_ in ids]
        assert Counter(got).most_common(1)[0][1] == 1
        assert len(got) == 40

    def test_eight_workers_at_once_never_get_the_same_sibling(self, desk: Desk) -> None:
        for _ in range(60):
            desk.plan(desk.step("s1", batch_key="k"))
        start = threading.Barrier(8)

        def take(number: int) -> list[int]:
            start.wait()
            got = []
            while claims := desk.claim(f"w{number}", batch_sizes={"draw": 8}):
                assert len(claims) <= 8
                got.append(len(claims))
            return got

        with ThreadPoolExecutor(8) as pool:
            assert sum(n for sizes in pool.map(take, range(8)) for n in sizes) == 60


class TestBatches:
    def test_steps_that_can_share_a_call_are_claimed_together(self, desk: Desk) -> None:
        mine = [desk.plan(desk.step("s1", batch_key="256"), owner=f"o{n}") for n in range(5)]
        desk.plan(desk.step("s1", batch_key="64"))
        claims = desk.claim(batch_sizes={"draw": 4})
        assert len(claims) == 4
        assert {claim.run_id for claim in claims} <= set(mine)
        assert len(desk.claim(batch_sizes={"draw": 4})) == 1  # the fifth, or the other shape: never both
        assert len(desk.claim(batch_sizes={"draw": 4})) == 1

    def test_without_a_key_or_a_size_a_step_runs_alone(self, desk: Desk) -> None:
        for _ in range(4):
            desk.plan(desk.step("s1"))
        assert len(desk.claim(batch_sizes={"draw": 4})) == 1
        desk.plan(desk.step("s1", batch_key="k"))
        assert len(desk.claim()) == 1

    def test_a_step_that_died_before_runs_alone_and_its_siblings_without_it(self, desk: Desk) -> None:
        poison = desk.plan(desk.step("s1", batch_key="k"))
        others = [desk.plan(desk.step("s1", batch_key="k")) for _ in range(3)]
        assert len(desk.claim(batch_sizes={"draw": 8}, lease_s=GONE)) == 4  # …and the process is dead
        assert desk.reap() == 4

        alone = [desk.claim(batch_sizes={"draw": 8}) for _ in range(4)]
        assert [len(claims) for claims in alone] == [1, 1, 1, 1]
        assert {claims[0].run_id for claims in alone} == {poison, *others}

    def test_a_sibling_that_waits_for_its_next_attempt_is_left_alone(self, desk: Desk) -> None:
        desk.plan(desk.step("s1", batch_key="k"))
        desk.fail(desk.one(), again=True)
        desk.plan(desk.step("s1", batch_key="k"))
        assert len(desk.claim(batch_sizes={"draw": 8})) == 1

    def test_chat_may_take_batch_steps_along(self, desk: Desk) -> None:
        for _ in range(3):
            desk.plan(desk.step("s1", batch_key="k"), priority=BATCH)
        desk.plan(desk.step("s1", batch_key="k"), priority=CHAT)
        claims = desk.claim(batch_sizes={"draw": 8})
        assert claims[0].priority == CHAT
        assert len(claims) == 4


class TestFencing:
    def test_a_worker_that_comes_late_writes_nothing(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"))
        late = desk.one("late", lease_s=GONE)
        desk.reap()
        now = desk.one("now")
        before = desk.run(run_id), desk.events(run_id), desk.calls()

        for write in (desk.complete, desk.fail, desk.stop):
            with pytest.raises(LeaseLost, match=late.id):
                write(late)
        with pytest.raises(LeaseLost):
            save_asset(desk, late)
        assert (desk.run(run_id), desk.events(run_id), desk.calls()) == before

        made = save_asset(desk, now)
        assert desk.run(run_id)["steps"][0]["assets"] == [made]
        with pytest.raises(LeaseLost):
            save_asset(desk, late)
        with pytest.raises(LeaseLost):
            save_asset(desk, now)  # also the rightful one, twice
        with desk.database.read() as connection:
            assert len(library.list_(connection, "ada").data) == 1

    def test_a_lease_that_ended_but_was_not_taken_back_still_counts(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"))
        desk.complete(desk.one(lease_s=GONE))
        assert desk.reap() == 0
        assert desk.status(run_id) == "completed"

    def test_renewing_says_what_is_held_what_is_lost_and_what_is_to_stop(self, desk: Desk) -> None:
        desk.plan(desk.step("held"))
        held = desk.one()
        desk.plan(desk.step("lost"))
        lost = desk.one(lease_s=GONE)
        desk.reap()
        stopped_run = desk.plan(desk.step("stopped"))
        stopped = desk.one(queues=["image"])
        while stopped.run_id != stopped_run:  # the lost one came again first
            stopped = desk.one(queues=["image"])
        desk.change(lambda t: steering.cancel(t, "ada", stopped_run))

        now = time.time()
        standing = desk.database.transact(lambda c: steps.renew(c, [held, lost, stopped], now, 60.0))
        assert standing == {held.id: "held", lost.id: "lost", stopped.id: "cancelling"}

    def test_a_renewed_lease_is_not_taken_back(self, desk: Desk) -> None:
        desk.plan(desk.step("s1"))
        claim = desk.one(lease_s=GONE)
        desk.database.transact(lambda c: steps.renew(c, [claim], time.time(), 60.0))
        assert desk.reap() == 0

    def test_the_reaper_and_the_worker_at_the_same_moment_agree(self, desk: Desk) -> None:
        for _ in range(8):
            run_id = desk.plan(desk.step("s1", max_attempts=1), desk.step("s2", max_attempts=1))
            first, second = desk.one(lease_s=GONE), desk.one(lease_s=60)
            start = threading.Barrier(2)

            def finish(claim: Claim = second, start: threading.Barrier = start) -> None:
                start.wait()
                desk.complete(claim)

            def reap(start: threading.Barrier = start) -> None:
                start.wait()
                desk.reap()

            with ThreadPoolExecutor(2) as pool:
                for ended in (pool.submit(finish), pool.submit(reap)):
                    ended.result()
            assert desk.steps(run_id) == {first.name: "failed", second.name: "completed"}
            assert desk.status(run_id) == "failed"  # not left open with nothing to do


class TestReaper:
    def test_the_step_of_a_dead_worker_is_done_by_another(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"))
        first = desk.one("dead", lease_s=GONE)
        assert desk.reap() == 1
        assert desk.reap() == 0
        again = desk.one("alive")
        assert (again.id, again.attempts) == (first.id, 2)
        desk.complete(again)
        assert desk.status(run_id) == "completed"
        assert "step.retrying" in desk.events(run_id)
        assert desk.calls() == []

    def test_a_step_that_kills_its_worker_each_time_is_buried_and_says_so(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1", max_attempts=3), desk.step("s2", "s1"))
        for _ in range(3):
            desk.one("doomed", lease_s=GONE)
            desk.reap()
        assert desk.claim() == []
        run = desk.run(run_id)
        assert run["status"] == "failed"
        assert run["steps"][0]["status"] == "failed"
        assert "doomed" in run["steps"][0]["error"]["message"]
        assert "3 of 3" in run["steps"][0]["error"]["message"]
        assert run["steps"][1]["status"] == "skipped"
        assert desk.calls() == []
        assert desk.stuck() == []

    def test_a_planner_that_dies_each_time_fails_the_run(self, desk: Desk) -> None:
        run_id = desk.say(max_attempts=2)
        for _ in range(2):
            desk.one(queues=["planner"], lease_s=GONE)
            desk.reap()
        assert desk.status(run_id) == "failed"

    def test_a_worker_that_dies_while_its_run_is_cancelled_ends_the_cancelling(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"))
        desk.one(lease_s=GONE)
        desk.change(lambda t: steering.cancel(t, "ada", run_id))
        desk.reap()
        assert desk.status(run_id) == "cancelled"

    def test_two_reapers_take_a_step_back_once(self, desk: Desk) -> None:
        for _ in range(10):
            desk.plan(desk.step("s1"))
            desk.one(lease_s=GONE)
        start = threading.Barrier(4)

        def reap(_: int) -> int:
            start.wait()
            return desk.reap()

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(reap, range(4))) == 10

    def test_a_new_process_of_the_same_name_need_not_wait_for_the_lease(self, desk: Desk) -> None:
        desk.plan(desk.step("s1"))
        desk.plan(desk.step("s2"))
        desk.one("w1", lease_s=3600)
        desk.one("w2", lease_s=3600)
        with desk.database.read() as connection:
            assert not steps.any_expired(connection, time.time())
        assert desk.database.transact(lambda c: steps.release(c, "w1", time.time())) == 1
        with desk.database.read() as connection:
            assert steps.any_expired(connection, time.time())
        assert desk.reap() == 1


class TestTryLater:
    def test_a_step_that_is_to_be_tried_later_waits_and_then_comes_again(self, desk: Desk, monkeypatch: object) -> None:
        pytest.MonkeyPatch.setattr(monkeypatch, steps, "RETRY_BACKOFF_S", 0.2)  # type: ignore[arg-type]
        run_id = desk.plan(desk.step("s1"))
        desk.fail(desk.one(), "busy", again=True)
        assert desk.status(run_id) == "in_progress"
        assert desk.claim() == []
        time.sleep(0.25)
        desk.complete(desk.one())
        assert desk.run(run_id)["steps"][0]["attempts"] == 2
        assert desk.status(run_id) == "completed"

    def test_not_for_ever(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1", max_attempts=1))
        desk.fail(desk.one(), "busy", again=True)
        assert desk.status(run_id) == "failed"
        assert desk.run(run_id)["error"]["message"] == "busy"


class TestDependents:
    def test_a_step_is_released_when_the_last_that_it_needs_is_done(self, desk: Desk) -> None:
        run_id = desk.plan(desk.step("s1"), desk.step("s2"), desk.step("s3", "s1", "s2"))
        desk.complete(desk.one())
        assert desk.steps(run_id)["s3"] == "waiting"
        desk.complete(desk.one())
        assert desk.steps(run_id)["s3"] == "queued"
        assert desk.events(run_id)[-1] == "step.queued"

    def test_a_step_sees_what_the_steps_made_that_it_needs(self, desk: Desk) -> None:
        desk.plan(desk.step("s1"), desk.step("s2"), desk.step("s3", "s1", "s2", args={"images": ["$s1", "$s2[0]"]}))
        first = save_asset(desk, desk.one())
        desk.complete(desk.one())  # found nothing
        assert desk.one().outputs == {"s1": [first], "s2": []}

    def test_two_needed_steps_that_end_at_the_same_moment_release_it_once(self, desk: Desk) -> None:
        for _ in range(6):
            run_id = desk.plan(desk.step("s1"), desk.step("s2"), desk.step("s3", "s1", "s2"))
            claims = [desk.one(), desk.one()]
            start = threading.Barrier(2)

            def end(claim: Claim, start: threading.Barrier = start) -> None:
                start.wait()
                desk.complete(claim)

            with ThreadPoolExecutor(2) as pool:
                list(pool.map(end, claims))
            assert desk.events(run_id).count("step.queued") == 3
            desk.complete(desk.one())
            assert desk.status(run_id) == "completed"


class TestCache:
    def test_the_same_recipe_of_the_same_owner_was_made_before(self, desk: Desk) -> None:
        desk.plan(desk.step("s1"))
        made = save_asset(desk, desk.one())
        with desk.database.read() as connection:
            assert steps.made_before(connection, "ada", "r1") == [made]
            assert steps.made_before(connection, "ada", "r2") is None
            assert steps.made_before(connection, "bob", "r1") is None

    def test_a_step_answered_from_the_library_says_so_and_makes_nothing(self, desk: Desk) -> None:
        desk.plan(desk.step("s1"))
        made = save_asset(desk, desk.one())
        run_id = desk.plan(desk.step("s1"))
        desk.complete(desk.one(), [made], recipe_hash="r1", cached=True, link=True)
        assert desk.run(run_id)["steps"][0]["assets"] == [made]
        assert "step.cached" in desk.events(run_id)
        with desk.database.read() as connection:
            assert len(library.list_(connection, "ada").data) == 1

    def test_what_was_deleted_is_made_again(self, desk: Desk) -> None:
        desk.plan(desk.step("s1"))
        made = save_asset(desk, desk.one())
        desk.database.transact(lambda c: assets.delete(c, "ada", made, now=time.time()))
        with desk.database.read() as connection:
            assert steps.made_before(connection, "ada", "r1") is None


def test_many_clients_workers_and_cancellers_at_once_lose_and_double_nothing(desk: Desk) -> None:
    """Everything at once, with workers that die; at the end every run has ended and nothing calls any more."""
    ids: list[str] = []
    accepted = threading.Event()

    def client(number: int) -> None:
        for turn in range(6):
            run_id = desk.plan(desk.step("s1"), desk.step("s2", "s1"), desk.step("s3"), owner=f"o{number}")
            ids.append(run_id)
            if turn % 3 == 2:
                desk.change(lambda t, id_=run_id: steering.cancel(t, f"o{number}", id_))  # type: ignore[misc]

    def worker(number: int) -> None:
        turn = 0
        while not (accepted.is_set() and idle()):
            turn += 1
            for claim in desk.claim(f"w{number}", lease_s=GONE if turn % 5 == 0 else 60):
                if turn % 5:
                    desk.complete(claim)
            if turn % 7 == 0:
                desk.reap()

    def idle() -> bool:
        desk.reap()
        with desk.database.read() as connection:
            open_steps = connection.execute(
                steps.select(steps.steps.c.id).where(steps.steps.c.status.in_(("queued", "waiting", "in_progress")))
            ).first()
        return open_steps is None

    with ThreadPoolExecutor(6) as pool:
        workers = [pool.submit(worker, n) for n in range(3)]
        for done in [pool.submit(client, n) for n in range(3)]:
            done.result()
        accepted.set()
        for ended in workers:
            ended.result()
    states = Counter(desk.status(id_, f"o{n}") for n in range(3) for id_ in ids if _owner(desk, id_) == f"o{n}")
    assert set(states) <= {"completed", "cancelled", "failed"}
    assert sum(states.values()) == len(ids) == 18
    assert desk.calls() == []
    assert desk.stuck() == []
    for id_ in ids:
        events = desk.events(id_)
        assert sum(event in {"run.completed", "run.failed", "run.cancelled"} for event in events) == 1


def _owner(desk: Desk, run_id: str) -> str:
    with desk.database.read() as connection:
        return str(connection.execute(runs.select(runs.runs.c.owner).where(runs.runs.c.id == run_id)).scalar_one())


def test_a_request_that_was_never_heard_shows_up_as_stuck(desk: Desk) -> None:
    """The check that the benchmarks rely on must see what it is meant to see."""
    desk.change(lambda t: runs.accept(t, NewRun(owner="ada", request="a cat")))
    assert desk.stuck() == []
    (call,) = desk.calls()
    desk.change(lambda t: t.heard("step", [call[1]]))
    assert desk.stuck() == [call[1]]


class TestTurns:
    def test_a_worker_sees_past_what_it_cannot_run(self, desk: Desk) -> None:
        for _ in range(40):
            desk.plan(desk.step("s1", tool="sculpt"), owner="bob", priority=CHAT)
        desk.plan(desk.step("mine"), priority=BATCH)
        assert desk.one(tools=["draw"]).name == "mine"
        assert desk.claim(tools=["draw"]) == []

    def test_it_sees_past_what_is_put_off(self, desk: Desk) -> None:
        for _ in range(5):
            desk.plan(desk.step("s1"), priority=CHAT)
        for _ in range(5):
            put_back = desk.one()
            desk.change(lambda t, c=put_back: steps.fail(t, c, {"message": "later"}, again=True, after_s=60))  # type: ignore[misc]
        desk.plan(desk.step("now"), priority=BATCH)
        assert desk.one().name == "now"
        assert desk.claim() == []

    def test_a_run_that_was_begun_ends_before_those_that_came_later(self, desk: Desk) -> None:
        desk.plan(desk.step("a1"), desk.step("a2", "a1"))
        time.sleep(0.01)
        desk.plan(desk.step("b1"))
        desk.complete(desk.one())
        assert [desk.one().name for _ in range(2)] == ["a2", "b1"]

    def test_what_was_put_off_is_as_old_as_before_when_it_is_due(self, desk: Desk) -> None:
        desk.plan(desk.step("first"))
        claim = desk.one()
        time.sleep(0.01)
        desk.plan(desk.step("second"))
        desk.change(lambda t: steps.fail(t, claim, {"message": "later"}, again=True, after_s=0.1))
        time.sleep(0.2)
        transition.due(desk.database)
        assert [desk.one().name for _ in range(2)] == ["first", "second"]

    def test_many_owners_at_many_queues_are_served_in_turns(self, desk: Desk) -> None:
        for number in range(60):
            desk.plan(desk.step("s1", tool=("draw", "sculpt")[number % 2]), owner=f"o{number % 20}")
        served = [desk.one().owner for _ in range(60)]
        for turn in range(3):
            assert len(set(served[20 * turn : 20 * turn + 20])) == 20
