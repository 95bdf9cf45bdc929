"""A server on loopback that answers exactly the bytes that a test tells it to, at the speed that it is told."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.fetch import Fetched, Fetcher, Origin

MEGABYTE = 1_000_000
KEYS = {"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret", "Cookie": "s3cret", "Accept": "text/x-test"}

# What a test gives: the request so far (its head and the body that came with it) → bytes to send, one after the other.
Answer = Callable[[bytes], Iterable[bytes]]


@dataclass
class RawServer:
    """A server that runs."""

    host: str
    port: int
    scheme: str = "http"
    requests: list[bytes] = field(default_factory=list)
    sent_bytes: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def rest(self, seconds: float = 60) -> None:
        """Be silent, until the test has ended at the latest."""
        self.over.wait(seconds)


@contextlib.contextmanager
def serving(answer: Answer, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """Serve until the block ends."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        server = RawServer(host, listening.getsockname()[1], "https" if tls else "http")
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                thread = threading.Thread(target=_serve, args=(connection, answer, server, tls))
                threads.append(thread)
                thread.start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            server.over.set()
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            for thread in [accepting, *threads]:
                thread.join(10)


def _serve(connection: socket.socket, answer: Answer, server: RawServer, tls: ssl.SSLContext | None) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(10)
        if tls is not None:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection:
            request = _head(connection)
            server.requests.append(request)
            for piece in answer(request):
                connection.sendall(piece)
                server.sent_bytes += len(piece)


def _head(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        received = connection.recv(65_536)
        if not received:
            return request
        request += received
    head, _, body = request.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < min(length, 1_000_000):
        received = connection.recv(65_536)
        if not received:
            break
        body += received
    return head + b"\r\n\r\n" + body


def fetch(
    server: RawServer, path: str = "/", *, method: str = "GET", also: tuple[str, ...] = (), **given: Any
) -> Fetched:
    """Fetch from a server that was declared, and the other origins `also`."""
    fetcher = Fetcher({Origin.of(url) for url in (server.url, *also)}, **given.pop("fetcher", {}))
    return fetcher.fetch(method, server.url + path, **({"max_bytes": MEGABYTE, "timeout_s": 5} | given))


def said(content: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Give a whole answer."""
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(content)}"))
    return head.encode() + b"\r\n" + content


def moved(where: str, status: int = 302) -> bytes:
    """Give a redirect."""
    return said(b"", f"Location: {where}", status=f"{status} Moved")


def dripped(content: bytes, server_rest: Callable[[float], None] = time.sleep, pause_s: float = 0.1) -> Iterator[bytes]:
    """Give one byte at a time."""
    for byte in content:
        yield bytes([byte])
        server_rest(pause_s)


@contextlib.contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Watch the memory that Python holds; give what tells the most of it, in bytes, after the block."""
    peaks: list[int] = []
    tracemalloc.start()
    try:
        yield lambda: peaks[0]
    finally:
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


def authority(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make a certificate for a name; give the context of its server and that of a client that trusts it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / f"{name}.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))
