"""An asset is made again from its recipe, and its bytes are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.desk import Desk
from store import assets, runs, transition, views
from tests.workers.conftest import Shop, drawn
from tools.base import Job, Made
from workers import verify


def copy(jobs: Sequence[Job]) -> list[list[Made]]:
    """A tool whose result depends on what it is given."""
    made = []
    for job in jobs:
        given = job.workshop.inputs(job.args.about)
        text = "+".join(one.content.decode() for one in given) + f" seen {job.args.seed}"
        args = {"seed": job.args.seed, "about": [f"sha256:{one.sha256}" for one in given]}
        thing = replace(drawn(job, text), args=args, parents=tuple(one.asset_id for one in given))
        made.append([thing])
    return made


def check(shop: Shop, asset_id: str) -> dict[str, Any]:
    """Ask for a check, let the worker work, and give the run."""
    shop.bench.inner = {verify.VERIFY: verify.run}
    run_id = shop.bench.change(lambda t: runs.accept(t, verify.new_run("ada", asset_id, "image"))).run_id
    shop.work()
    with shop.bench.database.read() as connection:
        return views.get(connection, "ada", run_id)


def made_from_a_cat(shop: Shop) -> tuple[str, str]:
    """Give a picture and a copy that was made from it."""
    shop.tool("draw", lambda jobs: [[drawn(job)] for job in jobs])
    shop.tool("copy", copy)
    run_id = shop.order({"tool": "draw", "args": {"seed": 7}}, {"tool": "copy", "args": {"about": ["$s1"], "seed": 8}})
    shop.work()
    with shop.bench.database.read() as connection:
        source, made = views.get(connection, "ada", run_id)["assets"]
    return source, made


def test_the_same_bytes_are_confirmed(shop: Shop, desk: Desk) -> None:
    _, made = made_from_a_cat(shop)
    run = check(shop, made)
    assert run["status"] == "completed"
    assert "the same bytes" in run["reply"]


def test_a_tool_that_makes_something_else_now_is_found_out(shop: Shop, desk: Desk) -> None:
    source, _ = made_from_a_cat(shop)
    shop.tool("draw", lambda jobs: [[drawn(job, "another cat")] for job in jobs])
    run = check(shop, source)
    assert run["status"] == "failed"
    assert "differs" in run["error"]["message"]


def test_an_input_that_was_deleted_still_serves_the_recipe(shop: Shop, desk: Desk) -> None:
    source, made = made_from_a_cat(shop)
    transition.run(shop.bench.database, lambda t: assets.delete(t.connection, "ada", source, now=t.now))
    assert check(shop, made)["status"] == "completed"


def test_a_tool_without_a_promise_says_so(shop: Shop, desk: Desk) -> None:
    shop.tool("write", lambda jobs: [[drawn(job)] for job in jobs], exact=False)
    run_id = shop.order({"tool": "write", "args": {"seed": 1}})
    shop.work()
    with shop.bench.database.read() as connection:
        (text,) = views.get(connection, "ada", run_id)["assets"]
    run = check(shop, text)
    assert run["status"] == "failed"
    assert "does not promise" in run["error"]["message"]


def test_others_assets_are_unknown(shop: Shop, desk: Desk) -> None:
    shop.tool("draw", lambda jobs: [[drawn(job)] for job in jobs])
    run = check(shop, "asset_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert run["error"]["message"].startswith("there is no asset")
