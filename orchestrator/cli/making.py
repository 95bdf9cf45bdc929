"""`atelier make`, `chat`, `plan` and `run`: from words or a plan to files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import connect, files, follow
from orchestrator.cli.output import Json, fail, print_json, settings
from orchestrator.errors import BadRequest

if TYPE_CHECKING:
    from orchestrator.cli.client import Client
    from orchestrator.settings import Settings

Words = Annotated[str, typer.Argument(help="What you want, in your own words.")]
CANCELLED = 130


def make(words: Words, as_json: Json = False) -> None:
    """Make what you ask for, and show how it goes."""
    given = settings()
    with connect.studio(given) as client:
        carry_out(client, given, {"say": words}, as_json=as_json)


def run(
    plan: Annotated[Path, typer.Argument(help="A file with a plan in JSON; - reads it from the input.")],
    as_json: Json = False,
) -> None:
    """Carry out a plan that `atelier plan --json` printed."""
    wanted = _read_plan(plan)
    given = settings()
    with connect.studio(given) as client:
        carry_out(client, given, {"plan": wanted}, as_json=as_json)


def plan(words: Words, as_json: Json = False) -> None:
    """Show the plan for a request, and run nothing."""
    with connect.studio(settings()) as client:
        made = client.post("/v1/plans", {"say": words})
    if made["plan"] is None:
        fail(f"planning takes long; look again with: atelier runs show {made['run']['id']}")
    if as_json:
        print_json(made["plan"])
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    if made["plan"]["steps"]:
        follow.print_plan(console, made["plan"])
    if made["plan"].get("reply"):
        console.print(made["plan"]["reply"], markup=False)


def chat(
    thread: Annotated[str | None, typer.Option(help="Go on with an earlier conversation.")] = None,
    as_json: Json = False,
) -> None:
    """Talk with the studio; an empty line or Ctrl-D ends it."""
    given = settings()
    with connect.studio(given) as client:
        found = client.get(f"/v1/threads/{thread}") if thread else client.post("/v1/threads", {})
        connect.note(f"Conversation {found['id']}. Say what you want; an empty line ends it.")
        while (words := _next_words()) is not None:
            ended = _ask(client, f"/v1/threads/{found['id']}/runs", {"say": words}, as_json=as_json)
            if as_json:
                print(json.dumps(result(client, given, ended), ensure_ascii=False), flush=True)
            else:
                _show(given, client, ended)


def _next_words() -> str | None:
    try:
        words = input("> " if sys.stdin.isatty() else "").strip()
    except (EOFError, KeyboardInterrupt):
        return None
    return words or None


def _read_plan(path: Path) -> Any:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise BadRequest(f"the plan {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadRequest(f"the plan {str(path)!r} is not JSON: {error}") from error


def _ask(client: Client, path: str, body: dict[str, Any], *, as_json: bool) -> dict[str, Any]:
    if as_json:
        return follow.ask(client, path, body, follow.Silent())
    with follow.bars() as view:
        return follow.ask(client, path, body, view)


def carry_out(client: Client, given: Settings, body: dict[str, Any], *, as_json: bool = False) -> None:
    """Ask for a run, follow it to its end and print what it made.

    Raises:
        typer.Exit: it did not complete.
    """
    ended = _ask(client, "/v1/runs", body, as_json=as_json)
    if as_json:
        print_json(result(client, given, ended))
    else:
        _show(given, client, ended)
    if ended["status"] == "cancelled":
        raise typer.Exit(CANCELLED)
    if ended["status"] != "completed":
        raise typer.Exit(1)


def result(client: Client, given: Settings, run: dict[str, Any]) -> dict[str, Any]:
    """Give what `--json` prints of an ended run."""
    shown = {
        "run": {"id": run["id"], "status": run["status"]},
        "plan": run["plan"],
        "assets": [files.made(client, given, asset_id) for asset_id in run["assets"]],
        "reply": run["reply"],
    }
    return shown if run["error"] is None else {**shown, "error": run["error"]}


def _show(given: Settings, client: Client, run: dict[str, Any]) -> None:
    for asset_id in run["assets"]:
        print(files.made(client, given, asset_id)["path"])
    if run["reply"]:
        print(run["reply"])
    if run["status"] not in {"completed", "waiting_approval"}:
        why = run["error"]["message"] if run["error"] else f"run {run['id']} was {run['status']}"
        connect.note(why)
