"""A blob store that is away: no step is lost, none counts an attempt, and what was sent is not sent again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks.desk import Desk
from store.blobs import BlobsDown
from store.tables import steps
from tests.workers.conftest import Shop, drawn
from tools.base import Job
from workers import work as module
from workers.work import work

DRAW = {"tool": "draw", "args": {"seed": 1}}


class Away:
    """Stands before the blobs and refuses a number of calls."""

    def __init__(self, shop: Shop, calls: int) -> None:
        self.blobs, self.calls = shop.bench.blobs, calls

    def __getattr__(self, name: str) -> Any:
        if name in {"put_many", "get"} and self.calls > 0:
            self.calls -= 1
            raise BlobsDown("the blob store does not answer")
        return getattr(self.blobs, name)


def test_a_step_waits_as_long_as_it_takes_and_no_attempt_counts(
    shop: Shop, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOBS_WAIT_S", 0.0)
    shop.bench.blobs = Away(shop, 10)  # type: ignore[assignment]
    run_id = shop.order(DRAW)
    assert shop.work() == 11
    assert desk.steps(run_id) == {"s1": "completed"}
    assert desk.events(run_id).count("step.retrying") == 10
    with shop.bench.database.read() as connection:
        assert connection.execute(steps.select()).one().attempts == 1


def test_what_was_sent_is_not_sent_again(shop: Shop, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOBS_WAIT_S", 0.01)
    sent: list[int] = []

    def mail(jobs: Sequence[Job]) -> list[Any]:
        sent.append(len(jobs))
        return [[drawn(job)] for job in jobs]

    shop.tool("mail", mail, sends=True, exact=False)
    shop.bench.blobs = Away(shop, 5)  # type: ignore[assignment]
    run_id = shop.order({"tool": "mail"})
    shop.work()
    assert desk.steps(run_id) == {"s1": "completed"}
    assert sent == [1]


def test_an_input_that_cannot_be_read_now_is_read_later(
    shop: Shop, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOBS_WAIT_S", 0.0)

    def look(jobs: Sequence[Job]) -> list[Any]:
        return [[drawn(job, job.workshop.inputs(job.args.about)[0].content.decode() + "!")] for job in jobs]

    shop.tool("look", look)
    shop.bench.blobs = Away(shop, 0)  # type: ignore[assignment]
    run_id = shop.order(DRAW, {"tool": "look", "args": {"about": ["$s1"]}})
    work(shop.bench)
    shop.bench.blobs.calls = 4  # type: ignore[attr-defined]
    shop.work()
    assert desk.steps(run_id) == {"s1": "completed", "s2": "completed"}
    assert desk.events(run_id).count("step.retrying") == 4
