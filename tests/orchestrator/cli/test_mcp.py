"""`atelier mcp`, as a client that starts programs meets it: the official client over standard streams."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.client import ConnectMode
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceLink, TextContent

from orchestrator.studio import missing
from tests.orchestrator.conftest import ATELIER, House

T = TypeVar("T")
SOON_S = 60.0


def talk(house: House, say: Callable[[Client], Awaitable[T]], mode: ConnectMode = "auto", **environment: str) -> T:
    """Start the command, say something, and give what comes of it."""
    command = StdioServerParameters(command=str(ATELIER), args=["mcp"], env=house.environment | environment)

    async def go() -> T | MCPError:
        async with Client(command, mode=mode, cache=None) as client:
            try:
                return await say(client)
            except MCPError as error:  # raised below as itself: a group would wrap it
                return error

    said = asyncio.run(go())
    if isinstance(said, MCPError):
        raise said
    return said


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_call_over_standard_streams_makes_a_text(shared: House, mode: ConnectMode) -> None:
    seen: list[float] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async def write(client: Client) -> None:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert {"make", "write_text", "wait_run"} < set(tools)
        result = await client.call_tool("write_text", {"prompt": f"a verse, {mode}"}, progress_callback=tell)
        assert "Roses are red." in "".join(part.text for part in result.content if isinstance(part, TextContent))
        [link] = [part for part in result.content if isinstance(part, ResourceLink)]
        [read] = (await client.read_resource(link.uri)).contents
        assert "Roses are red." in read.text  # type: ignore[union-attr]
        assert link.uri in [one.uri for one in (await client.list_resources()).resources]
        assert len((await client.list_resource_templates()).resource_templates) == 1
        assert (await client.call_tool("write_text", {"prompt": 7})).is_error
        with pytest.raises(MCPError, match="no_such_tool"):
            await client.call_tool("no_such_tool", {})

    talk(shared, write, mode)
    assert seen == sorted(set(seen))
    assert seen[-1] >= 100


def test_a_cancelled_call_cancels_its_run(shared: House) -> None:
    async def change_of_mind(client: Client) -> str:
        told: list[str] = []

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            told.append(str(message))
            scope.cancel()

        with anyio.CancelScope() as scope:
            await client.call_tool("make", {"say": "something slow"}, progress_callback=tell)
        run_id = told[0].split()[0]
        with anyio.fail_after(SOON_S):
            while (await look(client, run_id))["status"] not in {"cancelled", "cancelling"}:
                await anyio.sleep(0.05)
        return run_id

    async def look(client: Client, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await client.call_tool("get_run", {"run_id": run_id})).structured_content
        return found

    assert talk(shared, change_of_mind).startswith("run_")


def test_a_client_stays_while_the_api_is_killed(shared: House) -> None:
    async def survive(client: Client) -> None:
        made = await client.call_tool("write_text", {"prompt": "a verse"})
        await asyncio.to_thread(kill_the_api)
        again = await client.call_tool("wait_run", {"run_id": made.structured_content["run_id"]})
        assert again.structured_content == made.structured_content

    def kill_the_api() -> None:
        old = shared.processes()["api"]
        os.kill(old, signal.SIGKILL)
        deadline = time.monotonic() + SOON_S
        while shared.processes().get("api", old) == old or missing(shared.url or "", timeout_s=5):
            assert time.monotonic() < deadline, shared.told()
            time.sleep(0.1)

    talk(shared, survive)


def test_the_end_of_input_ends_it_and_a_studio_that_is_not_there_is_said_so(shared: House, tmp_path: Path) -> None:
    done = shared.atelier("mcp", input="")
    assert done.stdout == ""
    away = House(tmp_path, ATELIER_URL="http://127.0.0.1:1")
    refused = away.atelier("mcp", check=False, input="")
    assert refused.returncode == 1
    assert "http://127.0.0.1:1" in refused.stderr
    assert refused.stdout == ""
