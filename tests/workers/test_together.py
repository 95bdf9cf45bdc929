"""Several workers at once over steps of shared runs and solutions: nothing is lost, doubled or told out of order."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from models.embedding import HashEncoder
from store import runs, solutions, steering, steps, tables, views
from store.blobs import Blobs
from store.database import Database
from store.index import ExactIndex
from store.runs import NewRun
from tools import catalog
from tools.base import ToolSpec
from tools.solutions import fakes
from tools.solutions.base import OfferedTool, digest
from workers.bench import Bench
from workers.planned import new_steps
from workers.solutions import Solutions
from workers.work import work

from .conftest import DrawArgs, Messages, drawn  # type: ignore[import-not-found]

QUERY = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
OFFERED = [OfferedTool("find", "Finds.", QUERY, sends=False), OfferedTool("order", "Orders.", QUERY, sends=True)]
OWNERS = ("ada", "bob")
RUNS, WORKERS, DRAWN = 18, 4, 5
FIND, ORDER, ALL, LAST = (f"s{DRAWN + n}" for n in range(1, 5))
ENDED = {"completed", "cancelled", "failed"}


@pytest.fixture
def shop() -> fakes.FakeClient:
    return fakes.FakeClient(OFFERED, {"find": fakes.text("Found."), "order": fakes.text("Done.")})


@pytest.fixture
def benches(database: Database, shop: fakes.FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Bench]:
    from tools.solutions.run import run

    def draw(jobs: Any) -> list[Any]:
        time.sleep(0.002)
        return [[drawn(job, f"{job.args.what} {time.time_ns()}")] for job in jobs]

    monkeypatch.setattr(catalog, "load", lambda name: draw if name == "draw" else run)
    options: dict[str, Any] = {"queue": "image", "runner": "draw", "draws": True, "exact": False}
    spec = ToolSpec("draw", "draw", DrawArgs, gives="text", batch=8, batch_key=lambda _: "k", **options)

    def bench(number: int) -> Bench:
        made = Bench(
            name=f"w{number}",
            queues=("image", "solution"),
            database=database,
            blobs=Blobs(tmp_path / "blobs"),
            index=ExactIndex(),
            messenger=Messages(),
            specs={"draw": spec},
            load_encoder=lambda: HashEncoder(8),
            load_chat=lambda: None,
            load_model=lambda family: family,
        )
        made.solutions = Solutions(database, lambda _: shop)
        return made

    def plug(connection: Any) -> None:
        declared = {"kind": "openapi", "document": "/shop.json", "limits": {"calls_per_minute": 10_000}}
        shown, now = digest(OFFERED), time.time()
        solutions.declare(connection, "acme", declared, source="api", now=now)
        solutions.saw(connection, "acme", [tool.as_json() for tool in OFFERED], shown, approve=False, now=now)
        solutions.approve(connection, "acme", shown, lambda _: shown, now=now)

    database.transact(plug)
    return [bench(number) for number in range(WORKERS)]


def order(bench: Bench, number: int) -> tuple[str, str]:
    """Accept a run: pictures that share calls with others', a call that reads, one that sends, and what needs them."""
    owner = OWNERS[number % 2]
    pictures = [f"s{n}" for n in range(1, DRAWN + 1)]
    entries: list[dict[str, Any]] = [{"id": name, "tool": "draw", "args": {"what": name}} for name in pictures]
    entries += [
        {"id": FIND, "tool": "acme.find", "args": {"query": "tent"}},
        {"id": ORDER, "tool": "acme.order", "args": {"query": str(number)}},
        {"id": ALL, "tool": "draw", "args": {"about": [f"${name}" for name in pictures]}},
        {"id": LAST, "tool": "draw", "args": {"about": [f"${name}" for name in (ALL, FIND, ORDER)]}},
    ]
    plan = {"steps": entries, "reply": ""}
    new = NewRun(owner=owner, plan=plan, steps=new_steps(plan, bench.tools(owner)))
    return owner, bench.change(lambda t: runs.accept(t, new)).run_id


def test_many_workers_do_each_step_once_and_tell_it_in_order(
    database: Database, benches: list[Bench], shop: fakes.FakeClient
) -> None:
    ordered = [order(benches[0], number) for number in range(RUNS)]
    dropped = ordered[5::6]
    over = threading.Event()
    broken: list[Exception] = []

    def repeat(bench: Bench, one: Any) -> None:
        while not over.is_set():
            try:
                one(bench)
            except Exception as error:  # the test tells it
                broken.append(error)
            time.sleep(0.005)

    def sweep(bench: Bench) -> None:
        bench.leases.beat()
        bench.change(steps.reap)

    jobs = [(bench, one) for bench in benches for one in (work, work, sweep)]
    threads = [threading.Thread(target=repeat, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for owner, run_id in dropped:
        benches[0].change(lambda t, owner=owner, run_id=run_id: steering.cancel(t, owner, run_id))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not all(_run(database, *one)["status"] in ENDED for one in ordered):
        time.sleep(0.05)
    over.set()
    for thread in threads:
        thread.join()

    assert broken == []
    sent = [args["query"] for tool, args in shop.asked if tool == "order"]
    assert len(sent) == len(set(sent))
    for one in ordered:
        _check_told(database, *one, may_be_cancelled=one in dropped)


def _run(database: Database, owner: str, run_id: str) -> dict[str, Any]:
    with database.read() as connection:
        return views.get(connection, owner, run_id)


def _check_told(database: Database, owner: str, run_id: str, *, may_be_cancelled: bool) -> None:
    events = tables.events
    query = select(events.c.type, events.c.data, events.c.sequence_number).where(events.c.run_id == run_id)
    with database.read() as connection:
        told = connection.execute(query.order_by(events.c.sequence_number)).all()
    run = _run(database, owner, run_id)
    assert [row.sequence_number for row in told] == list(range(1, len(told) + 1))
    assert told[-1].type == f"run.{run['status']}"
    if may_be_cancelled and run["status"] == "cancelled":
        return
    assert run["status"] == "completed"
    assert len(run["assets"]) == len(run["steps"])
    for step in run["steps"]:
        own = [row.type for row in told if row.data.get("step") == step["id"] and row.type != "step.progress"]
        assert own == ["step.queued", "step.started", "asset.created", "step.completed"]
    at = {(row.type, row.data.get("step")): row.sequence_number for row in told}
    for name in (ALL, FIND, ORDER):
        assert at["step.queued", LAST] > at["step.completed", name]
