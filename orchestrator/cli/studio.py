"""`atelier up`, `doctor`, `models` and `tools`: the studio itself."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from orchestrator.cli.output import Json, print_json, print_table, settings

models = typer.Typer(help="The networks of this studio.", no_args_is_help=True)
tools = typer.Typer(help="What a plan can call.", no_args_is_help=True)


def up(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port of the API; 0 takes a free one.")] = None,
    host: Annotated[str | None, typer.Option(help="The address that it listens on.")] = None,
    as_json: Json = False,
) -> None:
    """Start the studio and watch it until Ctrl-C."""
    import logging

    from orchestrator.home import Card
    from orchestrator.studio import Studio

    given = settings(port=port, host=host)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.getLogger("atelier.studio").addHandler(handler)

    def ready(card: Card, seconds: float) -> None:
        said = f"Atelier is ready at {card.url} after {seconds:.1f} s. Data: {given.home}"
        told = {"url": card.url, "pid": card.pid, "home": str(given.home), "seconds": round(seconds, 2)}
        print(json.dumps(told) if as_json else said, flush=True)

    Studio(given).run(ready)


def doctor(as_json: Json = False) -> None:
    """Say what is there, what is missing and what to do."""
    from orchestrator import doctor as examination

    findings = examination.examine()
    if as_json:
        print_json({"ok": examination.is_well(findings), "findings": [finding.as_json() for finding in findings]})
    else:
        marks = {"ok": "ok", "warning": "!", "missing": "missing"}
        print_table(
            ("", "what", "finding", "what to do"),
            [(marks[finding.state], finding.what, finding.found, finding.remedy) for finding in findings],
        )
    if not examination.is_well(findings):
        raise typer.Exit(1)


@models.command("list")
def list_models(as_json: Json = False) -> None:
    """List the networks, with where they come from."""
    from orchestrator import listing

    rows = listing.models(settings())
    if as_json:
        print_json(rows)
        return
    print_table(
        ("model", "kind", "bytes", "weights", "licence of its data"),
        [
            (row["id"], row["kind"], row["size_bytes"], (row["weights"] or "")[:12], row["fault"] or row["licence"])
            for row in rows
        ],
    )


def _tools() -> list[dict[str, Any]]:
    """Give the tools of the studio that runs, or the ones that every studio has."""
    from orchestrator import listing
    from orchestrator.cli import connect
    from tools import catalog

    given = settings()
    if connect.is_alone(given):
        return [listing.tool_view(spec) for spec in catalog.specs().values()]
    with connect.studio(given, works=False) as client:
        found: list[dict[str, Any]] = client.get("/v1/tools")["data"]
        return found


@tools.command("list")
def list_tools(as_json: Json = False) -> None:
    """List the tools."""
    rows = _tools()
    if as_json:
        print_json(rows)
        return
    print_table(("tool", "makes", "what it does"), [(row["id"], row["gives"], row["description"]) for row in rows])
