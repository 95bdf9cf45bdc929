"""The `atelier` command. What is heavy is imported by the command that needs it."""

from __future__ import annotations

import sys

import typer

from orchestrator.cli import (
    backup,
    batch,
    keys,
    library,
    making,
    mcp,
    server,
    solutions,
    studio,
    styles,
    tracking,
    usage,
    webhooks,
    worker,
)
from orchestrator.errors import StudioError

app = typer.Typer(
    name="atelier",
    help="A studio of generative models that you talk to.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(studio.up)
app.command()(making.make)
app.command()(making.chat)
app.command()(making.plan)
app.command()(making.run)
app.add_typer(tracking.app, name="runs")
app.add_typer(batch.app, name="batch")
app.command()(library.search)
app.add_typer(library.assets, name="assets")
app.command()(library.verify)
app.add_typer(studio.models, name="models")
app.add_typer(studio.tools, name="tools")
app.add_typer(library.index, name="index")
app.add_typer(solutions.app, name="solutions")
app.add_typer(keys.app, name="keys")
app.command()(usage.usage)
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(styles.app, name="styles")
app.command()(studio.doctor)
app.command()(worker.worker)
app.command()(worker.workers)
app.command()(server.migrate)
app.command()(server.api)
app.command()(server.env)
app.command()(mcp.mcp)
app.command()(backup.backup)
app.command()(backup.restore)
app.command(name="migrate-store")(backup.migrate_store)
app.add_typer(backup.blobs, name="blobs")


def main() -> None:
    """Run a command; an error that the user can act on is one line."""
    try:
        app()
    except StudioError as error:
        sys.stderr.write(f"atelier: {error.message}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
