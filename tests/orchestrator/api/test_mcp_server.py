"""The studio as its MCP clients meet it: the official client, in the newest protocol and in the one before."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import anyio
import httpx
import httpx2
import pytest
import uvicorn
from mcp import Client
from mcp.client.client import ConnectMode
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import AudioContent, CallToolResult, ImageContent, ResourceLink, TextContent

from benchmarks.desk import Desk
from orchestrator.api import accepting
from orchestrator.api.app import create_app
from orchestrator.api.context import Context
from orchestrator.api.keyring import LOCAL
from orchestrator.api.mcp import calls, contents
from store import keys, solutions, views
from store.database import Database
from store.steps import Claim
from tests.orchestrator.api.conftest import Post
from tools.solutions.base import OfferedTool, digest

T = TypeVar("T")
SOON_S = 20.0
PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)
TALK = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
MODES: list[ConnectMode] = ["auto", "legacy"]


@asynccontextmanager
async def connected(url: str, mode: ConnectMode = "auto", key: str | None = None) -> AsyncIterator[Client]:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport, mode=mode, cache=None) as client:
            yield client


def talk(
    url: str, say: Callable[[Client], Coroutine[Any, Any, T]], mode: ConnectMode = "auto", key: str | None = None
) -> T:
    """Connect, say something, and give what comes of it."""

    async def go() -> T | MCPError:
        async with connected(url, mode, key) as client:
            try:
                return await say(client)
            except MCPError as error:  # raised below as itself: a group would wrap it
                return error

    said = asyncio.run(go())
    if isinstance(said, MCPError):
        raise said
    return said


def call(url: str, tool: str, mode: ConnectMode = "auto", key: str | None = None, /, **args: Any) -> CallToolResult:
    return talk(url, lambda client: client.call_tool(tool, args), mode, key)


def words(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


def eventually(true: Callable[[], T]) -> T:
    deadline = time.monotonic() + SOON_S
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


@contextmanager
def serving(context: Context) -> Iterator[str]:
    """An API process more."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(context), log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def finish(desk: Desk, claim: Claim, *made: str) -> None:
    """What a worker does with what it made."""
    desk.complete(claim, made, link=True)


@contextmanager
def working(desk: Desk, made: Callable[[], str], queue: str = "image") -> Iterator[None]:
    """A worker that waits for one step, and makes an asset with it."""

    def work() -> None:
        (claim,) = eventually(lambda: desk.claim(queues=(queue,)))
        finish(desk, claim, made())

    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()


def newest(desk: Desk, owner: str = LOCAL) -> dict[str, Any]:
    """Give the newest run of an owner, when there is one."""

    def look() -> list[dict[str, Any]]:
        with desk.database.read() as connection:
            return views.list_(connection, owner, limit=1)

    return eventually(look)[0]


def new_key(context: Context, owner: str, *scopes: str) -> str:
    fields: dict[str, Any] = {"name": "test", "owner": owner, "scopes": scopes or ("read", "make"), "now": time.time()}
    return context.database.transact(lambda c: keys.create(c, **fields))[1]


@pytest.mark.parametrize("mode", MODES)
def test_the_tools_are_those_of_the_studio_with_their_schemas(url: str, mode: ConnectMode, context: Context) -> None:
    async def look(client: Client) -> Any:
        return client.server_info, await client.list_tools()

    info, listed = talk(url, look, mode)
    tools = {tool.name: tool for tool in listed.tools}
    assert info.name == "atelier"
    assert set(tools) == {*context.tools(LOCAL), *calls.OWN}
    schema = tools["generate_image"].input_schema
    assert schema == context.tools(LOCAL)["generate_image"].args.model_json_schema()
    assert tools["search_assets"].annotations is not None
    assert tools["search_assets"].annotations.read_only_hint


@pytest.mark.parametrize("mode", MODES)
def test_a_call_becomes_a_run_and_answers_with_the_picture(
    url: str, mode: ConnectMode, desk: Desk, save: Callable[..., str]
) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async def draw(client: Client) -> CallToolResult:
        return await client.call_tool("generate_image", {"prompt": "a cat"}, progress_callback=tell)

    made: list[str] = []

    def make() -> str:
        made.append(save(PNG))
        return made[0]

    with working(desk, make):
        result = talk(url, draw, mode)
    run = newest(desk)
    assert run["status"] == "completed"
    assert run["steps"][0]["args"]["prompt"] == "a cat"
    assert not result.is_error
    assert [part.data for part in result.content if isinstance(part, ImageContent)] == [base64.b64encode(PNG).decode()]
    assert [part.uri for part in result.content if isinstance(part, ResourceLink)] == [f"atelier://assets/{made[0]}"]
    assert f"@{made[0]}" in words(result)
    assert result.structured_content["run_id"] == run["id"]
    assert result.structured_content["assets"][0]["id"] == made[0]
    assert seen[0][2] is not None
    assert run["id"] in seen[0][2]  # known before anything can break
    done = [one for one, _, _ in seen]
    assert done == sorted(set(done))
    assert {total for _, total, _ in seen} == {100}
    assert seen[-1][0] >= 100


def test_words_become_a_planned_run(url: str, desk: Desk, save: Callable[..., str]) -> None:
    def work() -> None:
        (claim,) = eventually(lambda: desk.claim(queues=("planner",)))
        desk.save_plan(claim, desk.step("s1", tool="generate_image", args={"prompt": "a cat"}))
        finish(desk, desk.one(), save(PNG))
        (claim,) = eventually(lambda: desk.claim(queues=("planner",)))
        desk.reply(claim, "Here is your cat.")

    thread = threading.Thread(target=work)
    thread.start()
    result = call(url, "make", say="draw a cat")
    thread.join()
    assert words(result).startswith("Here is your cat.")
    assert sum(isinstance(part, ImageContent) for part in result.content) == 1


def test_sounds_and_texts_come_as_such_and_what_is_large_as_a_link(
    url: str, desk: Desk, save: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SHOWN_BYTES", 1000)
    run_id = desk.plan(desk.step("s1"), owner=LOCAL)
    sound = save(b"RIFF" + bytes(90), kind="audio", media_type="audio/wav", seconds=1.0)
    text = save("größer".encode(), kind="text", media_type="text/markdown")
    midi = save(b"MThd", kind="music", media_type="audio/midi")
    finish(desk, desk.one(), sound, text, save(PNG), midi)
    result = call(url, "get_run", run_id=run_id)
    kinds = [type(part) for part in result.content[1:]]
    assert kinds == [AudioContent, ResourceLink, TextContent, ResourceLink, ResourceLink, ResourceLink]
    assert isinstance(result.content[3], TextContent)
    assert result.content[3].text == "größer"


@pytest.mark.parametrize("mode", MODES)
def test_a_run_that_takes_long_outlives_its_call_and_the_api(
    context: Context,
    mode: ConnectMode,
    desk: Desk,
    save: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    sqlite_url: str,
) -> None:
    monkeypatch.setattr(calls, "MOST_S", 0.2)
    with serving(context) as url:
        result = call(url, "generate_image", mode, prompt="a cat")
    run_id = result.structured_content["run_id"]
    assert not result.is_error
    assert "wait_run" in words(result)
    assert result.structured_content["status"] == "pending"
    with serving(replace(context, database=Database(sqlite_url), messenger=Post())) as url:  # type: ignore[arg-type]
        monkeypatch.setattr(calls, "MOST_S", SOON_S)
        with working(desk, lambda: save(PNG)):
            result = call(url, "wait_run", mode, run_id=run_id)
    assert result.structured_content["status"] == "completed"
    assert any(isinstance(part, ImageContent) for part in result.content)


@pytest.mark.parametrize("mode", MODES)
def test_an_api_that_ends_during_a_call_ends_no_run(
    context: Context, mode: ConnectMode, desk: Desk, sqlite_url: str
) -> None:
    async def cut(url: str, stop: Callable[[], object]) -> str:
        told: list[str] = []

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            told.append(str(message))
            if len(told) == 2:
                threading.Thread(target=stop).start()

        with pytest.raises((MCPError, httpx2.HTTPError, ExceptionGroup)):
            async with connected(url, mode) as client:
                await client.call_tool("generate_image", {"prompt": "a cat"}, progress_callback=tell)
        return told[0].split()[0]

    held = serving(context)
    run_id = asyncio.run(cut(held.__enter__(), lambda: held.__exit__(None, None, None)))
    desk = Desk(Database(sqlite_url))
    assert desk.status(run_id, LOCAL) == "pending"
    desk.complete(desk.one())
    with serving(replace(context, database=desk.database, messenger=Post())) as url:  # type: ignore[arg-type]
        assert call(url, "get_run", mode, run_id=run_id).structured_content["status"] == "completed"


@pytest.mark.parametrize("mode", MODES)
def test_a_call_that_is_cancelled_cancels_its_run(url: str, mode: ConnectMode, desk: Desk) -> None:
    async def change_of_mind(client: Client) -> None:
        async def tell(progress: float, total: float | None, message: str | None) -> None:
            scope.cancel()

        with anyio.CancelScope() as scope:
            await client.call_tool("generate_image", {"prompt": "a cat"}, progress_callback=tell)
        with anyio.fail_after(SOON_S):
            while (await asyncio.to_thread(newest, desk))["status"] != "cancelled":
                await anyio.sleep(0.02)

    talk(url, change_of_mind, mode)


def test_an_older_client_that_is_cut_off_has_cancelled_nothing(url: str, desk: Desk) -> None:
    """In protocols before 2026-07-28 a connection that breaks says nothing."""
    params = {"name": "generate_image", "arguments": {"prompt": "x"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {**TALK, "mcp-protocol-version": "2025-06-18"}
    with httpx.stream("POST", f"{url}/mcp", json=message, headers=headers, timeout=60):
        run_id = newest(desk)["id"]
    assert call(url, "get_run", run_id=run_id).structured_content["status"] == "pending"


def test_who_stops_waiting_stops_nothing_else(url: str, desk: Desk) -> None:
    run_id = desk.plan(desk.step("s1"), owner=LOCAL)

    async def leave(client: Client) -> None:
        async def tell(progress: float, total: float | None, message: str | None) -> None:
            scope.cancel()

        with anyio.CancelScope() as scope:
            await client.call_tool("wait_run", {"run_id": run_id}, progress_callback=tell)

    for mode in MODES:
        talk(url, leave, mode)
    assert desk.status(run_id, LOCAL) == "pending"
    assert call(url, "cancel_run", run_id=run_id).structured_content["status"] == "cancelled"


def test_a_session_name_cancels_no_call_of_another_owner(url: str, context: Context, desk: Desk) -> None:
    secrets = {owner: new_key(context, owner) for owner in ("ada", "bob")}
    session = "0" * 32
    sent = {"method": "tools/call", "params": {"name": "generate_image", "arguments": {"prompt": "x"}}}
    headers = {**TALK, "mcp-session-id": session, "mcp-protocol-version": "2025-06-18"}

    def post(owner: str, **message: Any) -> Any:
        given = {**headers, "authorization": f"Bearer {secrets[owner]}"}
        return httpx.stream("POST", f"{url}/mcp", json={"jsonrpc": "2.0", **message}, headers=given, timeout=60)

    cancelled = {"method": "notifications/cancelled", "params": {"requestId": 7}}
    with post("ada", id=7, **sent) as answer:
        assert answer.status_code == 200
        run = newest(desk, "ada")
        with post("bob", **cancelled) as ignored:
            assert ignored.status_code == 202
        assert desk.status(run["id"]) == "pending"
        with post("ada", **cancelled) as heard:
            assert heard.status_code == 202
        assert desk.status(run["id"]) == "cancelled"


def test_assets_are_resources_in_pages(url: str, save: Callable[..., str]) -> None:
    saved = {save(PNG + bytes([n]), caption=f"cat {n}") for n in range(60)}
    text = save("größer".encode(), kind="text", media_type="text/markdown")

    async def look(client: Client) -> None:
        first = await client.list_resources()
        second = await client.list_resources(cursor=first.next_cursor)
        assert len(first.resources) == 50
        assert second.next_cursor is None
        assert {one.name for one in (*first.resources, *second.resources)} == {*saved, text}
        [template] = (await client.list_resource_templates()).resource_templates
        address = template.uri_template.replace("{asset_id}", text)
        [read] = (await client.read_resource(address)).contents
        assert read.text == "größer"  # type: ignore[union-attr]
        picture = next(one for one in first.resources if one.mime_type == "image/png")
        [blob] = (await client.read_resource(picture.uri)).contents
        assert base64.b64decode(blob.blob).startswith(PNG)  # type: ignore[union-attr]

    for mode in MODES:
        talk(url, look, mode)


def test_the_library_is_searched_by_words(url: str, save: Callable[..., str]) -> None:
    there = save(PNG, caption="a happy cat", tags=("cat",))
    save(PNG + b"1", caption="a sad dog")
    result = call(url, "search_assets", tags=["cat"])
    assert [one["id"] for one in result.structured_content["assets"]] == [there]
    assert [part.uri for part in result.content if isinstance(part, ResourceLink)] == [contents.uri(there)]


def test_who_shows_no_key_hears_nothing(url: str, context: Context) -> None:
    secret = new_key(context, "ada")
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    eventually(lambda: httpx.get(f"{url}/v1/runs").status_code == 401)  # it was looked whether there are keys
    answer = httpx.post(f"{url}/mcp", json=message, headers=TALK)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "generate_image" not in answer.text
    assert talk(url, lambda client: client.list_tools(), key=secret).tools


def test_a_key_that_only_reads_makes_nothing(url: str, context: Context, desk: Desk, save: Callable[..., str]) -> None:
    mine = save(PNG, owner="ada")
    secret = new_key(context, "ada", "read")
    listed = talk(url, lambda client: client.list_tools(), key=secret)
    assert {tool.name for tool in listed.tools} == {"search_assets", "get_run", "wait_run"}
    assert talk(url, lambda client: client.read_resource(contents.uri(mine)), key=secret).contents
    for tool, args in (("generate_image", {"prompt": "x"}), ("make", {"say": "x"}), ("cancel_run", {"run_id": "x"})):
        result = call(url, tool, "auto", secret, **args)
        assert result.is_error
        assert "'make'" in words(result)
    assert desk.calls() == []


def test_nothing_of_another_owner_is_there(url: str, context: Context, desk: Desk, save: Callable[..., str]) -> None:
    bobs = save(PNG, owner="bob", caption="zebra")
    run_id = desk.plan(desk.step("s1"), owner="bob")
    secret = new_key(context, "ada")

    def fault(say: Callable[[Client], Coroutine[Any, Any, Any]]) -> str:
        with pytest.raises(MCPError) as caught:
            talk(url, say, key=secret)
        return caught.value.message

    missing = bobs[:-1] + ("0" if bobs[-1] != "0" else "1")
    there = fault(lambda client: client.read_resource(contents.uri(bobs)))
    assert there == fault(lambda client: client.read_resource(contents.uri(missing))).replace(missing, bobs)
    assert bobs in fault(lambda client: client.list_resources(cursor=bobs))
    assert talk(url, lambda client: client.list_resources(), key=secret).resources == []
    for tool in ("get_run", "wait_run", "cancel_run"):
        result = call(url, tool, "auto", secret, run_id=run_id)
        assert result.is_error
        assert run_id in words(result)
    assert desk.status(run_id, "bob") == "pending"
    assert call(url, "vary_image", "auto", secret, image=f"@{bobs}").is_error
    assert call(url, "search_assets", "auto", secret, tags=["zebra"]).structured_content == {"assets": []}


def test_what_sends_something_waits_for_a_person(url: str, context: Context, desk: Desk) -> None:
    order = OfferedTool("order", "Order one.", {"type": "object", "properties": {}}, sends=True)

    def declare(connection: Any) -> None:
        solutions.declare(connection, "shop", {"kind": "mcp", "command": ["/bin/true"]}, source="api", now=1.0)
        solutions.saw(connection, "shop", [order.as_json()], digest([order]), approve=True, now=2.0)

    context.database.transact(declare)
    [tool] = [one for one in talk(url, lambda c: c.list_tools()).tools if one.name == "shop.order"]
    assert tool.annotations is not None
    assert tool.annotations.destructive_hint
    result = call(url, "shop.order")
    assert result.structured_content["status"] == "waiting_approval"
    assert "a person" in words(result)
    assert desk.calls() == []


def test_a_run_that_failed_says_why(url: str, desk: Desk) -> None:
    run_id = desk.plan(desk.step("s1"), owner=LOCAL)
    desk.fail(desk.one(), "no ink")
    result = call(url, "wait_run", run_id=run_id)
    assert result.is_error
    assert "no ink" in words(result)


UNFIT: list[tuple[str, dict[str, Any], str]] = [
    ("generate_image", {}, "prompt"),
    ("generate_image", {"prompt": 7}, "prompt"),
    ("generate_image", {"prompt": "x", "colour": "red"}, "colour"),
    ("generate_image", {"prompt": "a\x00b"}, "U+0000"),
    ("vary_image", {"image": "@asset_../../etc/passwd"}, "image"),
    ("vary_image", {"image": "$s1"}, "s1"),
    ("make", {"say": ""}, "say"),
    ("make", {"say": "x" * 9000}, "say"),
    ("make", {"say": "x", "plan": {}}, "plan"),
    ("get_run", {"run_id": "run_' OR 1=1"}, "run_"),
    ("wait_run", {"run_id": "run_1", "seconds": 1e9}, "seconds"),
    ("search_assets", {"kind": "smell"}, "smell"),
    ("search_assets", {"limit": 10**30}, "limit"),
]


def test_arguments_that_do_not_fit_are_answered_in_words(url: str, desk: Desk) -> None:
    async def ask(client: Client) -> None:
        for tool, args, names in UNFIT:
            result = await client.call_tool(tool, args)
            assert result.is_error, (tool, args)
            assert names in words(result), (tool, args)

    talk(url, ask)
    assert desk.calls() == []


def test_what_is_not_there_is_an_error_of_the_protocol(url: str, save: Callable[..., str]) -> None:
    there = save(PNG)
    addresses = ["file:///etc/passwd", "atelier://assets/../keys", f"atelier://assets/{there}/../x", "", "x" * 9000]

    async def ask(client: Client) -> None:
        asked: tuple[Callable[[], Coroutine[Any, Any, object]], ...] = (
            lambda: client.call_tool("no_such_tool", {}),
            lambda: client.call_tool("studio.plan", {}),
            lambda: client.list_tools(cursor="x"),
            *(partial(client.read_resource, one) for one in addresses),
        )
        for say in asked:
            with pytest.raises(MCPError) as caught:
                await say()
            assert caught.value.code == -32602

    for mode in MODES:
        talk(url, ask, mode)


def test_messages_that_are_none_break_nothing(api: httpx.Client) -> None:
    old = {**TALK, "mcp-protocol-version": "2025-06-18"}
    new = {**TALK, "mcp-protocol-version": "2026-07-28"}
    deep = b"[" * 100_000
    bodies = [b"", b"{", b"[]", b"null", b"7", b'"x"', deep, b'{"jsonrpc": "2.0"}', b"\xff\xfe", b'{"id": 1e999}']
    bodies += [b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":7}', b'[{"jsonrpc":"2.0","id":1}]']
    for headers in (old, new, TALK, {**old, "mcp-session-id": "x" * 5000}, {**old, "mcp-protocol-version": "9"}):
        for body in bodies:
            answer = api.post("/mcp", content=body, headers=headers)
            assert answer.status_code in {202, 400, 415}, (headers, body[:50], answer.text)
    assert api.post("/mcp", content=b'"' + b"x" * (2 << 20) + b'"', headers=new).status_code == 413
    assert api.get("/mcp").status_code == 405
    assert api.delete("/mcp").status_code == 405
    assert api.post("/mcp", content=b"{}", headers={**new, "origin": "http://evil.example"}).status_code == 403
    assert api.post("/mcp", content=b"{}", headers={**new, "host": "evil.example"}).status_code == 403
    assert api.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=old).status_code == 200


def test_a_bug_is_told_without_its_words(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(contents, "of_run", broken)
    monkeypatch.setattr(accepting, "view", lambda *_: {})
    for mode in MODES:
        with pytest.raises(MCPError) as caught:
            call(url, "get_run", mode, run_id="run_1")
        assert "42" not in str(caught.value)
    assert "the secret is 42" in caplog.text


def test_a_run_counts_for_the_key_that_asked(url: str, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MOST_S", 0.1)
    limits = {"runs_per_day": 2}
    fields: dict[str, Any] = {"name": "test", "owner": "ada", "scopes": ("read", "make"), "now": time.time()}
    secret = context.database.transact(lambda c: keys.create(c, **fields, limits=limits))[1]

    async def ask(client: Client) -> list[CallToolResult]:
        return [await client.call_tool("write_text", {"prompt": "x"}) for _ in range(2)]

    results = [one for mode in MODES for one in talk(url, ask, mode, secret)]
    assert [one.is_error for one in results] == [False, False, True, True]


def test_cancelling_ended_runs_changes_nothing(url: str, desk: Desk) -> None:
    run_id = desk.plan(desk.step("s1"), owner=LOCAL)
    desk.complete(desk.one())
    assert call(url, "cancel_run", run_id=run_id).structured_content["status"] == "completed"
