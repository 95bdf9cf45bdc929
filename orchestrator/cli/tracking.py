"""`atelier runs`: what was asked, and how far it is."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from orchestrator.cli import connect, files, follow
from orchestrator.cli.output import Json, print_json, print_table, settings

app = typer.Typer(help="What was asked, and how far it is.", no_args_is_help=True)
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run: run_…")]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]


@app.command("list")
def list_runs(
    status: Annotated[str | None, typer.Option(help="Only runs with this status.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    with connect.studio(settings(), works=False) as client:
        rows = client.pages("/v1/runs", limit, status=status)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("run", "status", "asked", "what"),
        [(row["id"], row["status"], when(row["created_at"]), _what(row)) for row in rows],
    )


@app.command()
def show(run: RunId, as_json: Json = False) -> None:
    """Show a run with its steps and files."""
    given = settings()
    with connect.studio(given, works=False) as client:
        found = client.get(f"/v1/runs/{run}")
        if as_json:
            print_json(found)
            return
        paths = [files.made(client, given, asset)["path"] for asset in found["assets"]]
    print(f"{found['id']}  {found['status']}  {when(found['created_at'])}")
    for part in (found["request"], found["reply"], (found["error"] or {}).get("message"), found.get("unserved")):
        if part:
            print(part)
    print_table(
        ("step", "tool", "status", "%", "error"),
        [(s["id"], s["tool"], s["status"], s["percent"], (s["error"] or {}).get("message")) for s in found["steps"]],
    )
    for path in paths:
        print(path)


@app.command()
def watch(run: RunId, as_json: Json = False) -> None:
    """Follow a run until it has ended; with --json an event a line."""
    with connect.studio(settings()) as client:
        if as_json:
            ended = follow.to_the_end(client, run, follow.Lines())
        else:
            with follow.bars() as view:
                ended = follow.to_the_end(client, run, view)
    _end_as(ended)


@app.command()
def cancel(
    run: RunId,
    step: Annotated[str | None, typer.Option(help="Only this step, and what needs it.")] = None,
    as_json: Json = False,
) -> None:
    """Stop a run, or a step of it."""
    with connect.studio(settings(), works=False) as client:
        _say(client.post(f"/v1/runs/{run}/cancel", {"step": step}), as_json)


@app.command()
def approve(run: RunId, as_json: Json = False) -> None:
    """Let a plan run that waits for approval, and wait for the end."""
    with connect.studio(settings()) as client:
        client.post(f"/v1/runs/{run}/approve")
        ended = follow.to_the_end(client, run, follow.Silent())
    _say(ended, as_json)
    _end_as(ended)


@app.command()
def retry(
    run: RunId,
    step: Annotated[str | None, typer.Option(help="Only this step; also one that was stopped.")] = None,
    as_json: Json = False,
) -> None:
    """Try the failed steps of a run again, and wait for the end."""
    with connect.studio(settings()) as client:
        client.post(f"/v1/runs/{run}/retry", {"step": step})
        ended = follow.to_the_end(client, run, follow.Silent())
    _say(ended, as_json)
    _end_as(ended)


def _say(run: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(run)
    else:
        print(f"{run['id']}  {run['status']}")


def _end_as(run: dict[str, Any]) -> None:
    if run["status"] != "completed":
        connect.note(f"{run['id']} {run['status']}" + (f": {run['error']['message']}" if run["error"] else ""))
        raise typer.Exit(1)


def _what(run: dict[str, Any]) -> str:
    steps = run["steps"] or (run["plan"] or {}).get("steps", ())  # those of the studio itself are in the plan alone
    return run["request"] or ", ".join(step["tool"] for step in steps) or "a plan"


def when(seconds: float) -> str:
    """Give a time in words of this place."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
