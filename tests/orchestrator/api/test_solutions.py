"""Solutions over HTTP; the test plays the worker that looks at them."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from orchestrator.api.context import Context
from store import passages, solutions
from tools.solutions.base import OfferedTool, digest

MCP = {"kind": "mcp", "command": ["/usr/bin/brand"]}
PALETTE = OfferedTool("palette", "Named colours.", {"type": "object", "properties": {}}, sends=False)


def seen(context: Context, *tools: OfferedTool) -> None:
    """What the worker does when it looks at the solution."""
    stored, shown = [tool.as_json() for tool in tools], digest(list(tools))
    context.database.transact(lambda c: solutions.saw(c, "brand", stored, shown, approve=False, now=time.time()))


def added(api: httpx.Client, **declaration: Any) -> httpx.Response:
    return api.post("/v1/solutions", json={"name": "brand", "declaration": {**MCP, **declaration}})


def test_from_added_to_used(api: httpx.Client, context: Context) -> None:
    answer = added(api, description="Colours and logo.")
    assert answer.status_code == 202
    assert answer.json()["state"] == "new"
    check = api.get(f"/v1/runs/{answer.json()['check']}").json()
    assert [step["tool"] for step in check["plan"]["steps"]] == ["studio.check"]

    plan = {"plan": {"steps": [{"id": "s1", "tool": "brand.palette", "args": {}}], "reply": ""}}
    assert "there is no tool 'brand.palette'" in api.post("/v1/runs", json=plan).json()["error"]["message"]

    seen(context, PALETTE)
    shown = api.get("/v1/solutions/brand").json()
    assert [tool["name"] for tool in shown["offered"]] == ["palette"]
    approved = api.post("/v1/solutions/brand/approve", json={"digest": shown["offered_digest"]})
    assert approved.json()["state"] == "approved"
    assert api.get("/v1/tools/brand.palette").json()["sends"] is False
    assert api.post("/v1/runs", json=plan).status_code == 202

    assert api.delete("/v1/solutions/brand").status_code == 204
    assert api.get("/v1/solutions/brand").status_code == 404
    assert api.get("/v1/tools/brand.palette").status_code == 404


def test_one_cannot_approve_what_one_did_not_see(api: httpx.Client, context: Context) -> None:
    added(api)
    seen(context, PALETTE)
    shown = api.get("/v1/solutions/brand").json()["offered_digest"]
    seen(context, OfferedTool("palette", "Deletes everything.", {"type": "object"}))
    answer = api.post("/v1/solutions/brand/approve", json={"digest": shown})
    assert answer.status_code == 409
    assert "something else by now" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("declaration", "says"),
    [
        ({"command": None}, "either a command or a url"),
        ({"cwd": "brand"}, "'brand' is relative"),
        ({"env": {"TOKEN": {"file": "secret.txt"}}}, "'secret.txt' is relative"),
        ({"env": {"TOKEN": {"env": "A", "file": "/b"}}}, "a secret is"),
        ({"limits": {"seconds": 0}}, "greater than 0"),
        ({"colour": "blue"}, "Extra inputs are not permitted"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(api: httpx.Client, declaration: dict[str, Any], says: str) -> None:
    answer = added(api, **declaration)
    assert answer.status_code == 422
    assert says in answer.json()["error"]["message"]
    assert api.get("/v1/solutions").json()["data"] == []


def test_a_secret_is_named_and_never_shown(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAND_TOKEN", "very-secret-indeed")
    added(api, env={"TOKEN": {"env": "BRAND_TOKEN"}})
    shown = api.get("/v1/solutions/brand").text
    assert "BRAND_TOKEN" in shown
    assert "very-secret-indeed" not in shown


def test_what_the_settings_declare_is_removed_there(api: httpx.Client, context: Context) -> None:
    context.database.transact(lambda c: solutions.declare(c, "brand", MCP, source="file", now=1.0))
    answer = api.delete("/v1/solutions/brand")
    assert answer.status_code == 409
    assert "atelier.toml" in answer.json()["error"]["message"]
    assert added(api).status_code == 409


def test_calls_are_listed_newest_first(api: httpx.Client, context: Context) -> None:
    added(api)
    for number in range(3):
        call = context.database.transact(
            lambda c, number=number: solutions.begin_call(
                c, "brand", f"t{number}", per_minute=9, owner="local", run_id=None, step_id=None, now=100.0 + number
            )
        )
        context.database.transact(
            lambda c, call=call: solutions.end_call(c, int(call), size_bytes=5, error=None, now=110.0)
        )
    first = api.get("/v1/solutions/brand/calls", params={"limit": 2}).json()
    assert ([call["tool"] for call in first["data"]], first["has_more"]) == (["t2", "t1"], True)
    rest = api.get("/v1/solutions/brand/calls", params={"before": first["next"]}).json()
    assert [call["tool"] for call in rest["data"]] == ["t0"]
    assert api.get("/v1/solutions/nobody/calls").status_code == 404


def test_a_look_says_whether_it_was_learned(api: httpx.Client, context: Context) -> None:
    from store import versions
    from store.versions import NewVersion

    look = {"kind": "style", "images": "/pictures", "captions": "/captions.csv"}
    context.database.transact(lambda c: solutions.declare(c, "acme", look, source="file", now=1.0))
    before = api.get("/v1/solutions/acme").json()
    assert before["state"] == "new"
    assert "atelier styles train acme" in before["error"]["message"]
    new = NewVersion("style", "acme", None, "0" * 64, None, {})
    context.database.transact(lambda c: versions.register(c, new, now=2.0))
    after = api.get("/v1/solutions").json()["data"][0]
    assert (after["state"], after["error"]) == ("approved", None)


def test_nobody_takes_over_a_solution_of_somebody_else(api: httpx.Client, context: Context) -> None:
    theirs = {"kind": "knowledge", "owner": "bob"}
    context.database.transact(lambda c: solutions.declare(c, "brand", theirs, source="api", now=1.0))
    context.database.transact(lambda c: passages.add_upload(c, "brand", "plans.md", "0" * 64, 3, now=1.0))
    assert added(api).status_code == 409
    answer = api.post("/v1/solutions", json={"name": "brand", "declaration": {"kind": "knowledge"}})
    assert answer.status_code == 409
    assert "bob" not in answer.text
    with context.database.read() as connection:
        assert solutions.require(connection, "brand", "bob").declaration == theirs
    for path in ("", "/calls", "/documents"):
        assert api.get(f"/v1/solutions/brand{path}").status_code == 404
    assert api.delete("/v1/solutions/brand").status_code == 404
    assert api.get("/v1/solutions").json()["data"] == []
