"""`atelier mcp`: the studio for MCP clients that start a program and talk to it over its standard streams."""

from __future__ import annotations

from orchestrator.cli.output import settings


def mcp() -> None:
    """Serve the studio's tools to an MCP client over standard input and output.

    The studio is the one of ATELIER_URL and ATELIER_KEY, or the one that runs on the data folder; if none does, one is
    started for as long as the client stays.
    """
    import anyio

    from orchestrator.cli import connect
    from orchestrator.cli.mcp_bridge import serve

    given = settings()
    with connect.studio(given, works=False):
        anyio.run(serve, given)
