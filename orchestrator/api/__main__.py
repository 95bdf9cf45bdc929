"""Serves the API on a socket that the studio opened: `python -m orchestrator.api --fd 3`."""

from __future__ import annotations

import argparse
import logging
import socket
import sys

import uvicorn

from orchestrator.api.app import create_app, open_context
from orchestrator.errors import StudioError
from orchestrator.settings import read_settings

CLOSE_S = 1  # a stream that is still followed is cut after this; the client goes on with Last-Event-ID


def main() -> int:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.api")
    parser.add_argument("--fd", type=int, help="an open listening socket; none: opens host and port of the settings")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = read_settings()
        app = create_app(open_context(settings))
    except StudioError as error:
        sys.stderr.write(error.message + "\n")
        return 2
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=CLOSE_S,
    )
    sockets = None if given.fd is None else [socket.socket(fileno=given.fd)]
    uvicorn.Server(config).run(sockets=sockets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
