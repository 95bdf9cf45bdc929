"""Batches of files, asked for by the official client."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from benchmarks.desk import Desk
from orchestrator.api.context import Context
from orchestrator.api.keyring import LOCAL
from store import assets, batches
from tools import catalog
from workers.feeding import line_reader

Save = Callable[..., str]
IMAGES, CHAT = "/v1/images/generations", "/v1/chat/completions"
WINDOW: Any = {"completion_window": "24h"}


def line(custom_id: str, url: str, **body: Any) -> str:
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


def upload(client: openai.OpenAI, *lines: str) -> str:
    return client.files.create(file=("lines.jsonl", "\n".join(lines).encode()), purpose="batch").id


def feed(desk: Desk, context: Context, batch_id: str) -> None:
    read = line_reader(catalog.specs())
    desk.change(lambda t: batches.feed(t, batch_id, context.blobs.open, read))


def finish(desk: Desk, *made: str) -> None:
    """Do a step as a worker."""
    claim = desk.one()
    desk.change(lambda t: assets.link(t.connection, claim.id, made))
    desk.complete(claim, made)


def told(client: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    content = client.files.content(file_id).read()
    assert client.files.retrieve(file_id).bytes == len(content)
    return [json.loads(row) for row in content.splitlines()]


def test_results_are_files_whose_lines_carry_the_ids_of_the_client(
    client: openai.OpenAI, context: Context, desk: Desk, save: Save
) -> None:
    lines = [
        line("cat", IMAGES, prompt="a cat", size="64x64"),
        "",
        line("dog", IMAGES, prompt="a dog", response_format="url", model="vae"),
        line("huge", IMAGES, prompt="a cow", size="1024x1024"),
        line("vector", "/v1/embeddings", input="a cat"),
        "no JSON",
    ]
    file_id = upload(client, *lines)
    batch = client.batches.create(input_file_id=file_id, endpoint=IMAGES, metadata={"for": "test"}, **WINDOW)
    assert (batch.object, batch.status, batch.endpoint, batch.input_file_id) == (
        "batch",
        "in_progress",
        IMAGES,
        file_id,
    )
    assert (batch.metadata, batch.completion_window, batch.output_file_id) == ({"for": "test"}, "24h", None)
    feed(desk, context, batch.id)
    finish(desk, save(b"cat"))
    dog = save(b"dog")
    finish(desk, dog)
    feed(desk, context, batch.id)

    done = client.batches.retrieve(batch.id)
    assert done.status == "completed"
    assert done.completed_at is not None
    assert done.request_counts is not None
    assert done.request_counts.model_dump() == {"total": 5, "completed": 2, "failed": 3}
    cats, dogs = told(client, done.output_file_id)
    assert (cats["custom_id"], dogs["custom_id"]) == ("cat", "dog")
    assert (cats["response"]["status_code"], cats["error"]) == (200, None)
    assert base64.b64decode(cats["response"]["body"]["data"][0]["b64_json"]) == b"cat"
    assert dogs["response"]["body"]["data"][0]["url"].endswith(f"/v1/assets/{dog}/content")
    faults = told(client, done.error_file_id)
    assert [(one["custom_id"], one["line"], one["response"]) for one in faults] == [
        ("huge", 4, None),
        ("vector", 5, None),
        (None, 6, None),
    ]
    assert "64x64, 128x128, 256x256" in faults[0]["error"]["message"]
    assert IMAGES in faults[1]["error"]["message"]
    assert "not JSON" in faults[2]["error"]["message"]
    with pytest.raises(openai.ConflictError, match="stays with it"):
        client.files.delete(done.output_file_id or "")


def test_words_are_asked_with_what_was_said_before(client: openai.OpenAI, context: Context, desk: Desk) -> None:
    rules = {"role": "system", "content": "be short"}
    cat = [{"type": "text", "text": "a cat"}]
    lines = [
        line("one", CHAT, model="atelier", messages=[rules, {"role": "user", "content": cat}]),
        line("two", CHAT, model="gpt", messages=[{"role": "user", "content": "a cat"}]),
        line("three", CHAT, model="atelier", messages=[{"role": "assistant", "content": "a cat"}]),
        line("four", CHAT, model="atelier", messages=[{"role": "user", "content": "x"}], stream=True),
    ]
    batch = client.batches.create(input_file_id=upload(client, *lines), endpoint=CHAT, **WINDOW)
    feed(desk, context, batch.id)
    claim = desk.one(queues=("planner",))
    assert desk.run(claim.run_id, LOCAL)["request"] == "a cat"
    with context.database.read() as connection:
        said = connection.exec_driver_sql("SELECT role, content FROM messages ORDER BY created_at").all()
    assert [tuple(row) for row in said] == [("system", "be short"), ("user", "a cat")]
    desk.save_plan(claim, reply="Miaow.")
    feed(desk, context, batch.id)
    done = client.batches.retrieve(batch.id)
    (row,) = told(client, done.output_file_id)
    assert row["response"]["body"]["choices"][0]["message"] == {"role": "assistant", "content": "Miaow."}
    faults = {one["custom_id"]: one["error"]["message"] for one in told(client, done.error_file_id)}
    assert "atelier" in faults["two"]
    assert "user's" in faults["three"]
    assert "stream" in faults["four"]


def test_a_batch_is_cancelled_and_found_in_pages(client: openai.OpenAI, context: Context, desk: Desk) -> None:
    file_id = upload(client, line("cat", IMAGES, prompt="a cat"))
    made = [client.batches.create(input_file_id=file_id, endpoint=IMAGES, **WINDOW).id for _ in range(3)]
    assert [one.id for one in client.batches.list(limit=2)] == made[::-1]
    client.files.delete(file_id)  # what was begun goes on
    feed(desk, context, made[0])
    assert client.batches.cancel(made[0]).status == "cancelling"
    feed(desk, context, made[0])
    gone = client.batches.retrieve(made[0])
    assert (gone.status, gone.output_file_id, gone.cancelled_at is None) == ("cancelled", None, False)
    (row,) = told(client, gone.error_file_id)
    assert (row["custom_id"], row["error"]["code"]) == ("cat", "cancelled")


def test_a_batch_that_cannot_be_made_says_why(client: openai.OpenAI, api: httpx.Client) -> None:
    picture = client.files.create(file=("a.png", b"x"), purpose="vision").id
    good = upload(client, line("cat", IMAGES, prompt="a cat"))
    wrong: list[tuple[dict[str, Any], int, str]] = [
        ({"input_file_id": "file_none", "endpoint": IMAGES}, 404, "file_none"),
        ({"input_file_id": picture, "endpoint": IMAGES}, 422, "purpose"),
        ({"input_file_id": good, "endpoint": "/v1/embeddings"}, 422, IMAGES),
        ({"input_file_id": good, "endpoint": IMAGES, "completion_window": "1h"}, 422, "24h"),
        ({"input_file_id": good, "endpoint": IMAGES, "metadata": {"a": "x" * 600}}, 422, "metadata"),
        ({"endpoint": IMAGES}, 422, "input_file_id"),
    ]
    for given, status, message in wrong:
        answer = api.post("/v1/batches", json=WINDOW | given)
        assert (answer.status_code, given) == (status, given), answer.text
        assert message in answer.json()["error"]["message"]
    assert api.get("/v1/batches").json()["data"] == []


def test_lines_of_ours_and_of_openai_go_into_one_batch_of_either_kind(
    client: openai.OpenAI, api: httpx.Client, context: Context, desk: Desk
) -> None:
    both = ['{"tool": "generate_image", "args": {"prompt": "a cat"}, "id": 7}', line("b", IMAGES, prompt="a dog")]
    native = api.post("/v1/batches", content="\n".join(both)).json()
    theirs = client.batches.create(input_file_id=upload(client, *both), endpoint=IMAGES, **WINDOW)
    for batch_id in (native["id"], theirs.id):
        feed(desk, context, batch_id)
        assert api.get(f"/v1/batches/{batch_id}").json()["request_counts"]["total"] == 2
    for _ in range(4):
        finish(desk)
    feed(desk, context, native["id"])
    feed(desk, context, theirs.id)
    assert client.batches.retrieve(native["id"]).output_file_id is None  # its rows are /results
    rows = told(client, client.batches.retrieve(theirs.id).output_file_id)
    assert [row["custom_id"] for row in rows] == [7, "b"]
    answer = api.get(f"/v1/files/{native['id'].replace('batch_', 'output_')}")
    assert answer.status_code == 404
