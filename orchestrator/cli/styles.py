"""`atelier styles`: a company's own look, learned from its pictures."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import connect, files, follow
from orchestrator.cli.output import Json, print_json, print_table, settings
from orchestrator.cli.tracking import when
from orchestrator.errors import BadRequest

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from orchestrator.cli.client import Client
    from orchestrator.cli.style_pictures import Picture
    from orchestrator.settings import Settings

app = typer.Typer(help="Looks that are learned from your pictures.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="What the look is called: acme.")]
CANCELLED = 130


class Bar:
    """One line: how far a training is, its loss, and how long it takes."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task(name, total=100, state="waits")

    def event(self, event: dict[str, Any]) -> None:
        """Show one event."""
        if event["type"] == "run.started":
            self._progress.update(self._task, state="reads the pictures")
        if event["type"] == "step.progress":
            state = f"loss {event.get('loss', 0):.3f}  {event.get('eta_s') or 0:.0f} s left"
            self._progress.update(self._task, completed=event["percent"], state=state)
        if event["type"] == "run.completed":
            self._progress.update(self._task, completed=100, state="done")

    def approves(self, why: str) -> bool | None:
        """Say nothing: a training needs no approval."""
        return None


@app.command()
def train(
    name: Name,
    images: Annotated[Path | None, typer.Option(help="The folder with your pictures, about 50.")] = None,
    captions: Annotated[Path | None, typer.Option(help="CSV or JSONL with the columns file and caption.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, max=240, help="How long at most.")] = 12,
    licence: Annotated[str | None, typer.Option(help="Of your pictures; none: they are your own.")] = None,
    as_json: Json = False,
) -> None:
    """Learn your look from your pictures; it can be used as soon as this has ended. Ctrl-C cancels.

    Without --images and --captions those are taken that atelier.toml declares for a solution of this name.
    """
    from orchestrator.cli import style_pictures
    from tools.base import STYLE_NAME

    if not re.fullmatch(STYLE_NAME, name):
        raise BadRequest(f"{name!r} is no name for a style: small letters, digits and dashes, a letter first")
    given = settings()
    images, captions = _declared(given, name, images, captions)
    pictures = style_pictures.read(images, captions)
    with connect.studio(given) as client:
        wanted = {"name": name, "pictures": _upload(client, name, pictures), "minutes": minutes, "licence": licence}
        started = client.post("/v1/styles", wanted)
        ended = _follow(client, started["id"], name, as_json=as_json)
        sheets = client.get("/v1/assets", run_id=ended["id"])["data"]
        path = str(files.export(client, sheets[0], given.made)) if sheets else None
    _print(ended, name, path, as_json=as_json)


def _declared(given: Settings, name: str, images: Path | None, captions: Path | None) -> tuple[Path, Path]:
    """Give where the pictures are: as said, or as the settings declare."""
    known = given.solutions.get(name)
    images = images or getattr(known, "images", None)
    captions = captions or getattr(known, "captions", None)
    if images is None or captions is None:
        raise BadRequest(f"say where the pictures of {name!r} are: --images DIR --captions FILE, or in atelier.toml")
    return images, captions


def _upload(client: Client, name: str, pictures: list[Picture]) -> list[dict[str, str]]:
    """Put the pictures into the library, without those that are there already."""
    from urllib.parse import urlencode

    tag = f"style:{name}"
    known = {(row["sha256"], row["caption"]): row["id"] for row in client.pages("/v1/assets", 2000, tag=tag)}
    given = []
    for picture in pictures:
        key = (hashlib.sha256(picture.content).hexdigest(), picture.caption)
        if key not in known:
            path = "/v1/assets?" + urlencode({"caption": picture.caption, "tags": tag})
            known[key] = client.send_file(path, picture.path)["id"]
        given.append({"asset_id": known[key], "caption": picture.caption})
    return given


def _follow(client: Client, run_id: str, name: str, *, as_json: bool) -> dict[str, Any]:
    if as_json:
        return follow.to_the_end(client, run_id, follow.Silent())
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=Console(highlight=False)) as progress:
        return follow.to_the_end(client, run_id, Bar(progress, name))


def _print(run: dict[str, Any], name: str, sheet: str | None, *, as_json: bool) -> None:
    error = (run["error"] or {}).get("message")
    if as_json:
        done = {"id": run["id"], "status": run["status"]}
        print_json({"style": name, "run": done, "reply": run["reply"], "sheet": sheet, "error": error})
    elif run["status"] == "completed":
        print(run["reply"])
        print(f"Sample sheet: {sheet}")
        print(f'Try it: atelier make "a rocket in {name} style"')
    else:
        connect.note(error or f"run {run['id']} was {run['status']}")
    if run["status"] != "completed":
        raise typer.Exit(CANCELLED if run["status"] == "cancelled" else 1)


@app.command("list")
def list_styles(as_json: Json = False) -> None:
    """List the looks that were trained here."""
    with connect.studio(settings(), works=False) as client:
        rows = client.get("/v1/styles")["data"]
    if as_json:
        print_json(rows)
        return
    if not rows:
        connect.note("No look was trained yet: atelier styles train NAME --images DIR --captions FILE")
    columns = ("style", "trained", "pictures", "in its look", "licence")
    print_table(columns, [_row(row) for row in rows])


def _row(style: dict[str, Any]) -> tuple[Any, ...]:
    card = style["card"]
    return (style["name"], when(style["created_at"]), card["pictures"], card["in_look"]["after"], style["licence"])


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show what a look was learned from, and how well."""
    with connect.studio(settings(), works=False) as client:
        found = client.get(f"/v1/styles/{name}")
    if as_json:
        print_json(found)
        return
    for key in ("name", "licence", "weights", "run_id"):
        print(f"{key:14} {found[key]}")
    for key, value in found["card"].items():
        if key not in found:
            print(f"{key:14} {_words(value)}")


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    return str(value)


@app.command()
def remove(name: Name, as_json: Json = False) -> None:
    """Take a look out of use; what was drawn in it stays."""
    with connect.studio(settings(), works=False) as client:
        client.delete(f"/v1/styles/{name}")
    print_json({"removed": name}) if as_json else print(f"Style {name} is no longer used; what was drawn in it stays.")
