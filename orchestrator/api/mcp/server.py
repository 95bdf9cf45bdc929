"""What is said in the protocol: which requests there are, and how errors are told."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar

from anyio import to_thread
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

from orchestrator.api.context import Context, identify
from orchestrator.api.keyring import ASKED_WITH
from orchestrator.api.mcp import INSTRUCTIONS, calls, contents, resources
from orchestrator.api.mcp.calls import Call
from orchestrator.api.mcp.refusals import refusal
from orchestrator.api.mcp.turn import Desk, Turn

Ctx = ServerRequestContext[Any, Request]
T = TypeVar("T")


def build(context: Context) -> Server[Any]:
    """Give the server of a studio; who asks is known from each request."""
    there = _Handlers(context)
    server: Server[Any] = Server(
        "atelier",
        version=version("atelier"),
        title="Atelier",
        instructions=INSTRUCTIONS,
        get_tool_input_schema=lambda _: None,  # no argument of ours comes in a header
        on_list_tools=there.list_tools,
        on_call_tool=there.call_tool,
        on_list_resources=there.list_resources,
        on_list_resource_templates=there.list_templates,
        on_read_resource=there.read_resource,
    )
    server.middleware.clear()  # its spans: each request has one of ours already
    return server


class _Handlers:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def list_tools(self, ctx: Ctx, params: PaginatedRequestParams | None) -> ListToolsResult:
        if params is not None and params.cursor is not None:
            raise MCPError(INVALID_PARAMS, "the list of tools has one page")
        return await self._look(ctx, calls.listed)

    async def list_resources(self, ctx: Ctx, params: PaginatedRequestParams | None) -> ListResourcesResult:
        cursor = None if params is None else params.cursor
        return await self._look(ctx, lambda desk: resources.list_(desk, cursor))

    async def list_templates(self, ctx: Ctx, params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
        return resources.templates()

    async def read_resource(self, ctx: Ctx, params: ReadResourceRequestParams) -> ReadResourceResult:
        return await self._look(ctx, lambda desk: resources.read(desk, params.uri))

    async def call_tool(self, ctx: Ctx, params: CallToolRequestParams) -> CallToolResult:
        desk = self._desk(ctx)
        is_modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        key = None if is_modern else desk.turn.call_key(ctx.request_id)
        ASKED_WITH.set(desk.turn.caller.key_id)  # its limits hold for the run, in whichever task this is
        call = Call(desk, params.arguments or {}, key, is_modern, ctx.session.report_progress)
        try:
            result = await calls.answer(call, params.name)
            await identify(_request(ctx), None)  # the key may have been revoked while the call waited
        except Exception as error:  # told or logged there
            refused = refusal(error)
            if refused.status >= 500:
                raise MCPError(INTERNAL_ERROR, refused.message) from error
            return contents.refused(refused.message)
        if result is None:
            raise MCPError(INVALID_PARAMS, f"there is no tool {params.name[:200]!r}")
        return result

    def _desk(self, ctx: Ctx) -> Desk:
        return Desk(self._context, _request(ctx).scope[Turn.KEY])

    async def _look(self, ctx: Ctx, look: Callable[[Desk], T]) -> T:
        try:
            return await to_thread.run_sync(look, self._desk(ctx))
        except Exception as error:  # told or logged there
            refused = refusal(error)
            code = INVALID_PARAMS if refused.status < 500 else INTERNAL_ERROR
            raise MCPError(code, refused.message) from error


def _request(ctx: Ctx) -> Request:
    assert ctx.request is not None  # noqa: S101  # it came over HTTP
    return ctx.request
