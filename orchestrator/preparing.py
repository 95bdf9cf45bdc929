"""What is done once before a cluster starts: its secrets, the database's schema, the bucket."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar

from orchestrator.errors import StudioNotReady

T = TypeVar("T")
PAUSE_S = 0.5
SECRET_BYTES = 24
ENVIRONMENT = """\
# Secrets of one cluster, made by `atelier env`. Keep a copy where you keep passwords: the servers' data needs them.
BROKER={broker}
COMPOSE_PROFILES={broker}
POSTGRES_PASSWORD={postgres}
RABBITMQ_PASSWORD={rabbitmq}
VALKEY_PASSWORD={valkey}
AWS_ACCESS_KEY_ID={access}
AWS_SECRET_ACCESS_KEY={s3}
GRAFANA_PASSWORD={grafana}
FLOWER_PASSWORD={flower}
ATELIER_ADMIN_KEY=atl_{admin}
"""
# What pods read, with the names that the servers of the try-out overlay have.
KUBERNETES = """\
ATELIER_DATABASE_URL=postgresql+psycopg://atelier:{postgres}@postgres:5432/atelier
ATELIER_BROKER_URL={broker_url}
KEDA_DATABASE_URL=postgresql://atelier:{postgres}@postgres.atelier.svc:5432/atelier?sslmode=disable
"""
BROKER_URLS = {"rabbitmq": "amqp://atelier:{rabbitmq}@rabbitmq:5672//", "valkey": "redis://:{valkey}@valkey:6379/0"}
# docker compose puts the password in; without this line it takes RabbitMQ.
VALKEY = "ATELIER_BROKER_URL=redis://:${VALKEY_PASSWORD}@valkey:6379/0\n"


def environment(broker: str, *, kubernetes: bool = False) -> str:
    """Give the text of a new `.env`; no two are alike.

    Args:
        kubernetes: whole URLs too, because a pod puts none together.
    """
    names = ("postgres", "rabbitmq", "valkey", "s3", "grafana", "flower", "admin")
    drawn = {name: secrets.token_hex(SECRET_BYTES) for name in names}  # hex needs no quoting in a URL
    text = ENVIRONMENT.format(broker=broker, access=secrets.token_hex(10), **drawn)
    if kubernetes:
        return text + KUBERNETES.format(broker_url=BROKER_URLS[broker].format(**drawn), **drawn)
    return text + (VALKEY if broker == "valkey" else "")


def migrate(database_url: str, *, wait_s: float) -> str:
    """Bring a database to the newest schema, and say which that is.

    Raises:
        StudioNotReady: it did not answer within `wait_s`, or cannot be migrated.
    """
    from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

    from store import schema
    from store.database import Database

    database = Database(database_url)
    try:
        _until(wait_s, lambda: schema.migrate(database), OperationalError, InterfaceError)
        return schema.head()
    except SQLAlchemyError as error:
        raise _unusable(error) from error
    finally:
        database.close()


def wait_for_schema(database_url: str, *, wait_s: float) -> str:
    """Wait until another process has brought a database to our schema or a newer one, and say which it has.

    Raises:
        StudioNotReady: nobody did within `wait_s`.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from store import schema
    from store.database import Database

    database = Database(database_url)

    def look() -> str:
        with database.read() as connection:
            found = schema.revision(connection)
        if found is None or found < schema.head():
            raise StudioNotReady(
                f"the database has schema {found}, and {schema.head()} is needed: run `atelier migrate`"
            )
        return found

    try:
        return _until(wait_s, look, SQLAlchemyError, StudioNotReady)
    except SQLAlchemyError as error:
        raise _unusable(error) from error
    finally:
        database.close()


def _unusable(error: Exception) -> StudioNotReady:
    why = str(getattr(error, "orig", None) or error).splitlines()[0]
    return StudioNotReady(f"the database cannot be used: {why}; see ATELIER_DATABASE_URL")


def make_bucket(blobs_url: str, *, wait_s: float) -> str:
    """Make the bucket that blobs lie in, where it is missing.

    Raises:
        StudioNotReady: the store did not answer within `wait_s`, or refused.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    scheme, _, rest = blobs_url.partition("://")
    if scheme != "s3":
        return "blobs lie in no bucket of S3; there is none to make"
    name = rest.split("/")[0]
    try:
        _until(wait_s, lambda: _make(name), BotoCoreError)
    except (BotoCoreError, ClientError) as error:
        raise StudioNotReady(f"bucket {name!r} cannot be made: {error}; see ATELIER_BLOBS_URL and AWS_*") from error
    return f"bucket {name}"


def _make(bucket: str) -> None:
    from botocore.config import Config
    from botocore.exceptions import ClientError
    from botocore.session import Session

    quick = Config(connect_timeout=2, read_timeout=8, retries={"total_max_attempts": 1})
    client = Session().create_client("s3", config=quick)
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        client.create_bucket(Bucket=bucket, **_place(client.meta.region_name))
    finally:
        client.close()


def _place(region: str | None) -> dict[str, Any]:
    """Say where a bucket lies; S3 refuses to hear its first region named."""
    if region in {None, "us-east-1", "aws-global"}:
        return {}
    return {"CreateBucketConfiguration": {"LocationConstraint": region}}


def _until(wait_s: float, work: Callable[[], T], *away: type[Exception]) -> T:
    """Run `work` again while it fails because a server is away."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return work()
        except away:
            if time.monotonic() >= deadline:
                raise
            time.sleep(PAUSE_S)
