"""A studio with keys, asked from the same machine and from another."""

from __future__ import annotations

import json
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from orchestrator.cli.client import Client, Refused
from orchestrator.errors import StudioNotReady
from orchestrator.home import CARD
from orchestrator.studio import missing
from tests.orchestrator.conftest import ATELIER, House
from tests.tools.raw_server import RawServer, authority, moved, said, serving

SOON_S = 60.0


@pytest.fixture(scope="module")
def ear() -> Iterator[RawServer]:
    """Give a server that says yes to everything."""
    with serving(lambda _: [said(b"")]) as server:
        yield server


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, ear: RawServer) -> Iterator[House]:
    """Give a house on all addresses, whose first key was made before it was started."""
    folder = tmp_path_factory.mktemp("locked")
    made = House(folder, ATELIER_HOST="0.0.0.0", ATELIER_WEBHOOKS_PRIVATE=ear.url)
    refused = subprocess.run(
        [ATELIER, "up", "--port", "0"], env=made.environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert refused.returncode == 1
    assert "atelier keys create" in refused.stderr
    made.json("keys", "create", "first", "--scope", "admin")
    process = made.up()
    yield made
    process.terminate()
    process.wait(20)


@pytest.fixture
def visitor(locked: House, tmp_path: Path) -> House:
    """Give the command line of somebody else, with a key of Ada's."""
    key = locked.json("keys", "create", "visit", "--owner", "ada")["key"]
    assert locked.url is not None
    elsewhere = {name: value for name, value in locked.environment.items() if name.startswith("ATELIER_")}
    del elsewhere["ATELIER_HOST"]
    return House(tmp_path, **elsewhere | {"ATELIER_HOME": str(tmp_path), "ATELIER_URL": locked.url, "ATELIER_KEY": key})


def test_commands_on_the_machine_go_on_working_and_strangers_there_do_not(locked: House) -> None:
    assert locked.json("make", "a poem")["run"]["status"] == "completed"
    assert locked.json("tools", "list")
    card = locked.folder / CARD
    assert stat.S_IMODE(card.stat().st_mode) == 0o600
    assert locked.url is not None
    assert httpx.get(f"{locked.url}/v1/runs").status_code == 401


def test_a_key_with_a_limit_says_when_it_may_ask_again(locked: House) -> None:
    made = locked.json("keys", "create", "few", "--owner", "eve", "--limit", "runs_per_day=1")
    assert made["limits"] == {"runs_per_day": 1}

    def ask() -> httpx.Response:
        headers = {"authorization": f"Bearer {made['key']}"}
        return httpx.post(f"{locked.url}/v1/runs", json={"say": "a poem"}, headers=headers)

    assert ask().status_code == 202
    refused = ask()
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exceeded")
    assert 80_000 < int(refused.headers["retry-after"]) <= 86_400
    assert locked.json("keys", "limit", "few", "runs_per_day=2", "open_runs=9")["limits"] == {
        "runs_per_day": 2,
        "open_runs": 9,
    }
    assert ask().status_code == 202


def test_a_studio_elsewhere_is_used_instead_of_one_here(visitor: House, locked: House) -> None:
    made = visitor.json("make", "a poem about the sea")
    assert made["run"]["status"] == "completed"
    (asset,) = made["assets"]
    assert asset["path"].startswith(str(visitor.folder))
    assert Path(asset["path"]).read_text().startswith("Roses are red")
    assert "No studio runs" not in visitor.atelier("runs", "list").stderr
    assert [row["id"] for row in visitor.json("runs", "list")] == [made["run"]["id"]]
    assert made["run"]["id"] not in locked.atelier("runs", "list").stdout  # that is another owner's
    assert not (visitor.folder / "atelier.db").exists()
    assert not (visitor.folder / CARD).exists()
    assert "answers at" in visitor.atelier("doctor").stdout


def test_a_batch_elsewhere_is_handed_over_and_goes_on_without_us(visitor: House, tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"say": "a poem"}\n')
    assert visitor.json("batch", "submit", str(lines), "--wait")["status"] == "completed"


def test_what_a_key_may_not_do_is_said_in_a_line(visitor: House) -> None:
    done = visitor.atelier("keys", "list", check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "atelier: this needs a key with the scope 'admin'; yours has make, read\n",
    )
    visitor.environment["ATELIER_KEY"] = "atl_wrong"
    assert "`atelier keys create` makes another" in visitor.atelier("runs", "list", check=False).stderr
    del visitor.environment["ATELIER_KEY"]
    assert "ATELIER_KEY" in visitor.atelier("runs", "list", check=False).stderr


def test_keys_are_made_listed_and_revoked_over_http(visitor: House, locked: House) -> None:
    visitor.environment["ATELIER_KEY"] = locked.json("keys", "create", "boss", "--scope", "admin")["key"]
    made = visitor.json("keys", "create", "ci", "--owner", "bob", "--scope", "read", "--expires", "90d")
    assert made["expires_at"] - made["created_at"] == 90 * 86400
    assert "ci" in {row["name"] for row in visitor.json("keys", "list")}
    assert made["key"] not in visitor.atelier("keys", "list").stdout
    assert visitor.json("keys", "revoke", "ci")["id"] == made["id"]
    row = next(row for row in locked.json("keys", "list") if row["id"] == made["id"])
    assert row["revoked_at"] is not None


def test_no_process_and_no_log_shows_a_key(locked: House) -> None:
    secrets = [json.loads((locked.folder / CARD).read_text())["key"], locked.json("keys", "create", "x")["key"]]
    shown = locked.told()
    for pid in locked.processes().values():
        shown += Path(f"/proc/{pid}/cmdline").read_text()
        shown += Path(f"/proc/{pid}/environ").read_text()
    assert not [secret for secret in secrets if secret in shown]


def test_a_studio_that_does_not_answer_is_named(tmp_path: Path) -> None:
    house = House(tmp_path, ATELIER_URL="http://127.0.0.1:9", ATELIER_KEY="atl_x")
    done = house.atelier("runs", "list", check=False)
    assert done.returncode == 1
    assert "the studio at http://127.0.0.1:9 does not answer" in done.stderr
    assert "atl_x" not in done.stderr


def test_a_studio_behind_tls_and_below_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, _ = authority(tmp_path, "localhost")
    with serving(lambda request: [said(b'{"ok": true, "data": []}')], tls=theirs, host="localhost") as server:
        with pytest.raises(StudioNotReady, match=r"(?i)certificate"):
            Client(server.url, "atl_secret", elsewhere=True).get("/healthz")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "localhost.pem"))
        client = Client(f"{server.url}/studio", "atl_secret", elsewhere=True)
        assert client.get("/v1/runs")["data"] == []
        assert missing(f"{server.url}/studio/", timeout_s=5, key="atl_secret") == {}
        client.close()
    asked = [request for request in server.requests if request]
    assert [request.split()[1] for request in asked] == [b"/studio/v1/runs", b"/studio/readyz"]
    assert all(b"authorization: Bearer atl_secret" in request for request in asked)


def test_a_download_that_is_sent_elsewhere_takes_no_key_along(tmp_path: Path) -> None:
    with serving(lambda request: [said(b"the bytes")]) as store:
        link = f"{store.url}/bucket/blob?signature=x"
        with serving(lambda request: [moved(link, 307)]) as studio:
            client = Client(studio.url, "atl_secret")
            assert client.download("/v1/assets/a/content", tmp_path / "a.png").read_bytes() == b"the bytes"
            with pytest.raises(Refused):
                client.get("/v1/assets/a")  # only bytes are sent elsewhere
            client.close()
    assert b"atl_secret" in studio.requests[0]
    assert b"atl_secret" not in store.requests[0]


def test_who_has_a_webhook_hears_what_ended_and_sees_what_was_used(visitor: House, ear: RawServer) -> None:
    hook = visitor.json("webhooks", "create", f"{ear.url}/in", "--event", "run.completed")
    assert hook["secret"].startswith("whsec_")
    run = visitor.json("make", "a poem")["run"]["id"]
    visitor.json("webhooks", "test", hook["id"])
    deadline = time.monotonic() + SOON_S
    while {one["state"] for one in visitor.json("webhooks", "deliveries", hook["id"])} != {"delivered"}:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    heard = {(one["event"], one["subject_id"]) for one in visitor.json("webhooks", "deliveries", hook["id"])}
    assert heard == {("run.completed", run), ("webhook.test", hook["id"])}
    assert {request.split(b" ")[0] for request in ear.requests} == {b"POST"}
    assert all(b"webhook-signature: v1," in request for request in ear.requests)
    assert visitor.json("webhooks", "list")[0]["id"] == hook["id"]
    assert visitor.json("webhooks", "switch", hook["id"], "--off")["active"] is False
    visitor.json("webhooks", "delete", hook["id"])
    used = visitor.json("usage", "--by", "tool")
    assert used["total"]["runs"] >= 1
    assert {row["tool"] for row in used["data"]} >= {"studio.plan", "write_text"}
