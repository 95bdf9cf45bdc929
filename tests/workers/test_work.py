"""One turn of a worker: what its owner finds afterwards, and whom a fault hits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks.desk import Desk
from store import assets, library, runs, steering, steps, views
from store.library import Filter
from tools.base import Found, InvalidInput, Job, Made, ToolFailed, TryLater
from workers import workshop
from workers.work import work

from .conftest import Shop, drawn  # type: ignore[import-not-found]

DRAW = {"tool": "draw", "args": {"what": "cat"}}


def draw(what: str, seed: int | None = None) -> dict[str, Any]:
    return {"tool": "draw", "args": {"what": what, "seed": seed}}


def made(shop: Shop, run_id: str) -> list[assets.Asset]:
    with shop.bench.database.read() as connection:
        return library.list_(connection, "ada", Filter(run_id=run_id)).data


def test_a_step_is_run_saved_and_ends_its_run(shop: Shop, desk: Desk) -> None:
    run_id = shop.order(draw("cat", 7))
    assert shop.work() == 1

    (asset,) = made(shop, run_id)
    assert shop.bench.blobs.get(asset.sha256) == b"cat 7"
    assert (asset.caption, asset.seed, asset.run_id) == ("cat 7", 7, run_id)
    assert asset.recipe == {
        "tool": "draw",
        "version": 1,
        "args": {"what": "cat", "seed": 7, "about": ()},
        "weights": "",
    } or (asset.recipe is not None and asset.recipe["args"]["seed"] == 7)
    assert desk.run(run_id)["assets"] == [asset.id]
    assert desk.events(run_id)[-4:] == ["step.started", "asset.created", "step.completed", "run.completed"]


def test_a_seed_that_was_not_given_is_drawn_and_recorded(shop: Shop) -> None:
    first, second = shop.order(DRAW), shop.order(DRAW)
    shop.work()
    seeds = [made(shop, run_id)[0].seed for run_id in (first, second)]
    assert None not in seeds
    assert seeds[0] != seeds[1]


def test_a_later_step_works_on_what_an_earlier_one_made(shop: Shop, desk: Desk) -> None:
    seen: list[Any] = []

    def look(jobs: Sequence[Job]) -> list[Any]:
        seen.extend(job.workshop.inputs(job.args.about)[0].content for job in jobs)
        return [[] for _ in jobs]

    shop.tool("look", look)
    run_id = shop.order(draw("cat", 1), {"tool": "look", "args": {"about": ["$s1[0]"]}})
    shop.work()
    assert desk.status(run_id) == "completed"
    assert seen == [b"cat 1"]


def test_what_was_made_before_is_answered_from_the_library(shop: Shop, desk: Desk) -> None:
    first = shop.order(draw("cat", 7))
    shop.work()
    shop.runners["draw"] = lambda _: pytest.fail("it was drawn again")
    second = shop.order(draw("cat", 7))
    shop.work()

    assert desk.run(second)["assets"] == desk.run(first)["assets"]
    assert "step.cached" in desk.events(second)


def test_steps_with_one_key_share_a_call(shop: Shop, desk: Desk) -> None:
    sizes: list[int] = []
    drawing = shop.runners["draw"]
    shop.runners["draw"] = lambda jobs: (sizes.append(len(jobs)), drawing(jobs))[1]
    ids = [shop.order(draw("cat", n)) for n in range(10)]
    shop.work()
    assert sizes == [4, 4, 2]
    assert [made(shop, id_)[0].caption for id_ in ids] == [f"cat {n}" for n in range(10)]


class TestOneBadItemFailsAlone:
    def test_when_the_tool_says_which(self, shop: Shop, desk: Desk) -> None:
        shop.runners["draw"] = lambda jobs: [
            ToolFailed("no ink") if job.args.what == "bad" else [drawn(job)] for job in jobs
        ]
        ids = [shop.order(draw(what)) for what in ("cat", "bad", "sun")]
        shop.work()
        assert [desk.status(id_) for id_ in ids] == ["completed", "failed", "completed"]
        assert desk.run(ids[1])["error"]["message"] == "no ink"

    def test_when_the_tool_falls_over_as_a_whole(self, shop: Shop, desk: Desk) -> None:
        def fragile(jobs: Sequence[Job]) -> list[Any]:
            if any(job.args.what == "bad" for job in jobs):
                raise ZeroDivisionError("oops")
            return [[drawn(job)] for job in jobs]

        shop.runners["draw"] = fragile
        ids = [shop.order(draw(what)) for what in ("cat", "bad", "sun")]
        shop.work()
        assert [desk.status(id_) for id_ in ids] == ["completed", "failed", "completed"]
        assert "ZeroDivisionError: oops" in desk.run(ids[1])["error"]["message"]

    def test_when_the_tool_loses_count(self, shop: Shop, desk: Desk) -> None:
        shop.runners["draw"] = lambda jobs: [[drawn(jobs[0])]]
        ids = [shop.order(draw("cat", n)) for n in range(3)]
        shop.work()
        assert [desk.status(id_) for id_ in ids] == ["completed"] * 3  # each alone: one job, one result

    def test_when_the_tool_gives_nothing_at_all(self, shop: Shop, desk: Desk) -> None:
        shop.runners["draw"] = lambda jobs: [None for _ in jobs]
        run_id = shop.order(DRAW)
        shop.work()
        assert desk.status(run_id) == "failed"
        assert "NoneType" in desk.run(run_id)["error"]["message"]

    def test_when_its_result_cannot_be_stored(self, shop: Shop, desk: Desk) -> None:
        def strange(jobs: Sequence[Job]) -> list[Any]:
            return [[drawn(job)] if job.args.what != "bad" else [_with_parent(drawn(job))] for job in jobs]

        def _with_parent(thing: Made) -> Made:
            from dataclasses import replace

            return replace(thing, parents=("asset_that_never_was",))

        shop.runners["draw"] = strange
        ids = [shop.order(draw(what)) for what in ("cat", "bad", "sun")]
        shop.work()
        assert [desk.status(id_) for id_ in ids] == ["completed", "failed", "completed"]
        assert len(made(shop, ids[0])) == 1

    def test_when_the_tool_cannot_even_be_imported(self, shop: Shop, desk: Desk) -> None:
        del shop.runners["draw"]
        run_id = shop.order(DRAW)
        shop.work()
        assert desk.status(run_id) == "failed"

    def test_when_its_arguments_no_longer_fit(self, shop: Shop, desk: Desk) -> None:
        shop.tool("look", lambda jobs: [[] for _ in jobs])
        shop.tool("find", lambda jobs: [[] for _ in jobs])
        run_id = shop.order({"tool": "find"}, {"tool": "look", "args": {"about": ["$s1[0]"]}})
        shop.work()
        assert desk.steps(run_id) == {"s1": "completed", "s2": "failed"}


def test_a_tool_that_a_worker_does_not_know_is_left_to_one_that_does(shop: Shop, desk: Desk) -> None:
    run_id, known = shop.order(DRAW), shop.specs["draw"]
    del shop.specs["draw"]
    assert shop.work() == 0
    assert desk.status(run_id) == "pending"
    shop.specs["draw"] = known
    assert shop.work() == 1
    assert desk.status(run_id) == "completed"


def test_a_worker_runs_only_tools_whose_nets_it_may_load(shop: Shop, desk: Desk) -> None:
    shop.tool("sing", lambda jobs: [[drawn(job)] for job in jobs], families=("wavenet",))
    song, picture = shop.order({"tool": "sing"}), shop.order(DRAW)
    shop.bench.families = frozenset({"cgan"})
    shop.work()
    assert (desk.status(song), desk.status(picture)) == ("pending", "completed")
    shop.bench.families = frozenset({"cgan", "wavenet"})
    shop.work()
    assert desk.status(song) == "completed"


@pytest.mark.parametrize(
    ("error", "code"), [(InvalidInput("too big"), "invalid_input"), (ToolFailed("no ink"), "tool_failed")]
)
def test_a_final_error_is_told_as_it_was_said(shop: Shop, desk: Desk, error: Exception, code: str) -> None:
    shop.runners["draw"] = lambda _: [error]
    run_id = shop.order(DRAW)
    shop.work()
    assert desk.run(run_id)["error"] | {"type": "", "param": None} == {
        "code": code,
        "message": str(error),
        "type": "",
        "param": None,
    }


def test_try_later_puts_the_step_back(shop: Shop, desk: Desk) -> None:
    shop.runners["draw"] = lambda _: [TryLater("the shop is closed")]
    run_id = shop.order(DRAW)
    shop.work()
    assert desk.steps(run_id) == {"s1": "queued"}
    assert "step.retrying" in desk.events(run_id)


def test_what_a_step_found_becomes_its_result_without_being_made_anew(shop: Shop, desk: Desk) -> None:
    run_id = shop.order(draw("cat", 1))
    shop.work()
    (asset,) = made(shop, run_id)
    shop.tool("find", lambda jobs: [[Found(asset.id, 0.9)] for _ in jobs], gives=None)
    found = shop.order({"tool": "find"})
    shop.work()
    assert desk.run(found)["assets"] == [asset.id]
    assert made(shop, found) == []


class TestLostAndCancelled:
    def test_a_result_that_comes_after_the_lease_was_lost_is_dropped(self, shop: Shop, desk: Desk) -> None:
        def slow(jobs: Sequence[Job]) -> list[Any]:
            shop.bench.database.transact(lambda c: steps.release(c, "w1", 1.0))
            desk.reap()
            return [[drawn(job)] for job in jobs]

        shop.runners["draw"] = slow
        run_id = shop.order(draw("cat", 1))
        assert work(shop.bench) == 1
        assert made(shop, run_id) == []
        assert desk.steps(run_id) == {"s1": "queued"}

    def test_of_a_shared_call_only_the_step_that_was_lost_is_dropped(self, shop: Shop, desk: Desk) -> None:
        def slow(jobs: Sequence[Job]) -> list[Any]:
            lost = steps.steps.c.run_id == ids[1]
            shop.bench.database.transact(
                lambda c: c.execute(steps.update(steps.steps).where(lost).values(token=99))  # another has it now
            )
            return [[drawn(job)] for job in jobs]

        shop.runners["draw"] = slow
        ids = [shop.order(draw("cat", n)) for n in range(3)]
        work(shop.bench)
        assert [len(made(shop, id_)) for id_ in ids] == [1, 0, 1]

    def test_a_tool_meets_the_cancelling_at_its_next_word(self, shop: Shop, desk: Desk) -> None:
        def talkative(jobs: Sequence[Job]) -> list[Any]:
            jobs[0].workshop.progress(0.1)
            desk.change(lambda t: steering.cancel(t, "ada", run_id))
            shop.bench.leases.beat()
            jobs[0].workshop.progress(0.2)
            raise AssertionError("it went on")

        shop.runners["draw"] = talkative
        run_id = shop.order(DRAW)
        shop.work()
        assert desk.status(run_id) == "cancelled"
        assert desk.calls() == []

    def test_a_tool_meets_the_stop_of_its_step_at_its_next_word_and_the_rest_is_done(
        self, shop: Shop, desk: Desk
    ) -> None:
        def talkative(jobs: Sequence[Job]) -> list[Any]:
            if jobs[0].args.what == "cat":
                desk.change(lambda t: steering.stop_step(t, "ada", run_id, "s1"))
                shop.bench.leases.beat()
                jobs[0].workshop.progress(0.2)
                raise AssertionError("it went on")
            return [[drawn(job)] for job in jobs]

        shop.runners["draw"] = talkative
        run_id = shop.order(draw("cat", 1), draw("dog", 2))
        shop.work()
        assert desk.steps(run_id) == {"s1": "cancelled", "s2": "completed"}
        assert desk.status(run_id) == "completed"
        assert desk.calls() == []

    def test_a_tool_that_lost_its_lease_is_stopped_at_its_next_word(self, shop: Shop, desk: Desk) -> None:
        said: list[str] = []

        def talkative(jobs: Sequence[Job]) -> list[Any]:
            if not said:
                said.append("begun")
                shop.bench.database.transact(lambda c: steps.release(c, "w1", 1.0))
                desk.reap()
                shop.bench.leases.beat()
                jobs[0].workshop.progress(0.2)
                said.append("it went on")
            return [[drawn(job)] for job in jobs]

        shop.runners["draw"] = talkative
        run_id = shop.order(DRAW)
        shop.work()
        assert said == ["begun"]
        assert desk.status(run_id) == "completed"
        assert len(made(shop, run_id)) == 1


class TestInner:
    def test_a_step_of_the_studio_itself_makes_its_change_with_its_end(self, shop: Shop, desk: Desk) -> None:
        shop.bench.inner = {
            runs.PLAN: lambda bench, claim: lambda t: runs.save_plan(t, claim.run_id, {"reply": "hi"}, ())
        }
        shop.bench.queues = ("planner",)
        run_id = desk.say()
        shop.work()
        assert (desk.status(run_id), desk.run(run_id)["reply"]) == ("completed", "hi")

    def test_when_it_breaks_the_run_fails(self, shop: Shop, desk: Desk) -> None:
        def broken(*_: Any) -> Any:
            raise OSError("no model")

        shop.bench.inner = {runs.PLAN: broken}
        shop.bench.queues = ("planner",)
        run_id = desk.say()
        shop.work()
        assert desk.status(run_id) == "failed"
        assert "no model" in desk.run(run_id)["error"]["message"]


def test_progress_is_told_with_what_is_left_and_not_too_often(
    shop: Shop, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "PROGRESS_EVERY_S", 0.1)

    def talkative(jobs: Sequence[Job]) -> list[Any]:
        for tenth in range(1, 11):
            time.sleep(0.03)
            jobs[0].workshop.progress(tenth / 10, preview=b"png")
        return [[drawn(jobs[0])]]

    shop.runners["draw"] = talkative
    run_id = shop.order(DRAW)
    shop.work()
    events = desk.events(run_id)
    assert 1 <= events.count("step.progress") <= 3
    assert events.count("step.preview") == 1


def test_a_step_that_is_done_in_a_moment_tells_no_progress(shop: Shop, desk: Desk) -> None:
    def quick(jobs: Sequence[Job]) -> list[Any]:
        jobs[0].workshop.progress(1.0, preview=b"png")
        return [[drawn(jobs[0])]]

    shop.runners["draw"] = quick
    run_id = shop.order(DRAW)
    shop.work()
    assert not {"step.progress", "step.preview"} & set(desk.events(run_id))


def test_messages_go_out_after_the_commit_and_may_be_lost(shop: Shop, desk: Desk) -> None:
    shop.messages.away = True
    run_id = shop.order(DRAW, {"tool": "draw", "args": {"what": "sun"}})
    assert shop.messages.sent == []
    assert len(desk.calls()) == 2
    shop.work()
    assert desk.status(run_id) == "completed"
    assert desk.calls() == []


def test_a_package_that_sends_is_called_once(shop: Shop) -> None:
    called: list[int] = []

    def mail(jobs: Sequence[Job]) -> list[Any]:
        called.append(len(jobs))
        raise RuntimeError("the second letter had no address")

    shop.tool("mail", mail, sends=True, batch=4, batch_key=lambda _: "k", exact=False)
    ids = [shop.order({"tool": "mail"}) for _ in range(3)]
    shop.work()
    assert called == [3]
    with shop.bench.database.read() as connection:
        assert [views.get(connection, "ada", run)["status"] for run in ids] == ["failed"] * 3


def test_a_package_that_sends_is_not_called_again_after_its_worker_died(shop: Shop) -> None:
    shop.tool("mail", lambda jobs: [[drawn(job)] for job in jobs], sends=True, exact=False)
    run = shop.order({"tool": "mail"})
    shop.bench.change(lambda t: steps.claim(t, queues=["image"], worker="w0", lease_s=-1.0, batch_sizes={}))
    shop.bench.change(steps.reap)
    assert shop.work() == 0
    with shop.bench.database.read() as connection:
        assert views.get(connection, "ada", run)["status"] == "failed"
