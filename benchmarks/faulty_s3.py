"""An S3 store that can misbehave: `python -m benchmarks.faulty_s3 HOST PORT BUCKET FAULT`.

The file FAULT says how and until when: "500 1700000000.0", "hang …" or "drop …". It is read at every request.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

LOOK_S = 0.05
BODY = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"


class Faulty:
    """A WSGI application that stands before another."""

    def __init__(self, behind: Any, fault: Path) -> None:
        self._behind = behind
        self._fault = fault

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer, or do what the file says."""
        while (how := self._now()) == "hang":
            time.sleep(LOOK_S)
        if how is None:
            answer: Iterable[bytes] = self._behind(environ, start_response)
            return answer
        if how == "drop":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        environ["wsgi.input"].read()
        size = [("Content-Length", str(len(BODY)))]
        start_response("500 Internal Server Error", [("Content-Type", "application/xml"), *size])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [BODY]

    def _now(self) -> str | None:
        try:
            how, until = self._fault.read_text().split()
        except FileNotFoundError:
            return None
        return how if time.time() < float(until) else None


class _Silent(WSGIRequestHandler):
    """Logs nothing: thousands of requests come."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def main() -> None:
    """Serve until a signal ends it."""
    host, port, bucket, fault = sys.argv[1:]
    store = DomainDispatcherApplication(create_backend_app)
    _make_bucket(store, bucket)
    make_server(host, int(port), Faulty(store, Path(fault)), threaded=True, request_handler=_Silent).serve_forever()


def _make_bucket(store: Any, bucket: str) -> None:
    from werkzeug.test import Client

    answer = Client(store).put(f"/{bucket}", headers={"Host": "s3.amazonaws.com"})
    if answer.status_code != 200:
        raise SystemExit(f"the bucket could not be made: {answer.status}")


if __name__ == "__main__":
    main()
