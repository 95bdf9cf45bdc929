"""`atelier search`, `assets`, `verify` and `index`: the library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import connect, files, follow
from orchestrator.cli.output import Json, print_json, print_table, settings
from orchestrator.cli.tracking import Limit, when

if TYPE_CHECKING:
    from orchestrator.cli.client import Client
    from orchestrator.settings import Settings

assets = typer.Typer(help="What was made or uploaded.", no_args_is_help=True)
index = typer.Typer(help="The search index.", no_args_is_help=True)
AssetId = Annotated[str, typer.Argument(metavar="ASSET", help="The id of an asset: asset_…")]
KindOption = Annotated[str | None, typer.Option(help="Only this kind: image, video, audio, music, text.")]


def search(
    words: Annotated[str, typer.Argument(help="What it shows, in words.")],
    kind: KindOption = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only with this tag; may be given again.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 10,
    as_json: Json = False,
) -> None:
    """Find assets by meaning, nearest first."""
    given = settings()
    wanted = {"query": words, "kind": kind, "tags": tag or [], "limit": limit}
    with connect.studio(given) as client:
        hits = find(client, given, wanted)
    if as_json:
        print_json(hits)
    else:
        print_hits(hits)


def find(client: Client, given: Settings, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Search, and give the hits with the paths of their files and thumbnails."""
    return [_hit(client, given, found) for found in client.post("/v1/search", wanted)["data"]]


def print_hits(hits: list[dict[str, Any]]) -> None:
    """Print hits, nearest first."""
    if not hits:
        connect.note("Nothing was found.")
    print_table(
        ("score", "caption", "kind", "asset", "thumbnail"),
        [(hit["score"], hit["caption"], hit["kind"], hit["id"], hit["thumbnail"] or hit["path"]) for hit in hits],
    )


def _hit(client: Client, given: Settings, asset: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": asset["id"],
        "score": asset["score"],
        "kind": asset["kind"],
        "caption": asset["caption"],
        "path": str(files.export(client, asset, given.made)),
        "thumbnail": files.thumbnail(client, given, asset),
    }


@assets.command("list")
def list_assets(
    kind: KindOption = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List assets, newest first."""
    with connect.studio(settings(), works=False) as client:
        rows = client.pages("/v1/assets", limit, kind=kind, tag=tag)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("asset", "kind", "made", "caption", "seed"),
        [(row["id"], row["kind"], when(row["created_at"]), row["caption"], row["seed"]) for row in rows],
    )


@assets.command()
def show(asset: AssetId, as_json: Json = False) -> None:
    """Show an asset: its recipe, and what it was made from."""
    given = settings()
    with connect.studio(given, works=False) as client:
        found = client.get(f"/v1/assets/{asset}")
        lineage = client.get(f"/v1/assets/{asset}/lineage")
        path = str(files.export(client, found, given.made))
    if as_json:
        print_json({**found, "path": path, "lineage": lineage})
        return
    for name in ("id", "kind", "caption", "tags", "width", "height", "seconds", "seed", "recipe", "run_id", "sha256"):
        if found[name] not in (None, []):
            print(f"{name:8} {found[name]}")
    for name in ("ancestors", "descendants"):
        for other in lineage[name]:
            print(f"{name[:-1]:8} {other['id']} {other['kind']} {other['caption']}")
    print(path)


@assets.command()
def export(
    asset: AssetId,
    output: Annotated[Path, typer.Option("--output", "-o", help="A file or a folder.")] = Path(),
    as_json: Json = False,
) -> None:
    """Copy an asset's file to a place of your own."""
    with connect.studio(settings(), works=False) as client:
        path = files.export(client, client.get(f"/v1/assets/{asset}"), output).absolute()
    print_json({"id": asset, "path": str(path)}) if as_json else print(path)


def verify(asset: AssetId, as_json: Json = False) -> None:
    """Make an asset again from its recipe and compare the bytes."""
    with connect.studio(settings()) as client:
        started = client.post(f"/v1/assets/{asset}/verify")
        ended = follow.to_the_end(client, started["id"], follow.Silent())
    same = ended["status"] == "completed"
    said = ended["reply"] if same else (ended["error"] or {}).get("message", f"the check was {ended['status']}")
    if as_json:
        print_json({"asset": asset, "verified": same, "message": said})
    else:
        print(said)
    if not same:
        raise typer.Exit(1)


@index.command()
def rebuild(as_json: Json = False) -> None:
    """Build the search index again from the vectors in SQL."""
    with connect.studio(settings(), works=False) as client:
        built = client.post("/v1/index/rebuild")
    print_json(built) if as_json else print(f"The index was built again from {built['vectors']} vectors.")
