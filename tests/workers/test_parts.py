"""The parts beside the work: models kept loaded, leases, the pulse, messages, lines of a batch."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import update

from benchmarks.desk import Desk
from store import batches, presence, runs
from store.tables import outbox
from store.transition import Wake
from tools.base import InvalidInput
from workers import feeding, pulse
from workers.feeding import line_reader
from workers.messages import Messenger
from workers.planned import new_steps
from workers.pulse import Pulse
from workers.residency import Residency

from .conftest import Shop  # type: ignore[import-not-found]


@dataclass
class Net:
    family: str
    size_bytes: int = 10


class TestResidency:
    def test_a_model_is_loaded_once_and_stays(self) -> None:
        models = Residency(Net, 100)
        assert models.get("vae") is models.get("vae")
        assert models.loads() == {"vae": 1}

    def test_the_least_recently_used_leaves_when_memory_is_short(self) -> None:
        models = Residency(Net, 25)
        for family in ("a", "b", "a", "c", "a", "b"):
            models.get(family)
        assert models.loads() == {"a": 1, "b": 2, "c": 1}

    def test_a_model_larger_than_the_budget_is_used_all_the_same(self) -> None:
        models = Residency(lambda family: Net(family, 1000), 10)
        assert models.get("huge").family == "huge"
        assert models.get("huge") is models.get("huge")

    def test_two_threads_load_it_once(self) -> None:
        def slowly(family: str) -> Net:
            time.sleep(0.05)
            return Net(family)

        models = Residency(slowly, 100)
        threads = [threading.Thread(target=models.get, args=("vae",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert models.loads() == {"vae": 1}

    def test_a_model_that_could_not_be_loaded_is_tried_again(self) -> None:
        outcomes: list[Any] = [OSError("no file"), Net("vae")]

        def load(_: str) -> Any:
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        models = Residency(load, 100)
        with pytest.raises(OSError, match="no file"):
            models.get("vae")
        assert models.get("vae").family == "vae"


def there(desk: Desk) -> list[str]:
    """Give the names of the workers that are there."""
    with desk.database.read() as connection:
        return [worker["name"] for worker in presence.fresh(connection)]


class TestPulse:
    def test_it_renews_takes_back_sends_again_and_says_that_it_is_there(
        self, shop: Shop, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pulse, "SWEEP_S", 0.05)
        dead = desk.plan(desk.step("s1"))
        desk.one("somebody", lease_s=-1)
        desk.database.transact(lambda c: c.execute(update(outbox).values(due_at=0)))
        beside = Pulse(shop.bench, indexes=False, take=shop.work)
        beside.start()
        try:
            deadline = time.monotonic() + 5
            while desk.steps(dead)["s1"] != "queued" and time.monotonic() < deadline:
                time.sleep(0.01)
            assert there(desk) == ["w1"]
        finally:
            beside.stop()
        assert desk.steps(dead) == {"s1": "queued"}
        assert [wake.task for wake in shop.messages.sent] == ["step"]
        assert there(desk) == []

    def test_a_new_process_takes_back_what_its_forerunner_held(self, shop: Shop, desk: Desk) -> None:
        desk.plan(desk.step("s1"))
        desk.one("w1", lease_s=3600)
        beside = Pulse(shop.bench, indexes=False, take=shop.work)
        beside.start()
        beside.stop()
        assert desk.reap() + len(desk.claim()) >= 1

    def test_calls_that_the_broker_did_not_take_are_due_again_at_once(self, shop: Shop, desk: Desk) -> None:
        desk.plan(desk.step("s1"))
        beside = Pulse(shop.bench, indexes=False, take=shop.work)
        shop.messages.away = True
        for _ in range(6):
            desk.database.transact(lambda c: c.execute(update(outbox).values(due_at=0)))
            beside._sweep()
        shop.messages.away = False
        beside._sweep()
        assert len(shop.messages.sent) == 1

    def test_a_step_whose_message_was_lost_is_taken_without_one(
        self, shop: Shop, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_id = shop.order({"tool": "draw"})
        beside = Pulse(shop.bench, indexes=False, take=shop.work)
        beside._look()
        assert desk.steps(run_id) == {"s1": "queued"}  # its message may still come
        monkeypatch.setattr(pulse, "OVERLOOKED_S", 0.0)
        beside._look()
        assert desk.status(run_id) == "completed"

    def test_a_part_that_fails_is_said_once_and_goes_on(self, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
        turns: list[int] = []

        def failing() -> None:
            turns.append(1)
            raise OSError("disk")

        beside = Pulse(shop.bench, indexes=False, take=shop.work)
        thread = threading.Thread(target=beside._repeat, args=(0.01, failing))
        with caplog.at_level(logging.ERROR):
            thread.start()
            while len(turns) < 5:
                time.sleep(0.01)
            beside._ended.set()
            thread.join()
        assert len(caplog.records) == 1


class TestMessages:
    def test_a_broker_that_is_away_is_no_error(self, tmp_path: Any) -> None:
        messenger = Messenger(f"redis+socket://{tmp_path}/nobody.sock?virtual_host=0", None)
        began = time.monotonic()
        assert messenger.send([Wake("step", "step_1", "image"), Wake("feed", "batch_1", "planner")]) == 0
        assert time.monotonic() - began < 3
        messenger.close()

    def test_nor_is_one_that_speaks_amqp(self) -> None:
        messenger = Messenger("amqp://guest:guest@127.0.0.1:9//", None)
        began = time.monotonic()
        assert messenger.send([Wake("step", "step_1", "image")]) == 0
        assert time.monotonic() - began < 5
        messenger.close()


class TestPlanned:
    def test_needs_follow_from_references(self, shop: Shop) -> None:
        plan = {
            "steps": [
                {"id": "s1", "tool": "draw", "args": {}},
                {"id": "s2", "tool": "draw", "args": {"about": ["$s1[0]", "$s1"]}},
            ]
        }
        first, second = new_steps(plan, shop.specs)
        assert (first.needs, second.needs) == ((), ("s1",))
        assert first.batch_key == "k"
        assert isinstance(first.args["seed"], int)

    @pytest.mark.parametrize(
        ("steps", "message"),
        [
            ([{"id": "s1", "tool": "paint", "args": {}}], "no tool 'paint'"),
            ([{"id": "s1", "tool": "draw", "args": {"size": 3}}], "size"),
            ([{"id": "s1", "tool": "draw", "args": {"about": ["$s2"]}}], "s2"),
            ([{"id": "s1", "tool": "draw", "args": {"about": ["$s1"]}}], "s1"),
            ([{"id": "s1", "tool": "draw"}, {"id": "s1", "tool": "draw"}], "s1"),
            ([{"id": "a b", "tool": "draw"}], "a b"),
            ([{"tool": "studio.plan"}], "step id"),
            ([{"id": "s1", "tool": "studio.plan"}], "studio.plan"),
        ],
    )
    def test_what_is_wrong_is_named(self, shop: Shop, steps: list[dict[str, Any]], message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            new_steps({"steps": steps}, shop.specs)


class TestLines:
    def read(self, shop: Shop, line: Any) -> runs.NewRun:
        raw = line if isinstance(line, bytes) else json.dumps(line).encode()
        return line_reader(shop.specs)(raw)

    def test_words_and_steps(self, shop: Shop) -> None:
        assert self.read(shop, {"say": "a cat"}).request == "a cat"
        step = self.read(shop, {"tool": "draw", "args": {"what": "sun"}}).steps[0]
        assert (step.tool, step.args["what"]) == ("draw", "sun")
        assert self.read(shop, {"id": 7, "tool": "draw"}).steps

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (b"{", "not JSON"),
            (b"\xff", "not JSON"),
            (b"[" * 100_000, "not JSON"),
            (b"7" * 5000, "not JSON"),
            ([], "a line is an object"),
            ({}, "a line is an object"),
            ({"say": ""}, "text"),
            ({"say": 3}, "text"),
            ({"say": "x" * 4001}, "4000"),
            ({"say": "a", "tool": "draw"}, "not both"),
            ({"tool": "paint"}, "paint"),
            ({"tool": "draw", "args": []}, "object"),
            ({"tool": "draw", "arg": {}}, "arg"),
            ({"tool": ["draw"]}, "draw"),
            (b'{"say": "\\ud800"}', "not JSON"),
            (b'{"say": "a\\u0000b"}', "U\\+0000"),
            (b'{"tool": "draw", "args": {"seed": NaN}}', "NaN"),
            (b'{"tool": "draw", "args": {"seed": 1e999}}', "1e999"),
            (b'{"tool": "draw", "args": {"seed": [-1e999]}}', "1e999"),
            ({"custom_id": "a", "method": "GET", "url": "/v1/images/generations", "body": {}}, "method"),
            ({"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {}}, "/v1/images/generations"),
            ({"custom_id": "a", "url": "/v1/images/generations", "body": {}}, "method"),
            ({"custom_id": "a", "say": "a cat"}, "method"),
        ],
    )
    def test_a_faulty_line_says_what_is_wrong(self, shop: Shop, line: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.read(shop, line)

    def test_a_batch_is_fed_from_its_blob(self, shop: Shop, desk: Desk) -> None:
        content = b'{"tool": "draw"}\n?\n{"tool": "draw", "args": {"what": "sun"}}\n'
        name = shop.bench.blobs.put(content)
        batch_id = desk.change(lambda t: batches.submit(t, "ada", name))
        feeding.feed(shop.bench, batch_id)
        while shop.work() or ("feed", batch_id) in desk.calls():
            feeding.feed(shop.bench, batch_id)
        with desk.database.read() as connection:
            assert batches.get(connection, "ada", batch_id)["counts"] == {"completed": 2, "bad_line": 1}
