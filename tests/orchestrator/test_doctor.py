"""What the doctor says of the port that a studio would take."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from orchestrator import doctor
from orchestrator.settings import read_settings


class _Server(BaseHTTPRequestHandler):
    said = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Server)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    monkeypatch.setenv("ATELIER_PORT", str(server.server_port))
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def test_an_api_of_a_cluster_is_no_stranger(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Server, "said", b'{"ok": true, "version": "0.1.0"}')
    (found,) = doctor._running(read_settings())
    assert (found.what, found.state) == ("studio", "ok")
    assert f"an API answers at http://127.0.0.1:{port}" in found.found


def test_another_program_on_the_port_is_named(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Server, "said", b"hello")
    assert [(one.what, one.state) for one in doctor._running(read_settings())][1] == ("port", "warning")


@pytest.mark.parametrize("url", ["redis://:secret@127.0.0.1:{port}/0", "amqp://guest:secret@127.0.0.1:{port}//"])
def test_a_broker_that_is_not_there_is_missing_and_its_password_is_not_told(
    url: str, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_BROKER_URL", url.format(port=unused_port))
    (found,) = doctor._server(read_settings())
    assert (found.what, found.state) == ("broker", "missing")
    assert "ATELIER_BROKER_URL" in found.remedy
    assert "secret" not in found.found


def test_a_broker_that_answers_is_ok(rabbitmq_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    monkeypatch.setenv("ATELIER_BROKER_URL", rabbitmq_url)
    (found,) = doctor._server(read_settings())
    assert (found.what, found.state) == ("broker", "ok")


def test_a_chroma_server_is_asked(port: int, unused_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_CHROMA_HOST", "127.0.0.1")
    monkeypatch.setenv("ATELIER_CHROMA_PORT", str(port))
    (found,) = doctor._index_server(read_settings())
    assert (found.what, found.state) == ("index", "ok")
    monkeypatch.setenv("ATELIER_CHROMA_PORT", str(unused_port))
    (found,) = doctor._index_server(read_settings())
    assert (found.what, found.state) == ("index", "warning")
    assert "ATELIER_CHROMA_PORT" in found.remedy
