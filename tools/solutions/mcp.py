"""A client of MCP servers, for code that knows no event loop: calls from any thread, one session that is kept open."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any, TypeVar

from tools.solutions.base import McpDeclaration, OfferedTool, Returned, SolutionAway, revealed
from tools.solutions.line import Line, subject

T = TypeVar("T")
TICK_S = 0.1
CLOSE_S = 6.0
# They log what servers say and the ids of sessions; what matters reaches the caller as an error.
LOUD = ("mcp", "client", "httpx2", "httpcore2")


@dataclass
class _Call:
    """What the calling thread sees of a call while it waits."""

    line: Line | None = None
    fraction: float = 0.0

    def progressed(self, fraction: float) -> None:
        self.fraction = max(self.fraction, fraction)

    def give_up(self) -> None:
        if self.line is not None:
            self.line.retire()


class McpClient:
    """Implements `tools.solutions.base.Client` for MCP servers.

    Args:
        declaration: of the server; nothing is started before the first call.

    Raises:
        SecretMissing: a secret is not there.
    """

    def __init__(self, declaration: McpDeclaration) -> None:
        revealed({**declaration.env, **declaration.headers})
        self._declaration = declaration
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._line: Line | None = None  # touched on the loop's thread alone
        self._retired: list[Line] = []  # so too

    def offered(self) -> list[OfferedTool]:
        """See `tools.solutions.base.Client.offered`."""
        return self._run(Line.offered, _Call(), lambda fraction: None, self._declaration.limits.seconds)

    def call(
        self,
        tool: str,
        args: Mapping[str, Any],
        *,
        on_progress: Callable[[float], None] = lambda fraction: None,
        timeout_s: float,
    ) -> Returned:
        """See `tools.solutions.base.Client.call`."""
        call = _Call()
        return self._run(lambda line: line.call(tool, args, call.progressed), call, on_progress, timeout_s)

    def close(self) -> None:
        """See `tools.solutions.base.Client.close`."""
        with self._lock:
            self._is_closed = True
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is None or thread is None:
            return
        with contextlib.suppress(TimeoutError):  # what is left is tied to the thread, and ends with us
            asyncio.run_coroutine_threadsafe(self._hang_up(), loop).result(CLOSE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CLOSE_S)

    def _run(
        self,
        ask: Callable[[Line], Awaitable[T]],
        call: _Call,
        on_progress: Callable[[float], None],
        timeout_s: float,
    ) -> T:
        loop = self._started()
        future = asyncio.run_coroutine_threadsafe(self._asked(ask, call), loop)
        deadline = time.monotonic() + timeout_s
        try:
            while (left_s := deadline - time.monotonic()) > 0:
                try:
                    return future.result(min(TICK_S, left_s))
                except TimeoutError:
                    on_progress(call.fraction)
        except CancelledError as error:
            raise SolutionAway(f"the connection to {subject(self._declaration)} was closed") from error
        finally:
            future.cancel()  # nothing where it is done; else the server is told
        loop.call_soon_threadsafe(call.give_up)
        raise self._late(call.line, timeout_s)

    def _late(self, line: Line | None, timeout_s: float) -> SolutionAway:
        if line is None:
            return SolutionAway(f"{subject(self._declaration)} could not be asked within {timeout_s:g} s")
        return line.late(timeout_s)

    async def _asked(self, ask: Callable[[Line], Awaitable[T]], call: _Call) -> T:
        if self._line is None or self._line.is_over:
            self._keep(self._line)
            self._line = Line(self._declaration)
        call.line = self._line
        return await ask(self._line)

    def _keep(self, old: Line | None) -> None:
        """Remember a line that may still be closing."""
        self._retired = [line for line in (*self._retired, old) if line is not None and not line.is_closed]

    async def _hang_up(self) -> None:
        self._keep(self._line)
        await asyncio.gather(*(line.close() for line in self._retired))
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_closed:
                raise SolutionAway(f"the connection to {subject(self._declaration)} was closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="mcp", daemon=True)
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped; programs are tied to this thread and end with it."""
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
