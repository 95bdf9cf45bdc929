"""Serves the API on a socket that the studio opened: `python -m orchestrator.api --fd 3`."""

from __future__ import annotations

import argparse
import socket
import sys

import uvicorn

from orchestrator import logs, telemetry
from orchestrator.api.app import create_app, open_context
from orchestrator.errors import StudioError
from orchestrator.settings import Settings, read_settings

CLOSE_S = 1  # a stream that is still followed is cut after this; the client goes on with Last-Event-ID


def main() -> int:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.api")
    parser.add_argument("--fd", type=int, help="an open listening socket; none: opens host and port of the settings")
    given = parser.parse_args()
    try:
        serve(read_settings(), fd=given.fd)
    except StudioError as error:
        sys.stderr.write(error.message + "\n")
        return 2
    return 0


def serve(settings: Settings, *, fd: int | None = None, close_s: int = CLOSE_S) -> None:
    """Serve until a signal asks for the end.

    Args:
        fd: an open listening socket; None opens host and port of the settings.
        close_s: how long requests that are under way may still take.

    Raises:
        SettingsError: a part is not named.
    """
    logs.configure(settings, "api")
    context = open_context(settings)
    telemetry.serve_metrics(context.watch, settings)
    config = uvicorn.Config(
        create_app(context),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=close_s,
    )
    uvicorn.Server(config).run(sockets=None if fd is None else [socket.socket(fileno=fd)])


if __name__ == "__main__":
    sys.exit(main())
