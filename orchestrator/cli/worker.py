"""`atelier worker` and `atelier workers`: a process that does the work, and who is doing it."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from orchestrator.cli.output import Json, print_json, print_table, settings

Queues = Annotated[str | None, typer.Option(help="Whose work it does: QUEUE,QUEUE; none: those of the name.")]
Models = Annotated[str | None, typer.Option(help="The nets that it may load: MODEL,MODEL; none: all.")]
Name = Annotated[str | None, typer.Option(help="How it is called; planner, image or solution say the queues too.")]
Slots = Annotated[int | None, typer.Option(min=1, max=64, help="Steps at once; none: as the settings say.")]


def worker(queues: Queues = None, models: Models = None, name: Name = None, slots: Slots = None) -> None:
    """Do the work of some queues until Ctrl-C.

    Any number of other workers may do the same.
    """
    from orchestrator import post
    from orchestrator import worker as process

    given = settings()
    to_do = post.post(given, name=name, queues=post.names(queues), models=post.names(models), slots=slots)
    process.run(given, to_do)


def workers(as_json: Json = False) -> None:
    """List the workers, and what each can do."""
    from orchestrator.cli import connect

    with connect.studio(settings(), works=False) as client:
        rows = client.get("/v1/workers")["data"]
    if as_json:
        print_json(rows)
        return
    print_table(("worker", "queues", "busy", "device", "loaded", "up", "version"), [_row(row) for row in rows])


def _row(row: dict[str, Any]) -> tuple[Any, ...]:
    busy = None if row["slots"] is None else f"{row['busy']} of {row['slots']}"
    device = (row["device"] or {}).get("kind")
    up_min = (time.time() - row["started_at"]) / 60
    state = "ends" if row["draining"] else f"{up_min:.0f} min"
    return (row["id"], ", ".join(row["queues"]), busy, device, ", ".join(row["loaded"]), state, row["version"])
