"""What is done once before a cluster starts: secrets, schema, bucket."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from orchestrator import preparing
from orchestrator.cli.main import app
from orchestrator.errors import StudioNotReady
from store import schema
from tests.conftest import POSTGRESQL

MIGRATE = "import sys; from orchestrator import preparing; print(preparing.migrate(sys.argv[1], wait_s=20))"

LOOK = "from orchestrator import preparing; print(preparing.wait_for_schema(URL, wait_s=30))"


def test_new_secrets_are_for_their_owner_alone_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    first = CliRunner().invoke(app, ["env", str(path)])
    assert first.exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    values = dict(re.findall(r"(?m)^(\w+)=(.*)$", text))
    secret = [value for name, value in values.items() if name not in {"BROKER", "COMPOSE_PROFILES"}]
    assert len(set(secret)) == len(secret) == 8
    assert all(len(value) >= 20 for value in secret)
    assert not any(value in first.output for value in secret)
    second = CliRunner().invoke(app, ["env", str(path)])
    assert second.exit_code == 1
    assert "is there already" in second.output
    assert path.read_text() == text


def test_valkey_is_chosen_by_a_line_that_compose_completes(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["env", str(tmp_path / ".env"), "--broker", "valkey"]).exit_code == 0
    text = (tmp_path / ".env").read_text()
    assert "COMPOSE_PROFILES=valkey\n" in text
    assert "ATELIER_BROKER_URL=redis://:${VALKEY_PASSWORD}@valkey:6379/0\n" in text


@pytest.fixture
def empty_postgresql() -> Iterator[str]:
    """Give the URL of a database that was never migrated."""
    name = f"atelier_prepare_{os.getpid()}"
    server = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    yield POSTGRESQL.rsplit("/", 1)[0] + f"/{name}"
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    server.dispose()


def test_pods_get_the_url_of_the_broker_that_was_chosen() -> None:
    for broker, scheme, secret in (("rabbitmq", "amqp", "RABBITMQ_PASSWORD"), ("valkey", "redis", "VALKEY_PASSWORD")):
        lines = preparing.environment(broker, kubernetes=True).splitlines()
        said = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        url = urlsplit(said["ATELIER_BROKER_URL"])
        assert (url.scheme, url.hostname, url.password) == (scheme, broker, said[secret])


def test_several_machines_migrate_one_database_at_once(postgresql_url: str, empty_postgresql: str) -> None:
    command = [sys.executable, "-c", MIGRATE, empty_postgresql]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[0].strip() for process in started] == [schema.head()] * 3


def test_a_database_that_does_not_answer_is_waited_for_and_no_longer() -> None:
    began = time.monotonic()
    with pytest.raises(StudioNotReady, match="ATELIER_DATABASE_URL"):
        preparing.migrate("postgresql+psycopg://nobody:hidden@127.0.0.1:1/none", wait_s=1)
    assert 1 <= time.monotonic() - began < 10


def test_who_only_looks_waits_until_another_has_migrated(postgresql_url: str, empty_postgresql: str) -> None:
    with pytest.raises(StudioNotReady, match="atelier migrate"):
        preparing.wait_for_schema(empty_postgresql, wait_s=0)
    waiting = LOOK.replace("URL", repr(empty_postgresql))
    with subprocess.Popen([sys.executable, "-c", waiting], stdout=subprocess.PIPE, text=True) as process:
        time.sleep(1)
        assert process.poll() is None
        preparing.migrate(empty_postgresql, wait_s=5)
        assert process.communicate(timeout=30)[0].strip() == schema.head()


def test_the_bucket_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store = ThreadedMotoServer(port=0)
    store.start()
    host, port = store.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    try:
        for _ in range(2):
            assert preparing.make_bucket("s3://pictures/blobs", wait_s=5) == "bucket pictures"
    finally:
        store.stop()
    with pytest.raises(StudioNotReady, match="'pictures' cannot be made"):
        preparing.make_bucket("s3://pictures/blobs", wait_s=0)


def test_a_folder_needs_no_bucket(tmp_path: Path) -> None:
    assert "no bucket" in preparing.make_bucket(str(tmp_path), wait_s=0)
