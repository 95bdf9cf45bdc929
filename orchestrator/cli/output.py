"""What all commands share: the --json option, and how results and errors are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from orchestrator.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


def settings(**given: Any) -> Settings:
    """Read the settings, at the entry of a command."""
    from orchestrator.settings import read_settings

    return read_settings(**given)


def print_json(what: Any) -> None:
    """Print JSON."""
    print(json.dumps(what, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; plain lines where nobody looks, so that other programs can cut them."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(" ".join(_cell(value).split()) for value in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def fail(message: str, code: int = 1) -> NoReturn:
    """End with one line of error."""
    sys.stderr.write(f"atelier: {message}\n")
    raise typer.Exit(code)
