"""`atelier batch`: many requests in one file."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli import connect
from orchestrator.cli.client import Client
from orchestrator.cli.output import Json, print_json, settings

app = typer.Typer(help="Many requests in one file.", no_args_is_help=True)
BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="The id of a batch: batch_…")]
OPEN = frozenset({"in_progress", "cancelling"})
POLL_S = 0.5


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSONL: a request or a tool call a line.")],
    wait: Annotated[bool, typer.Option(help="Wait until it has ended.")] = False,
    as_json: Json = False,
) -> None:
    """Submit a batch; without a running studio it is carried out before this ends."""
    given = settings()
    alone = connect.is_alone(given)
    with connect.studio(given) as client:
        batch = client.send_file("/v1/batches", file)
        if wait or alone:
            batch = _wait(client, batch["id"])
    _say(batch, as_json)
    _end(batch)


@app.command()
def status(batch: BatchId, as_json: Json = False) -> None:
    """Show how far a batch is."""
    with connect.studio(settings(), works=False) as client:
        _say(client.get(f"/v1/batches/{batch}"), as_json)


@app.command()
def cancel(batch: BatchId, as_json: Json = False) -> None:
    """Stop a batch."""
    with connect.studio(settings(), works=False) as client:
        _say(client.post(f"/v1/batches/{batch}/cancel"), as_json)


@app.command()
def resume(
    batch: BatchId,
    wait: Annotated[bool, typer.Option(help="Wait until it has ended.")] = False,
    as_json: Json = False,
) -> None:
    """Go on with a cancelled batch; without a running studio it is carried out before this ends."""
    given = settings()
    alone = connect.is_alone(given)
    with connect.studio(given) as client:
        found = client.post(f"/v1/batches/{batch}/resume")
        if wait or alone:
            found = _wait(client, batch)
    _say(found, as_json)
    _end(found)


@app.command()
def results(
    batch: BatchId,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only lines that did not succeed.")] = False,
    as_json: Json = False,
) -> None:
    """Print a JSON object for each line of the input, with the line's number."""
    with connect.studio(settings(), works=False) as client:
        target = sys.stdout if output is None else output.open("w", encoding="utf-8")
        try:
            for line in client.lines(f"/v1/batches/{batch}/results"):
                if line and not (errors and '"status":"completed"' in line):
                    target.write(line + "\n")
        finally:
            if output is not None:
                target.close()


def _wait(client: Client, batch_id: str) -> dict[str, Any]:
    while (batch := client.get(f"/v1/batches/{batch_id}"))["status"] in OPEN:
        time.sleep(POLL_S)
    return batch


def _end(batch: dict[str, Any]) -> None:
    """End with 1 where a batch has ended and not all of its lines succeeded."""
    if batch["status"] in OPEN:
        return
    if any(number for status, number in batch["counts"].items() if status != "completed"):
        raise typer.Exit(1)


def _say(batch: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(batch)
        return
    counts = ", ".join(f"{number} {status}" for status, number in sorted(batch["counts"].items()) if number)
    print(f"{batch['id']}  {batch['status']}  {batch['lines']} lines read" + (f": {counts}" if counts else ""))
