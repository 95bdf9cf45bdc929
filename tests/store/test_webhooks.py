"""What webhooks are to hear is written with what happens, once each, and taken by one worker at a time."""

from __future__ import annotations

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, select, update

from benchmarks.desk import Desk
from store import batches, deliveries, runs, steering, tables, webhooks
from store.database import Database
from store.deliveries import BACK_OFF_S, EVENTS, LEASE_S, Taken
from store.runs import UnknownId, WrongState

NOW = 1_700_000_000.0
SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # where the database makes no difference


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def hook(desk: Desk, *events: str, owner: str = "ada") -> str:
    make = lambda c: webhooks.create(c, owner, "https://a.example/x", events or EVENTS, NOW)  # noqa: E731
    return desk.database.transact(make)[0].id


def log(desk: Desk, webhook_id: str, owner: str = "ada") -> list[dict[str, Any]]:
    with desk.database.read() as connection:
        return webhooks.deliveries_of(connection, owner, webhook_id)


def told(desk: Desk, webhook_id: str) -> list[tuple[str, str]]:
    return [(one["event"], one["subject_id"]) for one in reversed(log(desk, webhook_id))]


def make_due(desk: Desk) -> None:
    desk.database.transact(lambda c: c.execute(update(tables.deliveries).values(due_at=time.time() - 1)))


def take_one(desk: Desk) -> Taken:
    (taken,) = deliveries.take(desk.database, 8)
    return taken


def test_every_way_in_which_a_run_ends_is_told_and_a_wait_for_approval(desk: Desk) -> None:
    webhook = hook(desk)
    well, badly, dropped = (desk.plan(desk.step("s1")) for _ in range(3))
    desk.complete(desk.one())
    desk.fail(desk.one())
    desk.change(lambda t: steering.cancel(t, "ada", dropped))
    waits = desk.plan(desk.step("s1"), needs_approval=True)

    assert told(desk, webhook) == [
        ("run.completed", well),
        ("run.failed", badly),
        ("run.cancelled", dropped),
        ("approval.required", waits),
    ]
    assert {(one["state"], one["attempts"]) for one in log(desk, webhook)} == {("waiting", 0)}


def test_a_batch_is_told_when_it_ended_or_was_cancelled(desk: Desk) -> None:
    webhook = hook(desk, "batch.completed", "batch.cancelled")
    ended, dropped = (desk.change(lambda t: batches.submit(t, "ada", "0" * 64)) for _ in range(2))
    desk.database.transact(lambda c: c.execute(update(tables.batches).values(exhausted=True)))
    desk.change(lambda t: batches.cancel(t, "ada", dropped))
    for batch in (ended, dropped):
        desk.change(lambda t, batch=batch: batches.feed(t, batch, None, None))  # type: ignore[misc, arg-type]

    assert told(desk, webhook) == [("batch.completed", ended), ("batch.cancelled", dropped)]


@SQLITE
def test_only_what_was_asked_for_is_told_and_only_to_its_owner(desk: Desk) -> None:
    failures, bobs, off = hook(desk, "run.failed"), hook(desk, owner="bob"), hook(desk)
    desk.database.transact(lambda c: webhooks.change(c, "ada", off, active=False, now=NOW))
    desk.plan(desk.step("s1"))
    desk.complete(desk.one())
    lost = desk.plan(desk.step("s1"))
    desk.fail(desk.one())

    assert told(desk, failures) == [("run.failed", lost)]
    assert log(desk, off) == []
    assert log(desk, bobs, "bob") == []


def test_a_change_that_fails_tells_nobody(desk: Desk) -> None:
    webhook = hook(desk)
    run = desk.plan(desk.step("s1"))

    def broken(t: Any) -> None:
        runs.finish(t, run, status="completed")
        t.flush()
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        desk.change(broken)
    assert log(desk, webhook) == []


def test_a_run_that_was_tried_again_and_ends_again_is_a_new_message(desk: Desk) -> None:
    webhook = hook(desk)
    run = desk.plan(desk.step("s1"))
    desk.fail(desk.one())
    (first,) = log(desk, webhook)
    taken = take_one(desk)
    desk.database.transact(lambda c: deliveries.delivered(c, taken, 200, NOW))
    desk.change(lambda t: steering.retry(t, "ada", run))
    desk.fail(desk.one())

    (second,) = log(desk, webhook)
    assert second["id"] != first["id"]
    assert (second["state"], second["attempts"]) == ("waiting", 0)
    assert (second["status_code"], second["ended_at"]) == (None, None)
    assert not desk.database.transact(lambda c: deliveries.delivered(c, taken, 200, NOW))  # it is another one now


@SQLITE
def test_without_webhooks_an_ending_costs_one_look(desk: Desk) -> None:
    desk.plan(desk.step("s1"))
    said: list[str] = []
    event.listen(desk.database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    desk.complete(desk.one())
    assert len([one for one in said if "webhooks" in one or "deliveries" in one]) == 1


def test_two_workers_never_take_the_same(desk: Desk) -> None:
    webhook = hook(desk)
    for _ in range(24):
        desk.plan()
    assert len(log(desk, webhook)) == 20  # of 24, a page
    start = threading.Barrier(4)

    def work(_: int) -> list[str]:
        start.wait()
        found: list[str] = []
        while taken := deliveries.take(desk.database, 3, each=3):
            found += [one.id for one in taken]
        return found

    with ThreadPoolExecutor(4) as pool:
        lists = list(pool.map(work, range(4)))
    while left := deliveries.take(desk.database, 8, each=8):  # passed over while another held them
        lists.append([one.id for one in left])
    ids = [id_ for found in lists for id_ in found]
    assert len(ids) == len(set(ids)) == 24


def test_a_delivery_is_taken_again_when_its_lease_ends_and_the_first_taker_counts_no_more(desk: Desk) -> None:
    webhook = hook(desk)
    desk.plan()
    first = take_one(desk)
    assert deliveries.take(desk.database, 8) == []
    assert log(desk, webhook)[0]["due_at"] == pytest.approx(desk.database.clock.now() + LEASE_S, abs=30)
    make_due(desk)
    second = take_one(desk)
    assert (second.id, second.attempt) == (first.id, 2)
    assert not desk.database.transact(lambda c: deliveries.failed(c, first, None, "late", NOW))
    assert desk.database.transact(lambda c: deliveries.delivered(c, second, 204, NOW))
    (seen,) = log(desk, webhook)
    assert (seen["state"], seen["status_code"], seen["error"], seen["attempts"]) == ("delivered", 204, None, 2)


@SQLITE
def test_attempts_come_later_and_later_and_then_no_more(desk: Desk) -> None:
    webhook = hook(desk)
    desk.plan()
    waits = []
    for _ in BACK_OFF_S:
        taken = take_one(desk)
        assert desk.database.transact(lambda c, taken=taken: deliveries.failed(c, taken, 500, "no", NOW))  # type: ignore[misc]
        waits.append(log(desk, webhook)[0]["due_at"] - NOW)
        make_due(desk)
    assert waits == list(BACK_OFF_S) == sorted(waits)
    last = take_one(desk)
    desk.database.transact(lambda c: deliveries.failed(c, last, 500, "no", NOW))
    assert deliveries.take(desk.database, 8) == []
    (seen,) = log(desk, webhook)
    assert (seen["state"], seen["attempts"]) == ("failed", len(BACK_OFF_S) + 1)
    assert (seen["due_at"], seen["error"]) == (None, "no")


@SQLITE
def test_one_that_hangs_does_not_hold_up_the_others(desk: Desk) -> None:
    slow, quick = hook(desk, "run.completed"), hook(desk, "run.cancelled")
    for _ in range(5):
        desk.plan()
    dropped = desk.plan(desk.step("s1"))
    desk.change(lambda t: steering.cancel(t, "ada", dropped))
    first = deliveries.take(desk.database, 2, each=2)
    assert [one.webhook_id for one in first] == [slow, slow]
    assert [one.webhook_id for one in deliveries.take(desk.database, 6, but=[slow], each=2)] == [quick]


@SQLITE
def test_a_webhook_that_is_switched_off_gives_up_what_waits_and_by_hand_it_is_sent_again(desk: Desk) -> None:
    webhook = hook(desk)
    desk.plan()
    desk.database.transact(lambda c: webhooks.change(c, "ada", webhook, active=False, now=NOW))
    (seen,) = log(desk, webhook)
    assert (seen["state"], seen["error"]) == ("failed", "the webhook was switched off")
    assert deliveries.take(desk.database, 8) == []
    with pytest.raises(WrongState, match="switched off"):
        desk.change(lambda t: webhooks.retry(t, "ada", webhook, seen["id"]))
    desk.database.transact(lambda c: webhooks.change(c, "ada", webhook, active=True, now=NOW))
    desk.change(lambda t: webhooks.retry(t, "ada", webhook, seen["id"]))
    assert take_one(desk).id == seen["id"]


@SQLITE
def test_a_secret_is_random_and_changes_what_signs_from_then_on(desk: Desk) -> None:
    made, secret = desk.database.transact(lambda c: webhooks.create(c, "ada", "https://a.example", EVENTS, NOW))
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
    desk.plan()
    assert take_one(desk).secret == secret
    _, new = desk.database.transact(lambda c: webhooks.rotate(c, "ada", made.id))
    make_due(desk)
    assert new != secret
    assert take_one(desk).secret == new


def test_a_webhook_can_be_deleted_while_a_run_ends(database: Database) -> None:
    desk = Desk(database)
    webhook = hook(desk)
    run = desk.plan(desk.step("s1"))
    claim = desk.one()
    deleted = threading.Event()

    def delete() -> None:
        database.transact(lambda c: webhooks.remove(c, "ada", webhook))
        deleted.set()

    def slowly(t: Any) -> None:
        runs.finish(t, claim.run_id, status="completed")
        t.flush()
        pool.submit(delete)
        assert not deleted.wait(0.2)  # it waits for us

    with ThreadPoolExecutor(1) as pool:
        desk.change(slowly)
    assert deleted.is_set()
    assert desk.status(run) == "completed"
    with pytest.raises(UnknownId):
        log(desk, webhook)


def test_what_ended_long_ago_is_forgotten(desk: Desk) -> None:
    webhook = hook(desk)
    desk.plan()
    taken = take_one(desk)
    desk.plan()
    far = time.time() + deliveries.KEPT_S + 3600
    desk.database.transact(lambda c: deliveries.delivered(c, taken, 200, NOW))
    assert desk.database.transact(lambda c: deliveries.forget(c, time.time())) == 0
    assert desk.database.transact(lambda c: deliveries.forget(c, far)) == 1
    assert [one["state"] for one in log(desk, webhook)] == ["waiting"]


@SQLITE
def test_an_owner_has_no_more_than_some(desk: Desk) -> None:
    for _ in range(webhooks.MOST):
        hook(desk)
    with pytest.raises(WrongState, match="delete one first"):
        hook(desk)
    hook(desk, owner="bob")


@SQLITE
def test_others_webhooks_are_not_there(desk: Desk) -> None:
    webhook = hook(desk)
    desk.plan()
    (mine,) = log(desk, webhook)
    for ask in (
        lambda c: webhooks.require(c, "bob", webhook),
        lambda c: webhooks.change(c, "bob", webhook, active=False, now=NOW),
        lambda c: webhooks.rotate(c, "bob", webhook),
        lambda c: webhooks.remove(c, "bob", webhook),
        lambda c: webhooks.deliveries_of(c, "bob", webhook),
    ):
        with pytest.raises(UnknownId):
            desk.database.transact(ask)
    with pytest.raises(UnknownId):
        desk.change(lambda t: webhooks.retry(t, "bob", webhook, mine["id"]))
    with pytest.raises(UnknownId):
        desk.change(lambda t: webhooks.send_test(t, "bob", webhook))
    with desk.database.read() as connection:
        assert connection.execute(select(tables.webhooks.c.active)).scalar_one()
