"""Batches over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from benchmarks.desk import Desk
from orchestrator.api.context import Context
from store import batches
from store.tables import step_assets
from tools import catalog
from workers.feeding import line_reader

LINES = b"""{"say": "a cat"}
not json
{"tool": "generate_image", "args": {"prompt": "dog", "size": 64}}
{"tool": "generate_image", "args": {"prompt": "dog", "count": 0}}
"""


def feed(desk: Desk, context: Context, batch_id: str) -> None:
    read = line_reader(catalog.specs())
    for _ in range(3):
        desk.change(lambda t: batches.feed(t, batch_id, context.blobs.open, read))


def rows(api: httpx.Client, batch_id: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in api.get(f"/v1/batches/{batch_id}/results").text.splitlines()]


def test_a_faulty_line_is_an_error_row_and_the_rest_runs(
    api: httpx.Client, desk: Desk, context: Context, post: Any
) -> None:
    answer = api.post("/v1/batches", content=LINES)
    batch_id = answer.json()["id"]
    assert answer.status_code == 202
    assert [wake.task for wake in post.sent] == ["feed"]
    feed(desk, context, batch_id)

    told = rows(api, batch_id)
    assert [row["line"] for row in told] == [1, 2, 3, 4]
    assert [row["status"] for row in told] == ["pending", "bad_line", "pending", "bad_line"]
    assert "count" in told[3]["error"]["message"]
    found = api.get(f"/v1/batches/{batch_id}").json()
    assert (found["status"], found["lines"], found["counts"]["bad_line"]) == ("in_progress", 4, 2)
    assert [row["id"] for row in api.get("/v1/batches").json()["data"]] == [batch_id]


def test_a_batch_is_cancelled_and_resumed(api: httpx.Client, desk: Desk, context: Context) -> None:
    batch_id = api.post("/v1/batches", files={"file": ("lines.jsonl", LINES)}).json()["id"]
    feed(desk, context, batch_id)
    assert api.post(f"/v1/batches/{batch_id}/cancel").status_code == 202
    feed(desk, context, batch_id)
    assert api.get(f"/v1/batches/{batch_id}").json()["status"] == "cancelled"
    assert {row["status"] for row in rows(api, batch_id)} == {"cancelled", "bad_line"}

    assert api.post(f"/v1/batches/{batch_id}/resume").json()["status"] == "in_progress"
    assert [row["status"] for row in rows(api, batch_id)] == ["pending", "bad_line", "pending", "bad_line"]
    assert api.post(f"/v1/batches/{batch_id}/resume").status_code == 409


def submitted(api: httpx.Client, desk: Desk, context: Context, content: bytes, name: str) -> str:
    answer = api.post("/v1/batches", files={"file": (name, content)})
    assert answer.status_code == 202, answer.text
    batch_id: str = answer.json()["id"]
    feed(desk, context, batch_id)
    return batch_id


def listed(api: httpx.Client, batch_id: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        answer = api.get(f"/v1/batches/{batch_id}/rows", params={"after": after, "limit": 2, **query}).json()
        assert (answer["next"] is not None) == answer["has_more"]
        found += answer["data"]
        after = answer["next"]
    return found


def test_rows_say_what_each_line_asked_for_and_what_became_of_it(
    api: httpx.Client, desk: Desk, context: Context, save: Callable[..., str]
) -> None:
    batch_id = submitted(api, desk, context, LINES, "lines.jsonl")
    made = save()
    claim = desk.one()
    row = {"step_id": claim.id, "position": 0, "asset_id": made}
    context.database.transact(lambda c: c.execute(insert(step_assets), row))
    desk.complete(claim, [made])
    found = listed(api, batch_id)
    assert [row["line"] for row in found] == [1, 2, 3, 4]
    assert (found[0]["say"], found[0]["tool"], found[0]["run"][:4]) == ("a cat", None, "run_")
    assert (found[1]["status"], found[1]["run"], found[1]["error"]["message"][:8]) == ("bad_line", None, "not JSON")
    assert (found[2]["tool"], found[2]["args"]["prompt"], found[2]["assets"]) == ("generate_image", "dog", [made])
    assert found[2]["started_at"] is not None
    assert [row["line"] for row in listed(api, batch_id, status="bad_line")] == [2, 4]
    assert [row["line"] for row in listed(api, batch_id, status=["bad_line", "pending"])] == [1, 2, 4]
    assert api.get(f"/v1/batches/{batch_id}/rows?status=lost").status_code == 422
    assert api.get("/v1/batches/batch_none/rows").status_code == 404


SHEET = '''tool;prompt;count;size;style\r
generate_image;"a cat; on\r
two lines";2;64;\r
\r
generate_image;dog;many;64;\r
fly;"to the ""moon""";;;\r
generate_image;fish;;;noto\r
'''


def test_the_rows_of_a_sheet_are_calls_with_their_cells_as_arguments(
    api: httpx.Client, desk: Desk, context: Context
) -> None:
    batch_id = submitted(api, desk, context, ("\ufeff" + SHEET).encode(), "calls.CSV")
    found = {row["line"]: row for row in listed(api, batch_id)}
    assert list(found) == [2, 5, 6, 7]  # where they begin in the file
    assert {"prompt": "a cat; on\r\ntwo lines", "count": 2, "size": 64}.items() <= found[2]["args"].items()
    assert "style" not in found[2]["args"]
    assert "count" in found[5]["error"]["message"]
    assert "'fly'" in found[6]["error"]["message"]
    assert found[7]["args"]["prompt"] == "fish"
    assert found[7]["args"]["style"] == "noto"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lines.csv", b'say\na cat\n\n  \n"a dog, barking"\n'),
        ("lines.txt", b'id,Say\n1,a cat\n,\n,\n2,"a dog, barking"\n'),
    ],
)
def test_a_sheet_of_words_is_known_by_its_name_or_its_columns(
    api: httpx.Client, desk: Desk, context: Context, name: str, content: bytes
) -> None:
    found = listed(api, submitted(api, desk, context, content, name))
    assert [(row["line"], row["say"]) for row in found] == [(2, "a cat"), (5, "a dog, barking")]


def test_a_body_can_be_a_sheet_too(api: httpx.Client, desk: Desk, context: Context) -> None:
    answer = api.post("/v1/batches", content=b"say\na cat\n", headers={"content-type": "text/csv; charset=utf-8"})
    feed(desk, context, answer.json()["id"])
    assert [row["say"] for row in listed(api, answer.json()["id"])] == ["a cat"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name,price\ncat,1\n", r"line 1 must name a column `say`.*it has 'name', 'price'"),
        (b"say,colour\ncat,red\n", "line 1: beside `say`.*'colour'"),
        (b"tool,prompt,prompt\n", "line 1 names a column twice: prompt"),
        (b"tool,,prompt\n", "line 1: the column 2 has no name"),
        (b"say\na cat\na dog, barking\na,b\n", "line 3 has 2 cells and the first row names 1; line 4"),
        (b"say\na cat\n\xff\xfe\n", "line 3 is not UTF-8"),
        (b'say\n"a cat\n', "line 2 cannot be read as CSV"),
    ],
)
def test_a_sheet_that_makes_no_sense_is_refused_whole_and_its_lines_are_named(
    api: httpx.Client, content: bytes, told: str
) -> None:
    answer = api.post("/v1/batches", files={"file": ("sheet.csv", content)})
    assert answer.status_code == 422
    assert re.search(told, answer.json()["error"]["message"]), answer.text
    assert api.get("/v1/batches").json()["data"] == []
