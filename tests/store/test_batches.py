"""A batch: a file of lines, of which none is lost, none is done twice, and all need no memory."""

from __future__ import annotations

import io
import json
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO

import pytest
from sqlalchemy import func, select

from benchmarks.desk import Desk
from store import batches, runs, steering
from store.database import Database
from store.runs import NewRun, NewStep, UnknownId, WrongState
from store.tables import runs as run_table


def read_line(raw: bytes) -> NewRun:
    """A line is {"draw": words}; everything else is faulty."""
    line = json.loads(raw)
    if set(line) != {"draw"}:
        raise ValueError("a line is {'draw': words}")
    step = NewStep("s1", "draw", line, "image")
    return NewRun(owner="", plan={"steps": [{"id": "s1"}]}, steps=[step])


class Printer(Desk):
    """A desk with one input file."""

    content = b""
    bytes_read = 0

    def submit(self, *lines: Any, owner: str = "ada") -> str:
        texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        self.content = b"\n".join(texts) + b"\n"
        return self.change(lambda t: batches.submit(t, owner, "0" * 64))

    @contextmanager
    def open(self, _: str) -> Iterator[BinaryIO]:
        stream = io.BytesIO(self.content)
        yield stream
        self.bytes_read += stream.tell()

    def feed(self, batch_id: str) -> None:
        self.change(lambda t: batches.feed(t, batch_id, self.open, read_line))

    def fed(self, batch_id: str) -> None:
        """Feed as long as the batch calls for it."""
        for _ in range(100):
            if ("feed", batch_id) not in self.calls():
                return
            self.feed(batch_id)
        raise AssertionError("the batch calls for ever")

    def draw_all(self, batch_id: str) -> None:
        while claims := self.claim():
            self.complete(claims[0])
            self.fed(batch_id)

    def see(self, batch_id: str) -> dict[str, Any]:
        with self.database.read() as connection:
            return batches.get(connection, "ada", batch_id)

    def results(self, batch_id: str) -> list[dict[str, Any]]:
        return [dict(row) for row in batches.results(self.database, "ada", batch_id, page=7)]

    def cancel(self, batch_id: str) -> None:
        self.change(lambda t: batches.cancel(t, "ada", batch_id))

    def resume(self, batch_id: str) -> int:
        return self.change(lambda t: batches.resume(t, "ada", batch_id, read_line, self.open))


@pytest.fixture
def printer(database: Database) -> Printer:
    return Printer(database)


def test_each_line_becomes_a_run_and_the_batch_ends_with_the_last(printer: Printer) -> None:
    batch_id = printer.submit(*({"draw": f"cat {n}"} for n in range(20)))
    printer.fed(batch_id)
    assert printer.see(batch_id)["status"] == "in_progress"
    printer.draw_all(batch_id)

    seen = printer.see(batch_id)
    assert (seen["status"], seen["lines"], seen["counts"]) == ("completed", 20, {"completed": 20, "bad_line": 0})
    rows = printer.results(batch_id)
    assert [row["line"] for row in rows] == list(range(1, 21))
    assert printer.run(rows[4]["run"])["steps"][0]["args"] == {"draw": "cat 4"}
    assert printer.calls() == []
    assert printer.stuck() == []


def test_a_malformed_line_is_an_error_row_and_the_rest_runs(printer: Printer) -> None:
    batch_id = printer.submit(
        {"draw": "cat"}, b'{"draw": ', {"paint": "dog"}, b"\xff\xfe\x00", b"", b"  ", {"draw": "sun"}
    )
    printer.fed(batch_id)
    printer.draw_all(batch_id)

    rows = printer.results(batch_id)
    assert [(row["line"], row["status"]) for row in rows] == [
        (1, "completed"),
        (2, "bad_line"),
        (3, "bad_line"),
        (4, "bad_line"),
        (7, "completed"),  # empty lines are no lines to do, but they count, as in an editor
    ]
    assert "a line is" in rows[2]["error"]["message"]
    assert printer.see(batch_id)["counts"] == {"completed": 2, "bad_line": 3}


def test_a_file_of_faulty_lines_only_ends_too(printer: Printer) -> None:
    batch_id = printer.submit(*(b"?" for _ in range(40)))
    printer.fed(batch_id)
    assert printer.see(batch_id)["status"] == "completed"
    assert len(printer.results(batch_id)) == 40


def test_an_empty_file_ends_at_once(printer: Printer) -> None:
    batch_id = printer.submit()
    printer.fed(batch_id)
    assert printer.see(batch_id)["status"] == "completed"


def test_a_file_without_a_last_newline_loses_no_line(printer: Printer) -> None:
    batch_id = printer.submit({"draw": "cat"})
    printer.content = printer.content.rstrip(b"\n")
    printer.fed(batch_id)
    printer.draw_all(batch_id)
    assert printer.see(batch_id)["counts"]["completed"] == 1


def test_a_monster_line_is_an_error_of_its_own_and_is_never_held_in_memory(printer: Printer) -> None:
    monster = b"x" * (5 * batches.MAX_LINE_BYTES)
    batch_id = printer.submit({"draw": "cat"}, monster, {"draw": "sun"}, monster)
    tracemalloc.start()
    printer.fed(batch_id)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    printer.draw_all(batch_id)

    assert [row["status"] for row in printer.results(batch_id)] == ["completed", "bad_line", "completed", "bad_line"]
    assert "longer than" in printer.results(batch_id)[1]["error"]["message"]
    assert peak < 3.5 * batches.MAX_LINE_BYTES + len(printer.content)  # BytesIO may count its content once


def test_ten_thousand_lines_are_read_a_window_at_a_time(printer: Printer) -> None:
    batch_id = printer.submit(
        *({"draw": f"cat {n}", "pad": "x"} if n % 2 else {"draw": f"cat {n}"} for n in range(10_000))
    )
    tracemalloc.start()
    printer.fed(batch_id)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    with printer.database.read() as connection:
        stored = connection.execute(select(func.count()).select_from(run_table)).scalar_one()
    assert stored == batches.WINDOW
    assert printer.see(batch_id)["lines"] <= 2 * batches.WINDOW
    assert printer.bytes_read < len(printer.content) / 10
    assert peak < 3_000_000
    printer.cancel(batch_id)


def test_no_more_runs_are_open_than_the_window_allows(printer: Printer) -> None:
    batch_id = printer.submit(*({"draw": f"cat {n}"} for n in range(batches.WINDOW + 30)))
    printer.fed(batch_id)
    printer.fed(batch_id)
    with printer.database.read() as connection:
        assert runs.open_in_batch(connection, batch_id) == batches.WINDOW
    printer.complete(printer.one())
    printer.fed(batch_id)
    with printer.database.read() as connection:
        assert runs.open_in_batch(connection, batch_id) == batches.WINDOW
    printer.draw_all(batch_id)
    assert printer.see(batch_id)["counts"]["completed"] == batches.WINDOW + 30


def test_feeding_that_breaks_off_reads_the_same_lines_again(printer: Printer) -> None:
    batch_id = printer.submit(*({"draw": f"cat {n}"} for n in range(20)))

    def broken(t: runs.Transition) -> None:
        batches.feed(t, batch_id, printer.open, read_line)
        raise RuntimeError("killed before the commit")

    with pytest.raises(RuntimeError):
        printer.change(broken)
    assert printer.see(batch_id)["lines"] == 0
    printer.fed(batch_id)
    printer.draw_all(batch_id)
    assert len(printer.results(batch_id)) == 20


def test_ten_calls_to_feed_at_once_double_no_line(printer: Printer) -> None:
    batch_id = printer.submit(*({"draw": f"cat {n}"} for n in range(60)))
    start = threading.Barrier(8)

    def feed(_: int) -> None:
        start.wait()
        printer.feed(batch_id)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(feed, range(8)))
    with printer.database.read() as connection:
        assert runs.open_in_batch(connection, batch_id) == batches.WINDOW
    printer.fed(batch_id)
    printer.draw_all(batch_id)
    rows = printer.results(batch_id)
    assert [row["line"] for row in rows] == list(range(1, 61))
    assert len({row["run"] for row in rows}) == 60


def test_a_batch_may_end_while_it_is_fed(printer: Printer) -> None:
    """The last run of a batch ends in one process while another process feeds."""
    for _ in range(6):
        batch_id = printer.submit({"draw": "cat"})
        printer.feed(batch_id)
        claim = printer.one()
        start = threading.Barrier(2)

        def feed(batch_id: str = batch_id, start: threading.Barrier = start) -> None:
            start.wait()
            printer.feed(batch_id)

        def finish(claim: Any = claim, start: threading.Barrier = start) -> None:
            start.wait()
            printer.complete(claim)

        with ThreadPoolExecutor(2) as pool:
            for ended in (pool.submit(feed), pool.submit(finish)):
                ended.result()
        printer.fed(batch_id)
        assert printer.see(batch_id)["status"] == "completed"
    assert printer.calls() == []


def test_cancelling_stops_what_waits_and_reads_no_more(printer: Printer) -> None:
    batch_id = printer.submit(*({"draw": f"cat {n}"} for n in range(100)))
    printer.fed(batch_id)
    printer.complete(printer.one())
    running = printer.one()
    printer.cancel(batch_id)
    assert printer.see(batch_id)["status"] == "cancelling"
    printer.fed(batch_id)
    assert printer.see(batch_id)["status"] == "cancelling"  # one still runs
    printer.stop(running)
    printer.fed(batch_id)

    seen = printer.see(batch_id)
    assert seen["status"] == "cancelled"
    assert seen["counts"]["completed"] == 1
    assert not {"pending", "in_progress", "cancelling"} & set(seen["counts"])
    assert printer.claim() == []
    assert printer.calls() == []


def test_a_cancelled_batch_goes_on_where_it_stopped_and_does_no_line_twice(printer: Printer) -> None:
    batch_id = printer.submit(*({"draw": f"cat {n}"} if n != 3 else b"?" for n in range(70)))
    printer.fed(batch_id)
    for _ in range(5):
        printer.complete(printer.one())
    printer.cancel(batch_id)
    printer.fed(batch_id)
    done = {row["line"]: row["run"] for row in printer.results(batch_id) if row["status"] == "completed"}
    assert len(done) == 5

    again = printer.resume(batch_id)
    assert again > 0
    printer.fed(batch_id)
    printer.draw_all(batch_id)
    rows = printer.results(batch_id)
    assert [row["line"] for row in rows] == list(range(1, 71))
    assert {row["status"] for row in rows} == {"completed", "bad_line"}
    assert {row["line"]: row["run"] for row in rows if row["line"] in done} == done
    drawn = [printer.run(row["run"])["steps"][0]["args"]["draw"] for row in rows if row["run"]]
    assert drawn == [f"cat {n}" for n in range(70) if n != 3]
    assert printer.see(batch_id)["status"] == "completed"


def test_resuming_counts_lines_as_feeding_did_also_behind_a_monster(printer: Printer) -> None:
    monster = b"x" * (2 * batches.MAX_LINE_BYTES)
    batch_id = printer.submit({"draw": "cat"}, monster, b"", {"draw": "sun"})
    printer.fed(batch_id)
    printer.cancel(batch_id)
    printer.fed(batch_id)
    assert printer.resume(batch_id) == 2
    printer.fed(batch_id)
    printer.draw_all(batch_id)
    done = [row for row in printer.results(batch_id) if row["run"]]
    assert [(row["line"], printer.run(row["run"])["steps"][0]["args"]["draw"]) for row in done] == [
        (1, "cat"),
        (4, "sun"),
    ]


def test_resuming_four_times_at_once_runs_each_line_once(printer: Printer) -> None:
    batch_id = printer.submit(*({"draw": f"cat {n}"} for n in range(10)))
    printer.fed(batch_id)
    printer.cancel(batch_id)
    printer.fed(batch_id)
    start = threading.Barrier(4)

    def resume(_: int) -> int:
        start.wait()
        try:
            return printer.resume(batch_id)
        except WrongState:
            return 0

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(resume, range(4))) == 10
    with printer.database.read() as connection:
        assert runs.open_in_batch(connection, batch_id) == 10


def test_only_a_cancelled_batch_is_resumed_and_nobody_elses_is_touched(printer: Printer) -> None:
    batch_id = printer.submit({"draw": "cat"})
    with pytest.raises(WrongState, match="in_progress"):
        printer.resume(batch_id)
    with pytest.raises(UnknownId, match=batch_id):
        printer.change(lambda t: batches.cancel(t, "bob", batch_id))
    with pytest.raises(UnknownId), printer.database.read() as connection:
        batches.get(connection, "bob", batch_id)
    with pytest.raises(UnknownId):
        batches.results(printer.database, "bob", batch_id)
    with printer.database.read() as connection:
        assert [batch["id"] for batch in batches.list_(connection, "ada")] == [batch_id]
        assert batches.list_(connection, "bob") == []


def test_chat_goes_ahead_of_batch_work(printer: Printer) -> None:
    batch_id = printer.submit(*({"draw": f"cat {n}"} for n in range(30)))
    printer.fed(batch_id)
    chat = printer.plan(printer.step("s1"), owner="ada")
    assert printer.one().run_id == chat


def test_a_batch_line_that_failed_can_be_tried_again_after_the_batch_has_ended(printer: Printer) -> None:
    batch_id = printer.submit({"draw": "cat"})
    printer.fed(batch_id)
    printer.fail(printer.one())
    printer.fed(batch_id)
    assert printer.see(batch_id)["counts"] == {"failed": 1, "bad_line": 0}
    (row,) = printer.results(batch_id)
    assert row["error"]["message"] == "no ink"
    printer.change(lambda t: steering.retry(t, "ada", row["run"]))
    printer.complete(printer.one())
    printer.fed(batch_id)
    assert printer.see(batch_id)["counts"] == {"completed": 1, "bad_line": 0}
    assert printer.calls() == []
