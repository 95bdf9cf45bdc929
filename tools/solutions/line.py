"""A session with an MCP server: opened once, kept, and closed when it broke or nobody needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

import mcp_types as types
from mcp import Client, MCPError
from mcp.client import ClientSession
from pydantic import TypeAdapter, ValidationError

from tools.solutions import content, stdio, streamable
from tools.solutions.base import (
    McpDeclaration,
    OfferedTool,
    Returned,
    Secret,
    SolutionAway,
    SolutionError,
    SolutionFault,
    SolutionSaid,
    revealed,
)
from tools.solutions.talk import Talk

T = TypeVar("T")
US = types.Implementation(name="atelier", version="1")
TOOLS = 200
LAST_WORDS_S = 0.5  # a connection that broke is given so long to say why
CLOSE_S = 4.0  # a program is asked to end for two seconds, then killed
NAME = 60  # characters of a program's command in messages
BUSY = (408, 425, 429)
BROKEN = 500
SESSION_GONE = "Session terminated"  # the SDK's words
ANSWER: TypeAdapter[types.CallToolResult | types.InputRequiredResult] = TypeAdapter(
    types.CallToolResult | types.InputRequiredResult
)


class Line:
    """One session; all of it happens on the event loop that it was made on.

    Args:
        declaration: of the server.

    Raises:
        SecretMissing: a secret is not there.
    """

    def __init__(self, declaration: McpDeclaration) -> None:
        declared = {**declaration.env, **declaration.headers}
        plain = revealed(declared)
        secrets = [plain[name] for name, value in declared.items() if isinstance(value, Secret)]
        self._declaration = declaration
        self._talk = Talk(subject(declaration), declaration.limits.bytes, secrets)
        self._session: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._calls = 0
        self._retired = False
        self._task = asyncio.create_task(self._live())

    @property
    def is_over(self) -> bool:
        """Whether it takes no new calls."""
        return self._retired or self._talk.over.is_set()

    @property
    def is_closed(self) -> bool:
        """Whether nothing of it is left."""
        return self._task.done()

    def late(self, timeout_s: float) -> SolutionAway:
        """Give the error of a call that took too long."""
        return self._talk.away(f"did not answer within {timeout_s:g} s")

    def retire(self) -> None:
        """Take no new calls, and close as soon as none is left."""
        self._retired = True
        if not self._calls:
            self._hang_up()

    async def close(self) -> None:
        """Close now, and wait until it is."""
        self._retired = True
        self._hang_up()
        _, late = await asyncio.wait([self._task], timeout=CLOSE_S)
        if late:  # a server that does not even take our leave
            self._task.cancel()
            await asyncio.wait([self._task], timeout=LAST_WORDS_S)

    async def offered(self) -> list[OfferedTool]:
        """Ask what it offers.

        Raises:
            SolutionError: it did not say.
        """
        return content.offered(await self._ask(self._listed), self._declaration.tools, self._talk)

    async def call(self, tool: str, args: Mapping[str, Any], on_progress: Callable[[float], None]) -> Returned:
        """Call a tool; `on_progress` learns the fraction that is done, where the server says it.

        Raises:
            SolutionError: it did not do its part.
        """

        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            if total is not None and 0 <= progress <= total and total > 0:
                on_progress(progress / total)

        async def ask(session: ClientSession) -> types.CallToolResult | types.InputRequiredResult:
            request = types.CallToolRequest(params=types.CallToolRequestParams(name=tool, arguments=dict(args)))
            # Not `session.call_tool`: it holds the answer against the server's own patterns, which may never end.
            return await session.send_request(request, ANSWER, progress_callback=progressed)

        answer = await self._ask(ask)
        if isinstance(answer, types.InputRequiredResult):
            raise SolutionFault(f"{self._talk.name} asks back, and nobody answers it here")
        if answer.is_error:
            raise SolutionSaid(self._talk.shown(content.refused(answer)))
        return content.returned(answer, self._talk)

    async def _listed(self, session: ClientSession) -> list[types.Tool]:
        tools: list[types.Tool] = []
        cursor: str | None = None
        for _ in range(TOOLS):
            page = await session.list_tools(params=types.PaginatedRequestParams(cursor=cursor) if cursor else None)
            tools += page.tools
            if len(tools) > TOOLS:
                break
            cursor = page.next_cursor
            if not cursor:
                return tools
        raise SolutionFault(f"{self._talk.name} lists more than {TOOLS} tools, or never comes to an end")

    async def _ask(self, ask: Callable[[ClientSession], Awaitable[T]]) -> T:
        """Ask once the session is open; whatever goes wrong becomes one of our errors."""
        self._calls += 1
        self._talk.asked()
        try:
            session = await asyncio.shield(self._session)
            self._talk.status = None
            return await ask(session)
        except SolutionError:
            raise
        except Exception as error:
            if isinstance(error, MCPError) and error.error.code == types.CONNECTION_CLOSED:
                await asyncio.wait([self._task], timeout=LAST_WORDS_S)
            raise self._translated(error) from error
        finally:
            self._calls -= 1
            if self._retired and not self._calls:
                self._hang_up()

    async def _live(self) -> None:
        """Open the session, hold it, and close it, all in one task, as its cancel scopes need it."""
        try:
            async with Client(self._transport(), client_info=US, cache=None) as client:
                self._session.set_result(client.session)
                await self._talk.over.wait()
        except asyncio.CancelledError:
            self._talk.end(SolutionAway(f"the connection to {self._talk.name} was closed"))
        except Exception as error:  # noqa: BLE001 — whoever waits for the session learns it
            self._talk.end(self._translated(error))
        finally:
            self._talk.over.set()
            if not self._session.done():
                self._session.set_exception(self._talk.why or self._talk.away("ended"))
                self._session.exception()

    def _hang_up(self) -> None:
        self._talk.over.set()
        if not self._session.done():
            self._task.cancel()

    def _transport(self) -> AbstractAsyncContextManager[Any]:
        declaration, talk = self._declaration, self._talk
        if declaration.command is not None:
            return stdio.spoken(declaration.command, revealed(declaration.env), declaration.cwd, talk)
        return streamable.reached(
            declaration.url or "",
            revealed(declaration.headers),
            talk,
            private=declaration.private,
            timeout_s=declaration.limits.seconds,
        )

    def _translated(self, error: BaseException) -> SolutionError:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if self._talk.why is not None:
            return self._talk.why
        if isinstance(error, SolutionError):
            return error
        if isinstance(error, MCPError):
            return self._said(error)
        if isinstance(error, ValidationError):
            return SolutionFault(f"{self._talk.name} answered what is no answer in MCP")
        return SolutionFault(f"{self._talk.name}: {type(error).__name__}: {self._talk.shown(str(error))}")

    def _said(self, error: MCPError) -> SolutionError:
        """Translate what a server, or the protocol's own layer, says is wrong."""
        code, message, status = error.error.code, self._talk.shown(error.error.message), self._talk.status
        if code == types.INVALID_PARAMS:
            return SolutionSaid(message)
        if status is not None and (status in BUSY or status >= BROKEN):
            return self._talk.away(f"answered with HTTP status {status}")
        if status == 404 and error.error.message == SESSION_GONE:  # the server was started anew, say
            self.retire()
            return self._talk.away("ended the session; the next call begins a new one")
        if status is not None and status >= 400:
            return SolutionFault(f"{self._talk.name} answered with HTTP status {status}: {message}")
        if code == types.CONNECTION_CLOSED:
            return self._talk.away("ended")
        if code == types.REQUEST_TIMEOUT:
            return self._talk.away("did not answer in time")
        return SolutionFault(f"{self._talk.name} answered with an error: {message}")


def subject(declaration: McpDeclaration) -> str:
    """Give the name of a server for messages; an address without what may be secret in it."""
    if declaration.command is not None:
        words = " ".join([Path(declaration.command[0]).name, *declaration.command[1:]])
        return f"the program {words if len(words) <= NAME else words[: NAME - 1] + '…'!r}"
    return streamable.shown(declaration.url or "")
