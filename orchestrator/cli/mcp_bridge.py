"""Carries each request of a client on standard input to the studio's own MCP server, and its answer back.

Nothing is kept between two requests, so the studio may be restarted, at another address too, while the client stays.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, TypeVar

import httpx2
from mcp import Client
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)
from mcp_types.version import LATEST_MODERN_VERSION

from orchestrator import home
from orchestrator.api.mcp import INSTRUCTIONS, MOST_S
from orchestrator.settings import Settings

Ctx = ServerRequestContext[Any, Any]
T = TypeVar("T")
SPARE_S = 30.0  # for a studio that is slow to answer


async def serve(settings: Settings) -> None:
    """Serve until the client closes standard input."""
    bridge = Bridge(settings)
    server: Server[Any] = Server(
        "atelier",
        version=version("atelier"),
        title="Atelier",
        instructions=INSTRUCTIONS,
        on_list_tools=bridge.list_tools,
        on_call_tool=bridge.call_tool,
        on_list_resources=bridge.list_resources,
        on_list_resource_templates=bridge.list_templates,
        on_read_resource=bridge.read_resource,
    )
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


class Bridge:
    """The requests, each over a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        """Connect to nothing yet; the settings name the studio, or the data folder on which one runs."""
        self._settings = settings

    async def list_tools(self, _: Ctx, params: PaginatedRequestParams | None) -> ListToolsResult:
        """List the tools."""
        return await self._ask(lambda studio: studio.list_tools(params=params))

    async def list_resources(self, _: Ctx, params: PaginatedRequestParams | None) -> ListResourcesResult:
        """List assets."""
        return await self._ask(lambda studio: studio.list_resources(params=params))

    async def list_templates(self, _: Ctx, params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
        """List the forms of addresses."""
        return await self._ask(lambda studio: studio.list_resource_templates(params=params))

    async def read_resource(self, _: Ctx, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Read an asset."""
        return await self._ask(lambda studio: studio.read_resource(params.uri))

    async def call_tool(self, ctx: Ctx, params: CallToolRequestParams) -> CallToolResult:
        """Call a tool; a call that is cancelled here is cancelled there, and its run with it."""
        request = CallToolRequest(params=CallToolRequestParams(name=params.name, arguments=params.arguments))
        report = ctx.session.report_progress
        return await self._ask(lambda studio: studio.send_request(request, CallToolResult, progress_callback=report))

    async def _ask(self, ask: Callable[[ClientSession], Awaitable[T]]) -> T:
        try:
            async with self._connected() as client:
                try:
                    return await ask(client.session)
                except MCPError as error:  # raised below as itself: the groups of the connection would wrap it
                    refused = error
        except* (httpx2.HTTPError, OSError) as group:
            why = str(group.exceptions[0])
            raise MCPError(INTERNAL_ERROR, f"the studio does not answer ({why}); try `atelier doctor`") from group
        raise refused

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        url, key = self._where()
        async with httpx2.AsyncClient(
            headers={} if key is None else {"authorization": f"Bearer {key}"},
            timeout=MOST_S + SPARE_S,
            trust_env=self._settings.url is not None,
        ) as http:
            transport = streamable_http_client(f"{url.rstrip('/')}/mcp", http_client=http)
            async with Client(transport, mode=LATEST_MODERN_VERSION, cache=None) as client:
                yield client

    def _where(self) -> tuple[str, str | None]:
        """Give the address of the studio as it is now, and the key that opens it."""
        given = self._settings.key
        key = None if given is None else given.get_secret_value()
        if self._settings.url is not None:
            return self._settings.url, key
        card = home.running(self._settings.home)
        if card is None:
            raise MCPError(INTERNAL_ERROR, f"no studio runs on {self._settings.home}; start one with `atelier up`")
        return card.url, key or card.key
