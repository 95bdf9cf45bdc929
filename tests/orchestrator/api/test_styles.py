"""Styles over HTTP; the test plays the worker that trains them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from orchestrator.api.context import Context
from orchestrator.api.keyring import LOCAL
from store import versions
from store.versions import NewVersion

Save = Callable[..., str]
CARD = {"pictures": 12, "in_look": {"before": 0.0, "after": 1.0}}


def pictures(save: Save, count: int = 12) -> list[dict[str, str]]:
    return [{"asset_id": save(b"picture %d" % n), "caption": f"thing {n}"} for n in range(count)]


def trained(context: Context, name: str = "acme", owner: str | None = LOCAL) -> None:
    """What the worker does at the end."""
    new = NewVersion("style", name, owner, "a" * 64, "CC0-1.0", CARD, None)
    context.database.transact(lambda c: versions.register(c, new, now=time.time()))


def test_from_pictures_to_a_style_that_plans_can_use(api: httpx.Client, context: Context, save: Save) -> None:
    answer = api.post("/v1/styles", json={"name": "acme", "pictures": pictures(save), "minutes": 3})
    assert answer.status_code == 202
    (step,) = answer.json()["plan"]["steps"]
    assert (step["tool"], step["args"]["name"], step["args"]["pictures"]) == ("studio.train", "acme", 12)
    assert step["args"]["licence"] == "proprietary, of acme"

    plan = {"steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "a cat", "style": "acme"}}]}
    assert api.post("/v1/runs", json={"plan": plan}).status_code == 422
    trained(context)
    assert api.post("/v1/runs", json={"plan": plan}).status_code == 202
    schema = api.get("/v1/tools/generate_image").json()["args"]["properties"]["style"]
    assert "acme" in schema["anyOf"][0]["enum"]
    assert [style["name"] for style in api.get("/v1/styles").json()["data"]] == ["acme"]
    assert api.get("/v1/styles/acme").json()["card"] == CARD

    assert api.delete("/v1/styles/acme").status_code == 204
    assert api.get("/v1/styles/acme").status_code == api.delete("/v1/styles/acme").status_code == 404
    assert api.post("/v1/runs", json={"plan": plan}).status_code == 422


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "Acme!"}, "name"),
        ({"name": "noto"}, "always there"),
        ({"minutes": 0}, "minutes"),
        ({"pictures": []}, "at least 12"),
        ({"licence": ""}, "licence"),
        ({"seeds": 3}, "seeds"),
    ],
)
def test_what_does_not_fit_is_named(api: httpx.Client, save: Save, changed: dict[str, Any], said: str) -> None:
    answer = api.post("/v1/styles", json={"name": "acme", "pictures": pictures(save), **changed})
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]


def test_others_pictures_and_sounds_are_no_pictures(api: httpx.Client, save: Save) -> None:
    for foreign in (save(b"x", owner="bob"), save(b"y", kind="audio"), "asset_nobody"):
        body = {"name": "acme", "pictures": [*pictures(save), {"asset_id": foreign, "caption": "x"}]}
        answer = api.post("/v1/styles", json=body)
        assert answer.status_code == 422
        assert foreign in answer.json()["error"]["message"]


def test_others_styles_are_unknown(api: httpx.Client, context: Context) -> None:
    trained(context, owner="bob")
    trained(context, "house", owner=None)
    assert [style["name"] for style in api.get("/v1/styles").json()["data"]] == ["house"]
    assert api.get("/v1/styles/acme").status_code == 404
    assert api.delete("/v1/styles/house").status_code == 404
