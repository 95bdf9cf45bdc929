"""Who is let in: with no key, a key, a wrong one, one that is revoked or has expired."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, insert

from benchmarks.desk import Desk
from orchestrator.api import keyring, readiness, streams
from orchestrator.api.app import create_app, open_context
from orchestrator.api.context import Context
from orchestrator.api.keyring import Keyring
from orchestrator.errors import SettingsError, StudioNotReady, Unauthorized
from orchestrator.settings import Settings
from store import keys, tables
from store.blobs import Blobs
from store.database import Database
from tests.orchestrator.api.conftest import Post

ADMIN_KEY = "the-admins-own-key-of-the-tests"
SOON_S = 5.0


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known is asked again after a moment, so that tests need not wait."""
    monkeypatch.setattr(keyring, "FRESH_S", 0.2)


def key(context: Context, *scopes: str, owner: str = "ada", **given: Any) -> str:
    """Make a key as the command line does."""
    fields = {"name": "test", "owner": owner, "scopes": scopes or ("read", "make"), "now": time.time(), **given}
    return context.database.transact(lambda c: keys.create(c, **fields))[1]


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def eventually(true: Callable[[], bool], within_s: float = SOON_S) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_without_any_key_whoever_sits_there_is_let_in(api: httpx.Client) -> None:
    assert api.get("/v1/runs").status_code == 200
    assert api.get("/v1/runs", headers=bearer("sk-whatever-a-client-sends")).status_code == 200


def test_the_first_key_closes_the_door_for_everybody_else(api: httpx.Client, context: Context) -> None:
    assert api.get("/v1/runs").status_code == 200
    secret = key(context)
    eventually(lambda: api.get("/v1/runs").status_code == 401)
    assert api.get("/v1/runs", headers=bearer(secret)).status_code == 200


def test_who_has_no_key_is_told_how_to_show_one(api: httpx.Client, context: Context) -> None:
    key(context)
    answer = api.get("/v1/runs")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "unauthorized"
    assert "ATELIER_KEY" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Basic {}",
        "{}",
        "Bearer {}x",
        "Bearer {} {}",
        "Bearer atl_",
        "Bearer ünïcode",
        "Token {}",
    ],
)
def test_anything_but_a_bearer_key_is_refused(api: httpx.Client, context: Context, header: str) -> None:
    secret = key(context)
    sent = header.format(secret, secret).encode()
    assert api.get("/v1/runs", headers={b"Authorization": sent}).status_code == 401


def test_there_is_one_way_to_show_a_key(api: httpx.Client, context: Context) -> None:
    secret = key(context)
    assert api.get("/v1/runs", headers={"X-API-Key": secret}).status_code == 401
    assert api.get("/v1/runs", params={"key": secret, "api_key": secret}).status_code == 401
    assert api.get("/v1/runs", headers={"Cookie": f"Authorization=Bearer {secret}"}).status_code == 401
    two = [("Authorization", f"Bearer {secret}"), ("Authorization", "Bearer other")]
    assert api.get("/v1/runs", headers=two).status_code == 401
    assert api.get("/v1/runs", headers={"authorization": f"bearer {secret}"}).status_code == 200


def test_a_revoked_key_is_refused_within_seconds_in_every_process(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # with the time that is used
    secret = key(context)
    header = [f"Bearer {secret}"]
    rings = [Keyring(context.database, context.settings) for _ in range(2)]
    assert [ring.caller(header).owner for ring in rings] == ["ada", "ada"]
    with context.database.read() as connection:
        (kept,) = keys.list_(connection)
    context.database.transact(lambda c: keys.revoke(c, kept.id, now=time.time()))

    def is_refused(ring: Keyring) -> bool:
        try:
            return ring.at_once(header) is None and ring.caller(header) is None
        except Unauthorized:
            return True

    for ring in rings:
        eventually(lambda ring=ring: is_refused(ring))  # type: ignore[misc]


def test_a_stream_ends_when_its_key_is_revoked(
    api: httpx.Client, context: Context, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LOOK_S", 0.1)
    secret = key(context)
    run = desk.say(owner="ada")
    with api.stream("GET", f"/v1/runs/{run}/events", headers=bearer(secret)) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "id: 1"
        with context.database.read() as connection:
            (kept,) = keys.list_(connection)
        context.database.transact(lambda c: keys.revoke(c, kept.id, now=time.time()))
        began = time.monotonic()
        assert "run.completed" not in "\n".join(lines)  # to the end, though the run goes on
        assert time.monotonic() - began < SOON_S
    assert api.get(f"/v1/runs/{run}/events", headers=bearer(secret)).status_code == 401


def test_a_stream_whose_reader_leaves_leaves_nothing_behind(
    api: httpx.Client, context: Context, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    secret = key(context)
    run = desk.say(owner="ada")
    for _ in range(3):
        with api.stream("GET", f"/v1/runs/{run}/events", headers=bearer(secret)) as answer:
            assert next(answer.iter_lines()) == "id: 1"
    assert api.get(f"/v1/runs/{run}", headers=bearer(secret)).status_code == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_revoking_the_last_key_opens_nothing(api: httpx.Client, context: Context) -> None:
    secret = key(context, "admin")
    (kept,) = api.get("/v1/keys", headers=bearer(secret)).json()["data"]
    assert api.delete(f"/v1/keys/{kept['id']}", headers=bearer(secret)).status_code == 204
    eventually(lambda: api.get("/v1/runs", headers=bearer(secret)).status_code == 401)
    assert api.get("/v1/runs").status_code == 401


def test_a_key_ends_in_the_second_in_which_it_expires(context: Context) -> None:
    ring = Keyring(context.database, context.settings)
    header = [f"Bearer {key(context, expires_at=time.time() + 0.4)}"]
    assert ring.caller(header).owner == "ada"
    time.sleep(0.5)
    with pytest.raises(Unauthorized, match="expired"):
        assert ring.at_once(header) or ring.caller(header)


def test_a_key_that_is_known_costs_no_statement_and_its_use_is_noted_once_a_minute(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = [f"Bearer {key(context)}"]
    monkeypatch.undo()
    ring = Keyring(context.database, context.settings)
    said: list[str] = []
    event.listen(context.database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    for _ in range(200):
        assert ring.at_once(header) or ring.caller(header)
    said = [one for one in said if not one.startswith("BEGIN")]
    assert len(said) <= 3, said  # whether there are keys, this key, its use
    with context.database.read() as connection:
        (kept,) = keys.list_(connection)
    assert kept.used_at is not None
    assert abs(kept.used_at - time.time()) < 60


def test_scopes_say_what_is_missing(api: httpx.Client, context: Context) -> None:
    looks, makes = key(context, "read"), key(context, "make")
    assert api.get("/v1/runs", headers=bearer(looks)).status_code == 200
    assert api.post("/v1/search", json={}, headers=bearer(looks)).status_code == 200
    answer = api.post("/v1/threads", headers=bearer(looks))
    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == "this needs a key with the scope 'make'; yours has read"
    assert api.post("/v1/threads", headers=bearer(makes)).status_code == 201
    assert api.get("/v1/threads", headers=bearer(makes)).status_code == 403
    assert api.post("/v1/keys", json={"name": "more"}, headers=bearer(makes)).status_code == 403


def test_an_admin_makes_keys_for_others_and_sees_none_whole(api: httpx.Client, context: Context) -> None:
    admin = bearer(key(context, "admin", owner="ops"))
    wanted = {"name": "ci", "owner": "bob", "scopes": ["read"], "expires_s": 3600}
    made = api.post("/v1/keys", json=wanted, headers=admin)
    assert made.status_code == 201
    assert (made.json()["owner"], made.json()["scopes"]) == ("bob", ["read"])
    assert made.json()["expires_at"] > time.time()
    assert api.get("/v1/runs", headers=bearer(made.json()["key"])).status_code == 200
    listed = api.get("/v1/keys", headers=admin)
    assert [row["name"] for row in listed.json()["data"]] == ["ci", "test"]
    assert made.json()["key"] not in listed.text
    assert "sha256" not in listed.text
    assert api.post("/v1/keys", json={"name": "mine"}, headers=admin).json()["owner"] == "ops"


@pytest.mark.parametrize(
    "wrong",
    [{}, {"name": ""}, {"name": "a\nb"}, {"scopes": ["root"]}, {"scopes": []}, {"owner": "a b"}, {"expires_s": -1}],
)
def test_a_key_that_makes_no_sense_is_not_made(api: httpx.Client, wrong: dict[str, Any]) -> None:
    body = wrong and {"name": "x", **wrong}
    assert api.post("/v1/keys", json=body).status_code == 422
    assert api.get("/v1/keys").json()["data"] == []


def test_the_admin_key_of_the_settings_and_the_one_of_the_data_folder_do_everything(context: Context) -> None:
    settings = Settings(home=context.settings.home, admin_key=ADMIN_KEY)
    ring = Keyring(context.database, settings, "atl_of_the_folder")
    for secret in (ADMIN_KEY, "atl_of_the_folder"):
        caller = ring.at_once([f"Bearer {secret}"])
        assert caller is not None
        assert caller.owner == "local"
        assert caller.may("admin")
    for wrong in (ADMIN_KEY[:-1], ADMIN_KEY + "x", ""):
        with pytest.raises(Unauthorized):
            ring.caller([f"Bearer {wrong}"])
    with pytest.raises(Unauthorized):
        ring.caller([])


def test_with_keys_a_studio_answers_to_any_name_and_still_to_no_other_page(api: httpx.Client, context: Context) -> None:
    secret = key(context)
    named = {"Host": "studio.example.com", **bearer(secret)}
    assert api.get("/v1/runs", headers=named).status_code == 200
    assert api.get("/v1/runs", headers={"Host": "studio.example.com"}).status_code == 401
    assert api.get("/v1/runs", headers=named | {"Origin": "https://studio.example.com"}).status_code == 200
    assert api.get("/v1/runs", headers=named | {"Origin": "https://evil.example.com"}).status_code == 403


def test_strangers_hear_whether_it_is_ready_and_not_why_not(api: httpx.Client, context: Context) -> None:
    why = api.get("/readyz").json()["parts"]
    secret = key(context)
    eventually(lambda: api.get("/v1/runs").status_code == 401)
    told = api.get("/readyz")
    assert told.status_code == 503
    assert {name: part["ok"] for name, part in told.json()["parts"].items()} == {
        name: part["ok"] for name, part in why.items()
    }
    assert {part["detail"] for part in told.json()["parts"].values()} == {"is told to who shows a key"}
    assert api.get("/readyz", headers=bearer(secret)).json()["parts"] == why
    assert api.get("/healthz").status_code == 200


def test_an_address_that_others_reach_wants_a_key_before_it_is_served(sqlite_url: str, tmp_path: Any) -> None:
    def opened(**given: Any) -> Context:
        fixed = {"home": tmp_path, "database_url": sqlite_url, "broker_url": "redis+socket:///nowhere?virtual_host=0"}
        return open_context(Settings(**{**fixed, **given}))

    with pytest.raises(SettingsError, match=r"atelier keys create.*ATELIER_ADMIN_KEY"):
        opened(host="0.0.0.0")
    opened().database.close()
    with_admin = opened(host="0.0.0.0", admin_key=ADMIN_KEY)
    key(with_admin)
    with_admin.database.close()
    with_key = opened(host="::")
    assert with_key.keyring.is_locked()
    with_key.database.close()
    with pytest.raises(StudioNotReady, match="ATELIER_DATABASE_URL"):
        opened(host="192.0.2.1", database_url="sqlite:////nowhere/at.db")


def test_wrong_keys_fill_no_memory(context: Context) -> None:
    key(context)
    ring = Keyring(context.database, context.settings)
    for number in range(100):
        with pytest.raises(Unauthorized):
            ring.caller([f"Bearer atl_{number}"])
    assert ring._known == {}


def test_a_row_of_another_release_is_understood(context: Context) -> None:
    """A scope that this release does not know gives nothing."""
    row = {
        "id": "key_future",
        "owner": "ada",
        "name": "x",
        "scopes": ["paint"],
        "sha256": keys.digest("atl_future"),
        "hint": "atl_futu",
        "created_at": 1.0,
    }
    context.database.transact(lambda c: c.execute(insert(tables.keys), row))
    caller = Keyring(context.database, context.settings).caller(["Bearer atl_future"])
    assert not any(caller.may(scope) for scope in keys.SCOPES)


def test_a_stranger_learns_nothing_by_sending_nonsense(api: httpx.Client, context: Context) -> None:
    key(context)
    for body in (b"{", b"[" * 100_000, b"\xff\xfe"):
        answer = api.post("/v1/runs", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 401, 422}
    assert api.post("/v1/assets", content=b"x" * (2 << 20)).status_code == 401
    assert api.post("/v1/runs", json={"nonsense": True}).status_code == 401
    assert api.options("/v1/runs").status_code in {401, 405}


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000])
def test_broken_json_of_a_stranger_is_refused_as_a_strangers(api: httpx.Client, context: Context, body: bytes) -> None:
    headers = bearer(key(context)) | {"content-type": "application/json"}
    eventually(lambda: api.get("/v1/runs").status_code == 401)
    assert api.post("/v1/runs", content=body, headers=headers).status_code in {400, 422}
    del headers["Authorization"]
    answer = api.post("/v1/runs", content=body, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_strangers_do_not_make_the_servers_work(
    api: httpx.Client, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, looks = key(context), []
    eventually(lambda: api.get("/v1/runs").status_code == 401)
    monkeypatch.setattr(readiness, "KEEP_S", 60.0)
    monkeypatch.setattr(readiness, "_broker", lambda _: looks.append(1) or {"ok": True, "detail": "is there"})
    for _ in range(5):
        assert api.get("/readyz").json()["parts"]["broker"] == {"ok": True, "detail": "is told to who shows a key"}
    assert len(looks) == 1
    api.get("/readyz", headers=bearer(secret))
    assert len(looks) == 2


def test_a_database_that_is_away_is_told_whoever_asks_by_whatever_name(tmp_path: Path) -> None:
    nowhere = Database("postgresql+psycopg://x:a-password-of-tests@127.0.0.1:1/x")
    context = Context(Settings(home=tmp_path, encoder="hash"), nowhere, Blobs(tmp_path), Post(), None)  # type: ignore[arg-type]
    with TestClient(create_app(context), base_url="http://127.0.0.1") as client:
        for headers in ({"host": "studio.example.com"}, bearer("atl_" + "0" * 40)):
            answer = client.get("/v1/runs", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
            assert "a-password-of-tests" not in answer.text


def test_the_description_names_the_key_and_what_is_refused(api: httpx.Client) -> None:
    said = api.get("/openapi.json").json()
    assert said["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for path, methods in said["paths"].items():
        for route in methods.values():
            if path not in {"/healthz", "/readyz"}:
                assert route["security"] == [{"HTTPBearer": []}]
                assert {"401", "403", "404", "422", "503"} <= set(route["responses"])
            shape = route["responses"]["422"]["content"]["application/json"]["schema"]
            assert shape == {"$ref": "#/components/schemas/ErrorAnswer"}
