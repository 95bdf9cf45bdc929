"""Connections that are watched: only to checked addresses, within one deadline, and ended from outside at any moment.

httpcore speaks HTTP over them. Sockets never block: who waits here wakes up ten times a second to look at the clock and
to let the caller speak.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, TypeVar

import httpcore

from tools.addresses import Address, Origin, Resolver, checked_addresses
from tools.fetch_errors import FetchFailed, TimedOut

SLICE_S = 0.1
CONNECT_S = 5.0

Result = TypeVar("Result")


class Watch:
    """The clock of one fetch, and the caller's word in it."""

    def __init__(self, timeout_s: float, on_wait: Callable[[], None]) -> None:
        self._timeout_s = timeout_s
        self._on_wait = on_wait
        self._ends = time.monotonic() + timeout_s
        self._spoke = float("-inf")

    def look(self) -> None:
        """Let the caller speak when it is time.

        Raises:
            TimedOut: the time is up. Whatever the caller raises.
        """
        now = time.monotonic()
        if now - self._spoke >= SLICE_S:
            self._spoke = now
            self._on_wait()
        if now >= self._ends:
            raise TimedOut(f"it took longer than {self._timeout_s:g} s")

    def result_of(self, work: Callable[[], Result]) -> Result:
        """Give the result of something that blocks; it runs aside and is left alone when the watch ends first."""
        future: Future[Result] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  # raised where it is waited for
                future.set_exception(error)

        threading.Thread(target=run, name="resolve", daemon=True).start()
        while not wait([future], SLICE_S).done:
            self.look()
        return future.result()


class _Socket:
    """A socket that does not block, and the watch over it."""

    def __init__(self, plain: socket.socket, watch: Watch) -> None:
        plain.settimeout(0)
        self.inner = plain
        self._watch = watch
        self._selector = selectors.DefaultSelector()

    def until(self, event: int, ends: float = float("inf")) -> None:
        """Wait until it can be read or written; `ends` is on the clock of `time.monotonic`."""
        self._selector.register(self.inner, event)
        try:
            while not self._selector.select(SLICE_S):
                self._watch.look()
                if time.monotonic() >= ends:
                    raise TimeoutError("no answer")
        finally:
            self._selector.unregister(self.inner)

    def patiently(self, attempt: Callable[[], Result], event: int) -> Result:
        """Try until it no longer would block."""
        while True:
            self._watch.look()
            try:
                return attempt()
            except ssl.SSLWantReadError:
                self.until(selectors.EVENT_READ)
            except ssl.SSLWantWriteError:
                self.until(selectors.EVENT_WRITE)
            except BlockingIOError:
                self.until(event)

    def connect(self, address: Address, port: int) -> None:
        """Connect, in `CONNECT_S` at most."""
        try:
            self.inner.connect((str(address), port))
        except BlockingIOError:
            self.until(selectors.EVENT_WRITE, time.monotonic() + CONNECT_S)
            failed = self.inner.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed:
                raise OSError(failed, "cannot connect") from None

    def secure(self, context: ssl.SSLContext, host: str | None) -> None:
        """Begin TLS; the certificate is checked against the host's name."""
        wrapped = context.wrap_socket(self.inner, server_hostname=host, do_handshake_on_connect=False)
        self.inner = wrapped
        self.patiently(wrapped.do_handshake, selectors.EVENT_READ)

    def send(self, content: memoryview) -> int:
        """Send as much as goes at once, and say how many bytes that were."""
        return self.patiently(lambda: self.inner.send(content), selectors.EVENT_WRITE)

    def receive(self, max_bytes: int) -> bytes:
        """Give what comes next; nothing at the end."""
        return self.patiently(lambda: self.inner.recv(max_bytes), selectors.EVENT_READ)

    def close(self) -> None:
        self._selector.close()
        self.inner.close()


class _Stream(httpcore.NetworkStream):
    """What httpcore reads and writes; the timeouts that it passes are not needed beside the watch."""

    def __init__(self, watched: _Socket) -> None:
        self._socket = watched

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._socket.receive(max_bytes)
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = memoryview(buffer)
        try:
            while left:
                left = left[self._socket.send(left) :]
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            self._socket.secure(ssl_context, server_hostname)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise httpcore.ConnectError(str(error)) from error
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        return None


class CheckedNetwork(httpcore.NetworkBackend):
    """Opens connections of one fetch, to checked addresses only.

    Args:
        allowed: see `tools.addresses.checked_addresses`.
    """

    def __init__(self, watch: Watch, allowed: Collection[Origin], resolve: Resolver) -> None:
        self._watch = watch
        self._allowed = allowed
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers.

        Raises:
            FetchRefused: an address of the host may not be reached.
            FetchFailed: the host is not known, or none of its addresses answers.
        """
        failed: OSError | None = None
        check = partial(checked_addresses, host, port, self._allowed, resolve=self._resolve)
        for address in self._watch.result_of(check):
            try:
                return self._connect(address, port)
            except OSError as error:
                failed = error
        raise FetchFailed(f"{host!r} does not answer on port {port}") from failed

    def _connect(self, address: Address, port: int) -> _Stream:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        watched = _Socket(socket.socket(family, socket.SOCK_STREAM), self._watch)
        try:
            watched.inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            watched.connect(address, port)
        except BaseException:
            watched.close()
            raise
        return _Stream(watched)
