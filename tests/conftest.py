"""What every test stands on: databases with the migrated schema, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from kombu import Connection
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from sqlalchemy import create_engine, text
from werkzeug.serving import WSGIRequestHandler, make_server

from store.database import Database
from store.schema import migrate
from store.tables import metadata

POSTGRESQL = os.environ.get("ATELIER_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")

AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}

RABBITMQ = os.environ.get("ATELIER_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//")


def missing(what: str) -> None:
    """Skip on a person's laptop, fail in CI: a server that a test needs is not there."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_: Any) -> None:
        pass


class S3Server:
    """moto's S3 on a free port, in a thread; it keeps what it was asked and fails when it is told to."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.port}"
        self.environment = {**AWS, "AWS_ENDPOINT_URL": self.url}
        self.asked: list[tuple[str, str]] = []  # method and path
        self.headers: list[dict[str, str]] = []
        self.fault: Callable[[dict[str, Any]], tuple[int, str] | None] = lambda _: None

    def recover(self) -> None:
        """Fail no longer, and forget what was asked."""
        self.fault = lambda _: None
        self.asked.clear()
        self.headers.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: dict[str, Any], start: Any) -> Any:
        self.asked.append((request["REQUEST_METHOD"], request["PATH_INFO"]))
        self.headers.append({name: str(value) for name, value in request.items() if name.startswith("HTTP_")})
        fault = self.fault(request)
        if fault is None:
            return self._moto(request, start)
        status, code = fault
        body = f"<Error><Code>{code}</Code><Message>told to fail</Message></Error>".encode()
        request["wsgi.input"].read(int(request.get("CONTENT_LENGTH") or 0))
        start(f"{status} {code}", [("content-type", "application/xml"), ("content-length", str(len(body)))])
        return [body]


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Give the URL of a new database with the migrated schema; it is dropped at the end."""
    server = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    name = f"atelier_test_{uuid.uuid4().hex[:12]}"
    try:
        with server.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
            # No test cuts the power: its commits need not wait for the disk.
            connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
    except Exception as error:
        missing(f"no PostgreSQL at {POSTGRESQL}: {error}")
    url = POSTGRESQL.rsplit("/", 1)[0] + f"/{name}"
    database = Database(url)
    migrate(database)
    database.close()
    yield url
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    server.dispose()


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """Give the URL of a RabbitMQ server that answers."""
    try:
        with Connection(RABBITMQ, connect_timeout=3) as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
    except Exception as error:
        missing(f"no RabbitMQ at {RABBITMQ}: {error}")
    return RABBITMQ


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated, empty SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "atelier.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Give the URL of a new SQLite database with the migrated schema."""
    path = tmp_path / "atelier.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Give an empty database, once on SQLite and once on PostgreSQL."""
    url = request.getfixturevalue(f"{request.param}_url")
    made = Database(url)
    yield made
    if request.param == "postgresql":
        names = ", ".join(table.name for table in metadata.sorted_tables)
        made.transact(lambda connection: connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE")))
    made.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Give an S3 server of the tests' own, which can be told to fail."""
    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def s3_url(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a folder in a new, empty bucket; the AWS_* variables lead to its server."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    bucket = f"atelier-{uuid.uuid4().hex[:12]}"
    client = botocore.session.Session().create_client("s3")
    client.create_bucket(Bucket=bucket)
    yield f"s3://{bucket}/blobs"
    client.close()
    s3_server.recover()
