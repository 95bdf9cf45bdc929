"""Two owners in one studio: every route of the application, and nothing of one for the other.

The routes are asked of the application, so a new one is looked at too; one whose parameters are not known here fails
until somebody says whose things they name.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.routing import iter_route_contexts

from benchmarks.desk import Desk
from orchestrator import parts
from orchestrator.api.app import create_app
from orchestrator.api.context import Context
from store import assets, batches, collections, deliveries, files, keys, passages, runs, solutions, versions, webhooks
from store.ids import new_id
from store.runs import NewRun, NewStep
from store.versions import NewVersion
from tools.solutions.base import OfferedTool, digest

OPEN = {"/", "/openapi.json", "/healthz", "/readyz", "/web"}
LOOKS = {  # no GET, and makes nothing by itself
    ("POST", "/v1/search"),
    ("POST", "/v1/exports"),
    ("POST", "/v1/embeddings"),
    ("POST", "/mcp"),
}
ADMINS = {
    ("GET", "/v1/keys"),
    ("POST", "/v1/keys"),
    ("PATCH", "/v1/keys/{key_id}"),
    ("DELETE", "/v1/keys/{key_id}"),
    ("POST", "/v1/index/rebuild"),
    ("POST", "/v1/solutions"),
    ("DELETE", "/v1/solutions/{name}"),
    ("POST", "/v1/solutions/{name}/check"),
    ("POST", "/v1/solutions/{name}/approve"),
    ("POST", "/v1/solutions/{name}/documents"),
    ("DELETE", "/v1/solutions/{name}/documents/{document_id}"),
}
NOBODYS = {"/v1/models/{model_id}", "/v1/models/{model_id}/card", "/v1/keys/{key_id}"}  # everyone's, and the admins'
ALL_OWNERS = {"/v1/keys", "/v1/queue"}  # lists that admins may see whole
OF_A_FILE = {"endpoint": "/v1/images/generations", "completion_window": "24h"}
MARK = "zebra"  # in everything of Bob's that is a word
BODIES: dict[tuple[str, str], Any] = {
    ("PUT", "/v1/assets/{asset_id}/tags"): {"tags": ["mine"]},
    ("PATCH", "/v1/collections/{collection_id}"): {"name": "mine"},
    ("POST", "/v1/threads/{thread_id}/runs"): {"say": "a cat"},
    ("POST", "/v1/solutions/{name}/approve"): {"digest": "0" * 64},
    ("PATCH", "/v1/webhooks/{webhook_id}"): {"active": True},
}
RAW = {("POST", "/v1/solutions/{name}/documents"): "?filename=a.md"}  # takes a file, not JSON


@dataclass(frozen=True)
class Route:
    """A method of a path."""

    method: str
    path: str

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.path

    @property
    def scope(self) -> str:
        if self.key in ADMINS:
            return keys.ADMIN
        return keys.READ if self.method in {"GET", "HEAD"} or self.key in LOOKS else keys.MAKE

    def filled(self, values: dict[str, str]) -> str:
        """Give its address; a parameter that nobody knows is a KeyError, and then this test wants a line more."""
        kind = next((one for one in ("solutions", "styles", "tools") if f"/{one}/{{name}}" in self.path), "")
        return self.path.format(**values, name=values.get(kind, ""))


def routes(context: Context) -> list[Route]:
    """Give every route of the application."""
    app = create_app(context)
    found = list(iter_route_contexts(app.routes))
    return [
        Route(method, str(one.path).replace(":path}", "}"))
        for one in found
        for method in sorted(one.methods or {"MOUNT"})
    ]


class House:
    """A studio with two owners, of whom Bob has one of everything."""

    def __init__(self, api: httpx.Client, context: Context, save: Callable[..., str]) -> None:
        self.api = api
        self.context = context
        self.secrets = {
            name: self.key(*scopes)
            for name, scopes in {
                "all": keys.SCOPES,
                "work": (keys.READ, keys.MAKE),
                **{scope: (scope,) for scope in keys.SCOPES},
            }.items()
        }
        self.bobs = self._things(save)

    def key(self, *scopes: str, owner: str = "ada") -> str:
        fields = {"name": "x", "owner": owner, "scopes": scopes, "now": time.time()}
        return self.context.database.transact(lambda c: keys.create(c, **fields))[1]  # type: ignore[arg-type]

    def _things(self, save: Callable[..., str]) -> dict[str, str]:
        desk = Desk(self.context.database)
        seen = {parts.text_space(self.context.settings): np.asarray(self.context.messenger.vector(MARK), np.float32)}
        picture = save(owner="bob", caption=f"a {MARK}", tags=(MARK,), thumbnail_sha256="0" * 64, vectors=seen)
        collection = self._collection(picture)
        recipe = {"tool": "generate_image", "version": "1", "args": {"prompt": MARK}, "weights": {}}
        save(b"child", owner="bob", caption=f"{MARK} child", parents=(picture,), recipe=recipe)
        webhook, delivery = self._webhook(desk)
        thread = desk.change(lambda t: runs.new_thread(t, "bob", MARK))
        said = desk.change(lambda t: runs.accept(t, NewRun(owner="bob", request=MARK, thread_id=thread))).run_id
        plan = {"steps": [{"id": "s1", "tool": "write_text", "args": {"prompt": MARK}}], "reply": ""}
        steps = [NewStep("s1", "write_text", {"prompt": MARK}, "image")]
        run = NewRun(owner="bob", plan=plan, steps=steps, idempotency_key=MARK)
        planned = desk.change(lambda t: runs.accept(t, run)).run_id
        said_so = b'{"say": "%s"}\n' % MARK.encode()
        lines = self.context.blobs.put(said_so)
        file = files.File(new_id("file"), f"{MARK}.jsonl", "batch", lines, len(said_so), time.time())
        self.context.database.transact(lambda c: files.add(c, "bob", file))
        batch = desk.change(lambda t: batches.submit(t, "bob", lines, input_file_id=file.id))
        document = self._solutions()
        style = NewVersion("style", "bobs-look", "bob", "a" * 64, MARK, {"pictures": 12}, None)
        self.context.database.transact(lambda c: versions.register(c, style, now=time.time()))
        return {
            "model_id": new_id("model"),
            "key_id": new_id("key"),
            "asset_id": picture,
            "collection_id": collection,
            "thread_id": thread,
            "run_id": said,
            "planned": planned,
            "response_id": planned.replace("run_", "resp_"),
            "batch_id": batch,
            "file_id": file.id,
            "document_id": document,
            "webhook_id": webhook,
            "delivery_id": delivery,
            "solutions": "bobs_papers",
            "styles": "bobs-look",
            "tools": "bobs_shop.palette",
        }

    def _collection(self, asset: str) -> str:
        """A collection of Bob's with an asset in it."""

        def made(connection: Any) -> str:
            id_ = collections.create(connection, "bob", MARK, now=1.0)
            collections.add(connection, "bob", id_, asset, now=1.0)
            return id_

        return self.context.database.transact(made)

    def _webhook(self, desk: Desk) -> tuple[str, str]:
        """A webhook of Bob's, and what waits for it."""

        def made(t: Any) -> tuple[str, str]:
            webhook, _ = webhooks.create(t.connection, "bob", f"https://{MARK}.example", deliveries.EVENTS, t.now)
            return webhook.id, webhooks.send_test(t, "bob", webhook.id)["id"]

        return desk.change(made)

    def _solutions(self) -> str:
        """Documents and an approved tool of Bob's."""
        palette = OfferedTool("palette", f"{MARK} colours.", {"type": "object", "properties": {}}, sends=False)

        def change(connection: Any) -> str:
            shop = {"kind": "mcp", "command": [f"/usr/bin/{MARK}"], "owner": "bob", "description": MARK}
            solutions.declare(connection, "bobs_shop", shop, source="api", now=1.0)
            offered = [palette.as_json()]
            solutions.saw(connection, "bobs_shop", offered, digest([palette]), approve=True, now=2.0)
            papers = {"kind": "knowledge", "folders": [], "owner": "bob", "description": MARK}
            solutions.declare(connection, "bobs_papers", papers, source="api", now=1.0)
            return passages.add_upload(connection, "bobs_papers", f"{MARK}.md", "0" * 64, 3, 1.0)

        return self.context.database.transact(change)

    def ask(self, route: Route, who: str | None, values: dict[str, str] | None = None) -> httpx.Response:
        """Ask for something, of Bob's where nothing else is said, as one of Ada's keys or as a stranger."""
        headers = {} if who is None else {"authorization": f"Bearer {self.secrets[who]}"}
        url = route.filled(self.bobs if values is None else values) + RAW.get(route.key, "")
        if route.method in {"GET", "HEAD", "DELETE"} or route.key in RAW:
            return self.api.request(route.method, url, headers=headers, content=b"# A" if route.key in RAW else None)
        return self.api.request(route.method, url, headers=headers, json=BODIES.get(route.key))


@pytest.fixture
def house(api: httpx.Client, context: Context, save: Callable[..., str]) -> House:
    return House(api, context, save)


@pytest.fixture
def closed(context: Context) -> list[Route]:
    return [route for route in routes(context) if route.path not in OPEN]


def test_no_route_answers_who_shows_no_key(house: House, closed: list[Route]) -> None:
    assert len(closed) > 40
    for route in closed:
        answer = house.ask(route, None)
        assert (route, answer.status_code) == (route, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_what_is_open_tells_nothing_of_anybody(house: House) -> None:
    for path in OPEN - {"/web"} | {"/web/app.js"}:
        answer = house.api.get(path)
        assert answer.status_code in {200, 503}
        assert MARK not in answer.text


def test_a_key_opens_what_its_scopes_say_and_nothing_else(house: House, closed: list[Route]) -> None:
    for route in closed:
        for scope in (keys.READ, keys.MAKE):
            answer = house.ask(route, scope)
            assert (route, scope, answer.status_code == 403) == (route, scope, scope != route.scope), answer.text
            if answer.status_code == 403 and route.method != "HEAD":
                assert repr(route.scope) in answer.json()["error"]["message"]


def test_nothing_of_another_owner_is_there_under_its_id(house: House, closed: list[Route]) -> None:
    looked = 0
    for route in closed:
        if "{" in route.path and route.path not in NOBODYS:
            answer = house.ask(route, "all")
            assert (route, answer.status_code) == (route, 404), answer.text
            assert MARK not in answer.text
            looked += 1
    assert looked > 25


def test_whose_things_they_are_finds_them(house: House, closed: list[Route]) -> None:
    """The same ids, shown the owner's key, are no 404: the test above looks at things that are there."""
    house.secrets["bob"] = house.key(*keys.SCOPES, owner="bob")
    values = {**house.bobs, "run_id": house.bobs["planned"]}
    for route in closed:
        follows = route.path.endswith("/events")  # until the run ends
        if route.method == "GET" and "{" in route.path and route.path not in NOBODYS and not follows:
            answer = house.ask(route, "bob", values)
            was_made = not route.path.endswith("/thumbnail")
            assert (route, answer.status_code) == (route, 200 if was_made else 404), answer.text


def test_lists_hold_only_ones_own(house: House, closed: list[Route]) -> None:
    for route in closed:
        if route.method == "GET" and "{" not in route.path and route.path not in ALL_OWNERS:
            answer = house.ask(route, "all")
            assert answer.status_code in {200, 503}, (route, answer.text)
            assert MARK not in answer.text, route
            for value in house.bobs.values():
                assert value not in answer.text, route


def test_what_a_request_names_is_looked_for_among_ones_own(house: House) -> None:
    bobs, key = house.bobs, {"authorization": f"Bearer {house.secrets['all']}"}

    def said(method: str, path: str, body: Any = None) -> tuple[int, str]:
        answer = house.api.request(method, path, json=body, headers=key)
        return answer.status_code, answer.text

    def plan(tool: str, **args: Any) -> dict[str, Any]:
        return {"plan": {"steps": [{"id": "s1", "tool": tool, "args": args}], "reply": ""}}

    twelve = [{"asset_id": bobs["asset_id"], "caption": "x"}] * 12
    shown = {"type": "image_url", "image_url": {"url": f"/v1/assets/{bobs['asset_id']}/content"}}
    looks = [{"role": "user", "content": [{"type": "input_image", "file_id": bobs["asset_id"]}]}]
    asked = [
        (404, "POST", "/v1/chat/completions", {"model": "atelier", "messages": [{"role": "user", "content": [shown]}]}),
        (404, "POST", "/v1/responses", {"model": "atelier", "input": looks}),
        (404, "POST", "/v1/responses", {"model": "atelier", "input": "x", "previous_response_id": bobs["response_id"]}),
        (404, "POST", "/v1/runs", {"say": "a cat", "thread_id": bobs["thread_id"]}),
        (422, "POST", "/v1/runs", plan("vary_image", image=f"@{bobs['asset_id']}")),
        (422, "POST", "/v1/runs", plan("bobs_shop.palette")),
        (422, "POST", "/v1/runs", plan("generate_image", prompt="a cat", style="bobs-look")),
        (422, "POST", "/v1/styles", {"name": "mine", "pictures": twelve}),
        (404, "POST", "/v1/search", {"like": bobs["asset_id"]}),
        (404, "GET", f"/v1/search?like={bobs['asset_id']}", None),
        (404, "GET", f"/v1/assets?before={bobs['asset_id']}", None),
        (
            404,
            "POST",
            "/v1/batches",
            {"input_file_id": bobs["file_id"], **OF_A_FILE},
        ),
        (404, "GET", f"/v1/assets?collection={bobs['collection_id']}", None),
        (404, "GET", f"/v1/search?collection={bobs['collection_id']}", None),
        (404, "POST", "/v1/search", {"collection": bobs["collection_id"]}),
        (404, "POST", "/v1/exports", {"ids": [bobs["asset_id"]]}),
        (404, "POST", "/v1/exports", {"collection": bobs["collection_id"]}),
        (201, "POST", "/v1/collections", {"name": MARK}),
    ]
    for status, method, path, body in asked:
        found = said(method, path, body)
        assert found[0] == status, (path, body, found)
    empty = [
        f"/v1/assets?run_id={bobs['planned']}",
        f"/v1/assets?tag={MARK}",
        f"/v1/assets?sha256={'0' * 64}",
        f"/v1/collections?asset={bobs['asset_id']}",
        f"/v1/collections?before={bobs['collection_id']}",
        f"/v1/search?query={MARK}",
        f"/v1/search?tags={MARK}",
        f"/v1/runs?before={new_id('run')}",
        f"/v1/threads?before={new_id('thread')}",
        f"/v1/batches?before={new_id('batch')}",
    ]
    for path in empty:
        answer = house.api.get(path, headers=key)
        assert (path, answer.status_code, answer.json()["data"]) == (path, 200, [])


def test_what_a_batch_gave_is_its_owners(house: House) -> None:
    file = house.bobs["batch_id"].replace("batch_", "output_")
    house.secrets["bob"] = house.key(*keys.SCOPES, owner="bob")
    for who, status in (("all", 404), ("bob", 200)):
        for path in (f"/v1/files/{file}", f"/v1/files/{file}/content"):
            answer = house.api.get(path, headers={"authorization": f"Bearer {house.secrets[who]}"})
            assert (who, path, answer.status_code) == (who, path, status)


def test_the_same_idempotency_key_of_two_owners_means_two_runs(house: House) -> None:
    key = {"authorization": f"Bearer {house.secrets['work']}", "idempotency-key": MARK}
    answer = house.api.post("/v1/runs", json={"say": "a cat"}, headers=key)
    assert answer.status_code == 202
    assert answer.json()["id"] not in house.bobs.values()


def test_where_a_solution_runs_is_shown_to_admins_alone(house: House, context: Context) -> None:
    shared = {"kind": "mcp", "command": ["/usr/bin/inner"], "description": "for all"}
    context.database.transact(lambda c: solutions.declare(c, "shared", shared, source="api", now=1.0))
    for path in ("/v1/solutions", "/v1/solutions/shared"):
        for who, is_shown in (("read", False), ("all", True)):
            answer = house.api.get(path, headers={"authorization": f"Bearer {house.secrets[who]}"})
            assert "for all" in answer.text
            assert ("/usr/bin/inner" in answer.text) == is_shown


def test_bytes_that_two_have_are_two_assets(house: House, context: Context, save: Callable[..., str]) -> None:
    """The blob is shared; who knows of it is not."""
    content = b"\x89PNG\r\n\x1a\n" + bytes(2000)
    mine = save(content, owner="ada", caption="mine")
    key = {"authorization": f"Bearer {house.secrets['work']}"}
    found = house.api.get(f"/v1/assets/{mine}/lineage", headers=key).json()
    assert found == {"ancestors": [], "descendants": [], "edges": []}
    listed = house.api.get("/v1/assets", headers=key).json()["data"]
    assert [one["id"] for one in listed] == [mine]
    assert house.api.delete(f"/v1/assets/{mine}", headers=key).status_code == 204
    with context.database.read() as connection:
        assert assets.get(connection, "bob", house.bobs["asset_id"]) is not None
