"""A studio is backed up while it works, comes back elsewhere, and moves from one machine to many."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text

from tests.conftest import POSTGRESQL, S3Server
from tests.orchestrator.conftest import House

Wait = Callable[..., None]


@pytest.fixture
def empty_postgresql(postgresql_url: str) -> Iterator[str]:
    """Give the URL of a new database without tables."""
    name = f"atelier_test_{uuid.uuid4().hex[:12]}"
    server = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    yield POSTGRESQL.rsplit("/", 1)[0] + f"/{name}"
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    server.dispose()


def say(url: str, request: str) -> str:
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        thread = client.post("/v1/threads", json={}).json()["id"]
        return str(client.post(f"/v1/threads/{thread}/runs", json={"say": request}).json()["id"])


def test_what_was_under_way_at_the_backup_is_done_once_after_the_restore(
    house: House, tmp_path_factory: pytest.TempPathFactory, wait_until: Wait
) -> None:
    place = str(house.folder / "backups")
    process = house.up()
    made = house.json("make", "a poem about the sea")
    assert house.url is not None
    slow, poem = say(house.url, "slow"), say(house.url, "a poem about rain")
    backed_up = house.json("backup", place)
    assert backed_up["rows"] > 10
    assert backed_up["lost"] == {}
    process.kill()
    process.wait()
    other = House(tmp_path_factory.mktemp("other"))
    restored = other.json("restore", place)
    assert restored["rows"] == backed_up["rows"]
    again = other.up()
    try:
        for run in (slow, poem):
            wait_until(lambda run=run: other.json("runs", "show", run)["status"] == "completed", 60)
        assert other.url is not None
        with httpx.Client(base_url=other.url, timeout=30, trust_env=False) as client:
            assets = client.get("/v1/assets", params={"run_id": poem}).json()["data"]
            assert len(assets) == 1
            content = client.get(f"/v1/assets/{made['assets'][0]['id']}/content")
            assert content.text.startswith("Roses are red")
            with sqlite3.connect(other.folder / "atelier.db") as database:
                query = "SELECT run_id, count(*) FROM events WHERE type = 'run.completed' GROUP BY run_id"
                assert dict(database.execute(query)) == dict.fromkeys((made["run"]["id"], slow, poem), 1)
            database.close()
            wait_until(lambda: len(client.get("/v1/search", params={"q": "sea"}).json()["data"]) > 0)
    finally:
        again.terminate()
        again.wait(20)


def test_moving_is_refused_while_the_studio_runs_and_works_afterwards(
    house: House, s3_url: str, s3_server: S3Server, empty_postgresql: str
) -> None:
    house.environment |= s3_server.environment
    process = house.up()
    house.json("make", "a poem about the sea")
    to = ["--to-database", empty_postgresql, "--to-blobs", s3_url]
    refused = house.atelier("migrate-store", *to, check=False)
    assert refused.returncode == 1
    assert "is held by a studio" in refused.stderr
    process.terminate()
    process.wait(20)
    moved = house.json("migrate-store", *to)
    assert moved["rows"]["assets"] == 1
    assert not moved["was_there"]
    assert house.json("migrate-store", *to)["was_there"]
    house.environment |= {"ATELIER_DATABASE_URL": empty_postgresql, "ATELIER_BLOBS_URL": s3_url}
    shown = house.json("assets", "list")
    assert len(shown) == 1
    backed_up = house.json("backup", str(house.folder / "b"))
    assert backed_up["blobs"] == moved["blobs"]


def test_a_backup_is_listed_checked_and_its_damage_is_seen(house: House, tmp_path: Path) -> None:
    assert house.atelier("migrate").stdout.startswith("schema")
    place = str(tmp_path / "backups")
    made = house.json("backup", place)
    assert [one["name"] for one in house.json("backup", place, "--list")] == [made["name"]]
    assert house.json("backup", place, "--check")["whole"]
    manifest = json.loads((tmp_path / "backups" / "backups" / f"{made['name']}.json").read_text())
    assert manifest["revision"] >= "0004"
    assert oct((tmp_path / "backups").stat().st_mode)[-3:] == "700"
    missing = house.atelier("restore", str(tmp_path / "nothing"), check=False)
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert "there is no backup" in missing.stderr


def test_what_cannot_be_backed_up_says_so(house: House) -> None:
    said = house.atelier("backup", str(house.folder / "b"), check=False)
    assert said.returncode == 1
    assert "there is no studio" in said.stderr
    assert not (house.folder / "atelier.db").exists()


def test_the_doctor_looks_at_the_bucket(house: House, s3_url: str, s3_server: S3Server) -> None:
    house.environment |= {**s3_server.environment, "ATELIER_BLOBS_URL": s3_url}
    found = {one["what"]: one for one in json.loads(house.atelier("doctor", "--json", check=False).stdout)["findings"]}
    assert found["blobs"]["state"] == "ok"
    house.environment["ATELIER_BLOBS_URL"] = "s3://no-such-bucket"
    found = {one["what"]: one for one in json.loads(house.atelier("doctor", "--json", check=False).stdout)["findings"]}
    assert "no bucket 'no-such-bucket'" in found["blobs"]["found"]


def test_a_password_among_the_arguments_is_refused(house: House) -> None:
    to = "postgresql+psycopg://atelier:secret@db/atelier"
    said = house.atelier("migrate-store", "--to-database", to, "--to-blobs", "x", check=False)
    assert said.returncode == 1
    assert "PGPASSWORD" in said.stderr
    assert "secret" not in said.stderr


def test_blobs_that_nothing_names_are_swept(house: House) -> None:
    house.atelier("migrate")
    stray = house.folder / "blobs" / "ab" / ("c" * 62)
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"stray")
    assert house.json("blobs", "sweep")["unnamed"] == []
    assert house.json("blobs", "sweep", "--older-than", "0h", "--dry-run") == {
        "unnamed": ["ab" + "c" * 62],
        "removed": 0,
    }
    assert stray.exists()
    assert house.json("blobs", "sweep", "--older-than", "0h")["removed"] == 1
    assert not stray.exists()
