"""`atelier usage`: what was asked for and made."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from orchestrator.cli import connect
from orchestrator.cli.output import Json, print_json, print_table, settings


class By(StrEnum):
    """What there is a row for."""

    key = "key"
    day = "day"
    tool = "tool"
    owner = "owner"


def usage(
    by: Annotated[By, typer.Option("--by", help="A row for each.")] = By.day,
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days, up to now.")] = 30,
    owner: Annotated[str | None, typer.Option(help="Whose; * is everybody's, for admins; none: your own.")] = None,
    as_json: Json = False,
) -> None:
    """Count runs, steps, the seconds that workers were busy, assets and their bytes."""
    import time

    since = time.time() - days * 86400
    with connect.studio(settings(), works=False) as client:
        said = client.get("/v1/usage", group_by=by.value, owner=owner, **{"from": since})
    if as_json:
        print_json(said)
        return
    rows = [(_name(row[by.value], by), *_counts(row)) for row in said["data"]]
    print_table((by.value, "runs", "steps", "busy s", "assets", "MB"), [*rows, ("in all", *_counts(said["total"]))])


def _counts(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["runs"], row["steps"], row["busy_s"], row["assets"], row["bytes"] / 1e6


def _name(group: str | None, by: By) -> str:
    if group is not None:
        return group
    return "(uploads)" if by is By.tool else "(no key)"
