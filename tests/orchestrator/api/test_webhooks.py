"""Webhooks over HTTP: made, seen, changed, tried out, and what of them is never shown."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from orchestrator.api.context import Context
from orchestrator.settings import Settings
from store import deliveries
from store.deliveries import EVENTS

URL = "https://hooks.example.com/in?token=hush"


def make(api: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = api.post("/v1/webhooks", json={"url": URL, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def log(api: httpx.Client, webhook: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = api.get(f"/v1/webhooks/{webhook}/deliveries").json()["data"]
    return listed


def test_a_secret_is_shown_when_it_is_made_and_when_it_changes_and_at_no_other_time(api: httpx.Client) -> None:
    made = make(api)
    assert 24 <= len(base64.b64decode(made["secret"].removeprefix("whsec_"), validate=True)) <= 64
    assert (made["url"], made["events"], made["active"]) == (URL, list(EVENTS), True)
    rotated = api.post(f"/v1/webhooks/{made['id']}/rotate").json()
    assert rotated["secret"] != made["secret"]
    shown = [
        api.get("/v1/webhooks"),
        api.get(f"/v1/webhooks/{made['id']}"),
        api.patch(f"/v1/webhooks/{made['id']}", json={"active": True}),
        api.post(f"/v1/webhooks/{made['id']}/test"),
        api.get(f"/v1/webhooks/{made['id']}/deliveries"),
    ]
    for answer in shown:
        assert answer.is_success, answer.text
        assert "whsec_" not in answer.text
        assert "secret" not in answer.text


def test_what_ended_is_in_the_log_and_can_be_sent_again(api: httpx.Client, context: Context) -> None:
    webhook = make(api, events=["run.cancelled"])["id"]
    run = api.post("/v1/runs", json={"say": "a cat"}).json()["id"]
    assert api.post(f"/v1/runs/{run}/cancel").json()["status"] == "cancelled"
    (waiting,) = log(api, webhook)
    assert (waiting["event"], waiting["subject_id"], waiting["state"]) == ("run.cancelled", run, "waiting")
    (taken,) = deliveries.take(context.database, 8)
    context.database.transact(lambda c: deliveries.given_up(c, taken, 400, "no", taken.created_at))
    (failed,) = log(api, webhook)
    assert (failed["state"], failed["status_code"], failed["error"], failed["due_at"]) == ("failed", 400, "no", None)
    again = api.post(f"/v1/webhooks/{webhook}/deliveries/{failed['id']}/retry")
    assert (again.status_code, again.json()["state"], again.json()["id"]) == (202, "waiting", waiting["id"])


def test_one_that_is_switched_off_hears_nothing_and_is_not_tried_out(api: httpx.Client) -> None:
    webhook = make(api)["id"]
    assert api.patch(f"/v1/webhooks/{webhook}", json={"active": False}).json()["active"] is False
    run = api.post("/v1/runs", json={"say": "a cat"}).json()["id"]
    api.post(f"/v1/runs/{run}/cancel")
    assert log(api, webhook) == []
    refused = api.post(f"/v1/webhooks/{webhook}/test")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    changed = api.patch(f"/v1/webhooks/{webhook}", json={"active": True, "events": ["run.failed"]}).json()
    assert (changed["active"], changed["events"]) == (True, ["run.failed"])


def test_a_deleted_one_is_gone_with_its_log(api: httpx.Client) -> None:
    webhook = make(api)["id"]
    api.post(f"/v1/webhooks/{webhook}/test")
    assert api.delete(f"/v1/webhooks/{webhook}").status_code == 204
    for path in ("", "/deliveries"):
        assert api.get(f"/v1/webhooks/{webhook}{path}").status_code == 404
    assert api.get("/v1/webhooks").json()["data"] == []


def test_the_log_comes_in_pages(api: httpx.Client) -> None:
    webhook = make(api, events=["run.cancelled"])["id"]
    for _ in range(3):
        run = api.post("/v1/runs", json={"say": "a cat"}).json()["id"]
        api.post(f"/v1/runs/{run}/cancel")
    first = api.get(f"/v1/webhooks/{webhook}/deliveries", params={"limit": 2}).json()
    rest = api.get(f"/v1/webhooks/{webhook}/deliveries", params={"before": first["next"]}).json()
    ids = [one["id"] for one in first["data"] + rest["data"]]
    assert (len(first["data"]), first["has_more"], rest["has_more"]) == (2, True, False)
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 3


def test_an_address_that_will_never_be_reached_is_refused_at_once(api: httpx.Client) -> None:
    for address in (
        "ftp://a.example/",
        "https://",
        "nonsense",
        "https://user:secret@a.example/",
        "http://127.0.0.1:9000/",
        "http://localhost/",
        "http://10.0.0.7/",
        "http://[::1]/",
        "http://169.254.169.254/latest/",
        "https://a.example/\x00",
        "https://a.example/" + "x" * 2000,
    ):
        answer = api.post("/v1/webhooks", json={"url": address})
        assert (address, answer.status_code, answer.json()["error"]["param"]) == (address, 422, "url"), answer.text
        assert "secret" not in answer.text


def test_a_private_address_that_the_settings_name_is_taken(
    api: httpx.Client, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = Settings(home=context.settings.home, webhooks_private="http://10.0.0.7:8080, http://localhost:9000")
    monkeypatch.setitem(context.__dict__, "settings", named)
    for url in ("http://10.0.0.7:8080/in", "http://localhost:9000/in"):
        make(api, url=url)
    assert api.post("/v1/webhooks", json={"url": "http://10.0.0.7/in"}).status_code == 422


@pytest.mark.parametrize(
    "wrong", [{}, {"url": URL, "events": []}, {"url": URL, "events": ["run.exploded"]}, {"url": URL, "secret": "mine"}]
)
def test_what_makes_no_sense_is_not_made(api: httpx.Client, wrong: dict[str, Any]) -> None:
    assert api.post("/v1/webhooks", json=wrong).status_code == 422
    assert api.get("/v1/webhooks").json()["data"] == []
