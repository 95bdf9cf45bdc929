"""`make demo`: a sentence goes in, pictures and a video come out and are found again."""

from __future__ import annotations

import sys
import time

import typer

from orchestrator.cli import connect, library, making
from orchestrator.errors import StudioError
from orchestrator.settings import read_settings

REQUEST = "three happy cat stickers, and a 3 second video that morphs between them"
QUERY = "smiling cat"


def main() -> int:
    """Run the demonstration."""
    began = time.monotonic()
    try:
        _show()
    except typer.Exit as end:
        return end.exit_code
    except StudioError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    print(f"\nAll in all {time.monotonic() - began:.1f} s.")
    return 0


def _show() -> None:
    settings = read_settings()
    with connect.studio(settings) as client:
        print(f'\n> atelier make "{REQUEST}"', flush=True)
        made_at = time.monotonic()
        making.carry_out(client, settings, {"say": REQUEST})
        searched_at = time.monotonic()
        print(f'\n> atelier search "{QUERY}"', flush=True)
        library.print_hits(library.find(client, settings, {"query": QUERY, "limit": 5}))
        print(f"\nMade in {searched_at - made_at:.1f} s, found in {time.monotonic() - searched_at:.1f} s.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
