"""The MCP server that `benchmarks.solutions` calls, by the official SDK."""

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

server = MCPServer("bench", log_level="ERROR")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def answer(words: str) -> str:
    """Give a short text."""
    return f"An answer to {words!r}: forty-two."


if __name__ == "__main__":
    server.run("stdio")
