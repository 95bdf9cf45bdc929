"""`atelier migrate`, `api` and `env`: what the machines of a cluster run, and the secrets that they share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from orchestrator.cli.output import fail, settings

WAIT_S = 60.0
CLOSE_S = 10  # requests under way may end; a stream that is still followed is cut, and its client goes on elsewhere


def api(
    host: Annotated[str | None, typer.Option(help="The address that it listens on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = None,
) -> None:
    """Serve the API alone, beside any number of others."""
    from orchestrator.api.__main__ import serve

    given = settings(host=host, port=port)
    serve(given, close_s=int(min(CLOSE_S, given.drain_s)))


def migrate(
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the servers.")] = WAIT_S,
    bucket: Annotated[bool, typer.Option("--bucket", help="Make the blob store's bucket too.")] = False,
    look: Annotated[
        bool, typer.Option("--look", help="Change nothing; wait until another machine has done it.")
    ] = False,
) -> None:
    """Bring the database to this version's schema.

    Several machines may do it at once; they wait for each other.
    """
    from orchestrator import preparing

    given = settings()
    prepare = preparing.wait_for_schema if look else preparing.migrate
    typer.echo(f"schema {prepare(given.database_url, wait_s=wait)}")
    if bucket:
        typer.echo(preparing.make_bucket(given.blobs_url, wait_s=wait))


def env(
    path: Annotated[Path, typer.Argument(help="The file to write; - prints it.")] = Path(".env"),
    broker: Annotated[Literal["rabbitmq", "valkey"], typer.Option(help="What carries the messages.")] = "rabbitmq",
    kubernetes: Annotated[bool, typer.Option("--kubernetes", help="For a Secret of deploy/kubernetes.")] = False,
) -> None:
    """Write the secrets of a new cluster into a file.

    For docker compose, deploy/processes (`make cluster`) or deploy/kubernetes.
    """
    from orchestrator import preparing

    text = preparing.environment(broker, kubernetes=kubernetes)
    if str(path) == "-":
        typer.echo(text, nl=False)
        return
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except FileExistsError:
        fail(f"{str(path)!r} is there already, and servers may have its secrets: move it away to begin anew")
    except OSError as error:
        fail(f"{str(path)!r} cannot be written: {error.strerror}")
    typer.echo(f"{path} holds new secrets, readable by you alone; ATELIER_ADMIN_KEY is the key that may do everything")
