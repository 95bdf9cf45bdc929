"""Files, asked for by the official client."""

from __future__ import annotations

import io
from typing import Any

import httpx
import openai
import pytest

from orchestrator.api.context import Context
from store import naming

LINES = b'{"say": "a cat"}\n'


def test_a_file_is_kept_listed_read_and_forgotten(client: openai.OpenAI, context: Context) -> None:
    first = client.files.create(file=("cats.jsonl", LINES), purpose="batch")
    second = client.files.create(file=("cat.png", b"\x89PNG"), purpose="vision")
    assert (first.object, first.filename, first.purpose, first.bytes) == ("file", "cats.jsonl", "batch", len(LINES))
    assert first.status == "processed"
    assert client.files.retrieve(first.id) == first
    assert client.files.content(first.id).read() == LINES
    assert [one.id for one in client.files.list()] == [second.id, first.id]
    assert [one.id for one in client.files.list(order="asc")] == [first.id, second.id]
    assert [one.id for one in client.files.list(purpose="batch")] == [first.id]
    assert client.files.delete(first.id).deleted
    with pytest.raises(openai.NotFoundError, match="there is no file"):
        client.files.retrieve(first.id)
    assert [one.id for one in client.files.list()] == [second.id]


def test_pages_are_followed_to_the_end(client: openai.OpenAI) -> None:
    made = [client.files.create(file=("a.txt", b"%d" % n), purpose="user_data").id for n in range(5)]
    assert [one.id for one in client.files.list(limit=2)] == made[::-1]


def test_the_bytes_of_a_file_are_kept_from_sweeps_as_long_as_it_is_there(
    client: openai.OpenAI, context: Context
) -> None:
    file = client.files.create(file=io.BytesIO(LINES), purpose="batch")
    with context.database.read() as connection:
        assert list(naming.named(connection)) == [context.blobs.put(LINES)]
    client.files.delete(file.id)
    with context.database.read() as connection:
        assert not list(naming.named(connection))


def test_what_is_wrong_with_an_upload_is_named(api: httpx.Client) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"data": {"purpose": "batch"}, "files": {"other": ("a", LINES)}}, "file"),
        ({"data": {"purpose": "fine-tune"}, "files": {"file": ("a", LINES)}}, "purpose"),
        ({"data": {}, "files": {"file": ("a", LINES)}}, "purpose"),
        ({"data": {"purpose": "batch"}, "files": {"file": ("a", b"")}}, "file"),
        ({"content": LINES}, "file"),
    ]
    for form, param in wrong:
        answer = api.post("/v1/files", **form)
        assert answer.status_code in {400, 422}
        assert answer.json()["error"]["param"] == param


def test_a_file_that_is_too_large_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError, match="larger than 1 MB") as caught:
        client.files.create(file=("big.png", bytes(2 << 20)), purpose="vision")
    assert caught.value.status_code == 413
