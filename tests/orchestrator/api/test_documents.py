"""Documents of a solution over HTTP."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from orchestrator.api.context import Context
from store import passages, solutions
from tests.workers.conftest import Messages
from workers import knowledge

PAGE = b"# Returns\n\nYou can send back what you bought within thirty days, with the receipt.\n"
AT = "/v1/solutions/house/documents"


@pytest.fixture
def house(context: Context, tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "voice.md").write_text("# Voice\n\nWe speak plainly, and we never shout at anybody.\n")
    declared = {"kind": "knowledge", "folders": [str(folder)]}
    context.database.transact(lambda c: solutions.declare(c, "house", declared, source="api", now=1.0))
    return folder


def read_again(context: Context) -> None:
    """What the worker does every few seconds."""
    from models.embedding import HashEncoder
    from store.index import ExactIndex
    from workers.bench import Bench

    bench = Bench(
        name="w",
        queues=("solution",),
        database=context.database,
        blobs=context.blobs,
        index=ExactIndex(),
        messenger=Messages(),  # type: ignore[arg-type]
        specs={},
        load_encoder=HashEncoder,
        load_chat=lambda: None,
        load_model=lambda name: None,
    )
    knowledge.refresh_all(bench)


def test_a_name_holds_nothing_that_cannot_be_seen_or_stored(api: httpx.Client, house: Path) -> None:
    added = api.post(AT, params={"filename": "../re\0turns\u202e\n.md"}, content=PAGE)
    assert (added.status_code, added.json()["path"]) == (202, "returns.md")


def test_an_upload_is_read_listed_replaced_and_removed(api: httpx.Client, context: Context, house: Path) -> None:
    added = api.post(AT, params={"filename": "returns.md"}, content=PAGE)
    assert added.status_code == 202
    read_again(context)
    listed = {one["path"]: one for one in api.get(AT).json()["data"]}
    assert listed["returns.md"]["passages"] == 1
    assert (listed["returns.md"]["origin"], listed["returns.md"]["error"]) == ("upload", None)
    assert listed["voice.md"]["origin"] == str(house)

    again = api.post(AT, files={"file": ("returns.md", PAGE.replace(b"thirty", b"sixty"))})
    assert again.json()["id"] == added.json()["id"]
    read_again(context)
    with context.database.read() as connection:
        (document,) = [one for one in passages.listing(connection, "house") if one.path == "returns.md"]
    assert document.sha256 == again.json()["sha256"]

    assert api.delete(f"{AT}/{added.json()['id']}").status_code == 204
    assert [one["path"] for one in api.get(AT).json()["data"]] == ["voice.md"]


def test_a_file_of_the_folder_is_removed_there(api: httpx.Client, context: Context, house: Path) -> None:
    read_again(context)
    (one,) = api.get(AT).json()["data"]
    answer = api.delete(f"{AT}/{one['id']}")
    assert answer.status_code == 409
    assert str(house) in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["", "returns.exe", "../../etc/passwd"])
def test_a_file_without_a_known_type_is_refused(api: httpx.Client, house: Path, name: str) -> None:
    answer = api.post(AT, params={"filename": name}, content=PAGE)
    assert answer.status_code == 415
    assert ".docx" in answer.json()["error"]["message"]


def test_a_name_never_leaves_its_solution(api: httpx.Client, house: Path) -> None:
    assert api.post(AT, params={"filename": "../../a/../returns.md"}, content=PAGE).json()["path"] == "returns.md"


def test_only_what_holds_documents_takes_them(api: httpx.Client, context: Context) -> None:
    declared = {"kind": "mcp", "command": ["a"]}
    context.database.transact(lambda c: solutions.declare(c, "brand", declared, source="api", now=1.0))
    assert api.post("/v1/solutions/brand/documents", params={"filename": "a.md"}, content=PAGE).status_code == 409
    assert api.get("/v1/solutions/nobody/documents").status_code == 404
    assert api.delete("/v1/solutions/brand/documents/doc_1").status_code == 409


def test_only_an_admin_sees_in_which_folder_a_document_lies(api: httpx.Client, context: Context, house: Path) -> None:
    read_again(context)
    made = api.post("/v1/keys", json={"name": "a", "scopes": ["admin"]}).json()
    admin = {"authorization": f"Bearer {made['key']}"}
    reader = api.post("/v1/keys", json={"name": "r", "scopes": ["read"]}, headers=admin).json()["key"]
    assert [one["origin"] for one in api.get(AT, headers=admin).json()["data"]] == [str(house)]
    listed = api.get(AT, headers={"authorization": f"Bearer {reader}"})
    assert [(one["path"], one["origin"]) for one in listed.json()["data"]] == [("voice.md", None)]
    assert str(house) not in listed.text
