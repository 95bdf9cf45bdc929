"""A company's MCP server at an address: reached where that is allowed, and nowhere else."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tools.solutions import streamable
from tools.solutions.base import Limits, McpDeclaration, Secret, SolutionAway, SolutionFault, SolutionSaid
from tools.solutions.mcp import McpClient
from tools.solutions.talk import Talk

GOOD = Path(__file__).parent / "servers" / "good.py"
Request = http.server.BaseHTTPRequestHandler
Answering = Callable[[Callable[[Request, bytes], None]], str]
Start = Callable[..., McpClient]


@pytest.fixture
def start() -> Iterator[Start]:
    """Give what connects to an address; the connection ends with the test."""
    clients = []

    def begin(url: str, **more: Any) -> McpClient:
        clients.append(McpClient(McpDeclaration(url=url, **{"private": True, **more})))
        return clients[-1]

    yield begin
    for client in clients:
        client.close()


@pytest.fixture(params=["sse", "json"])
def good(request: pytest.FixtureRequest, free_port: int) -> Iterator[str]:
    """Give the address of a server that does its part."""
    with served(free_port, request.param):
        yield f"http://127.0.0.1:{free_port}/mcp"


class served:  # noqa: N801  # it reads as what it does
    """Runs the good server at a port."""

    def __init__(self, port: int, way: str) -> None:
        self.port, self.way = port, way

    def __enter__(self) -> None:
        import socket

        command = [sys.executable, str(GOOD), "http", str(self.port), self.way]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("the server did not start")

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def text(client: McpClient, tool: str, /, timeout_s: float = 20, **args: Any) -> str:
    [part] = client.call(tool, args, timeout_s=timeout_s).parts
    return part.content.decode()


def answer(request: Request, body: bytes, **headers: str) -> None:
    request.send_response(200)
    for name, value in {"content-type": "application/json", "content-length": str(len(body)), **headers}.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(body)


def result(asked: bytes, said: str = "ok") -> bytes:
    """Give the answer of a server that speaks the handshake and knows one tool."""
    call = json.loads(asked)
    results: dict[str, Any] = {
        "initialize": {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "s", "version": "1"},
        },
        "tools/call": {"content": [{"type": "text", "text": said}]},
    }
    found = results.get(call["method"])
    body = {"result": found} if found else {"error": {"code": -32601, "message": "no such method"}}
    return json.dumps({"jsonrpc": "2.0", "id": call.get("id"), **body}).encode()


def test_tools_answers_progress_and_refusals_arrive(start: Start, good: str) -> None:
    client, heard = start(good), []
    assert {"colour", "order"} <= {tool.name for tool in client.offered()}
    assert text(client, "colour", colour="blue") == "blue is #1155ee, größer"
    assert len(text(client, "letters", count=3_000_000)) == 3_000_000
    client.call("slow", {"seconds": 0.5}, on_progress=heard.append, timeout_s=20)
    assert heard
    with pytest.raises(SolutionSaid):
        text(client, "nothing")
    with pytest.raises(SolutionAway, match=r"http://127\.0\.0\.1:\d+ did not answer within 0\.3 s"):
        text(client, "slow", timeout_s=0.3, seconds=9)
    assert text(client, "colour", colour="red").startswith("red")


def test_a_server_that_was_started_anew_is_found_again(start: Start, free_port: int) -> None:  # it starts twice
    client = start(f"http://127.0.0.1:{free_port}/mcp")
    with served(free_port, "sse"):
        assert text(client, "colour", colour="red").startswith("red")
    with pytest.raises(SolutionAway, match="does not answer"):
        text(client, "colour", colour="red")
    with served(free_port, "sse"):
        assert text(client, "colour", colour="red").startswith("red")


def test_a_private_address_is_refused_unless_it_is_declared(start: Start, answering: Answering) -> None:
    asked: list[bytes] = []
    url = answering(lambda request, body: asked.append(body))
    with pytest.raises(SolutionFault, match=r"is refused: .*127\.0\.0\.1"):
        start(url, private=False).offered()
    with pytest.raises(SolutionFault, match=r"is refused: .*169\.254\.169\.254"):
        start("http://169.254.169.254/latest/meta-data").offered()
    assert asked == []


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_elsewhere_is_not_followed(start: Start, answering: Answering, status: int) -> None:
    reached: list[bytes] = []
    other = answering(lambda request, body: reached.append(body))

    def redirect(request: Request, body: bytes) -> None:
        request.send_response(status)
        request.send_header("location", other)
        request.send_header("content-length", "0")
        request.end_headers()

    with pytest.raises(SolutionFault, match=r"Redirect to http://127\.0\.0\.1:\d+/mcp not followed"):
        start(answering(redirect)).offered()
    assert reached == []


def test_it_connects_to_the_address_that_was_checked(answering: Answering) -> None:
    """The name is resolved once, by the check: what it means a moment later does not matter."""
    hosts: list[str | None] = []
    checked: list[str] = []

    def note(request: Request, body: bytes) -> None:
        hosts.append(request.headers["host"])
        answer(request, result(body))

    port = int(answering(note).split(":")[2].split("/")[0])

    def check(host: str, port: int, allowed: Any) -> list[Any]:
        checked.append(host)
        return [ip_address("127.0.0.1")]

    async def ask() -> None:
        from mcp import Client

        talk = Talk("it", 1_000)
        url = f"http://mcp.acme.invalid:{port}/mcp"
        async with Client(streamable.reached(url, {}, talk, private=False, timeout_s=5, check=check), cache=None):
            pass

    asyncio.run(ask())
    assert set(checked) == {"mcp.acme.invalid"}
    assert set(hosts) == {f"mcp.acme.invalid:{port}"}


def test_declared_headers_are_sent_and_never_shown(
    start: Start, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_KEY", "Bearer s3cret")
    keys: set[str | None] = set()

    def note(request: Request, body: bytes) -> None:
        keys.add(request.headers["authorization"])
        said = request.headers["authorization"] or ""
        call = json.loads(body) if body else {}
        if call.get("method") == "tools/call":
            error = {"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32602, "message": f"wrong key: {said}"}}
            answer(request, json.dumps(error).encode())
        else:
            answer(request, result(body))

    client = start(answering(note), headers={"Authorization": Secret(env="ACME_KEY")})
    with pytest.raises(SolutionSaid, match=r"wrong key: \*\*\*"):
        text(client, "find")
    assert keys == {"Bearer s3cret"}


@pytest.mark.parametrize(("status", "error"), [(401, SolutionFault), (403, SolutionFault), (503, SolutionAway)])
def test_a_status_that_refuses_is_named(
    start: Start, answering: Answering, status: int, error: type[Exception]
) -> None:
    def refuse(request: Request, body: bytes) -> None:
        request.send_response(status)
        request.send_header("content-length", "0")
        request.end_headers()

    with pytest.raises(error, match=f"HTTP status {status}"):
        start(answering(refuse)).offered()


@pytest.mark.parametrize("media_type", ["application/json", "text/event-stream"])
def test_an_answer_without_end_is_refused_while_it_comes(start: Start, answering: Answering, media_type: str) -> None:
    sent: list[int] = []

    def flood(request: Request, body: bytes) -> None:
        if json.loads(body)["method"] != "tools/call":
            return answer(request, result(body))
        request.send_response(200)
        request.send_header("content-type", media_type)
        request.end_headers()
        for _ in range(100):
            sent.append(1_000_000)
            request.wfile.write((b"data: " if media_type[0] == "t" else b"") + b"x" * 1_000_000)
        return None

    def quiet(request: Request, body: bytes) -> None:
        try:
            flood(request, body)
        except OSError:  # it hung up, as it should
            request.close_connection = True

    client = start(answering(quiet), limits=Limits(bytes=1_000_000))
    with pytest.raises(SolutionFault, match="answered more than 1,000,000 bytes"):
        text(client, "find")
    assert sum(sent) < 30_000_000


def test_a_packed_answer_is_refused_before_it_is_unpacked(start: Start, answering: Answering) -> None:
    def pack(request: Request, body: bytes) -> None:
        assert request.headers["accept-encoding"] == "identity"
        answer(request, gzip.compress(result(body)), content_encoding="gzip")

    with pytest.raises(SolutionFault, match="packs its answers"):
        start(answering(pack)).offered()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"jsonrpc": "2.0", "id": 1, "result": 5}', b""])
def test_what_is_no_mcp_is_said_in_words(start: Start, answering: Answering, body: bytes) -> None:
    client = start(answering(lambda request, _: answer(request, body)), limits=Limits(seconds=5))
    with pytest.raises(SolutionFault, match=r"http://127\.0\.0\.1:\d+ "):
        client.offered()


def test_nobody_at_the_address(start: Start, free_port: int) -> None:
    with pytest.raises(SolutionAway, match="does not answer"):
        start(f"http://127.0.0.1:{free_port}/mcp").offered()
    with pytest.raises(SolutionAway, match="does not answer"):
        start("http://no-such-host.invalid/mcp").offered()


def test_a_body_that_never_ends_meets_the_clock(start: Start, answering: Answering) -> None:
    def drip(request: Request, body: bytes) -> None:
        request.send_response(200)
        request.send_header("content-type", "application/json")
        request.end_headers()
        try:
            while True:
                request.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            request.close_connection = True

    began = time.monotonic()
    with pytest.raises(SolutionAway, match="did not answer within 1 s"):
        start(answering(drip), limits=Limits(seconds=1)).offered()
    assert time.monotonic() - began < 1.5
