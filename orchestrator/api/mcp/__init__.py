"""The studio as an MCP server: its tools, runs and assets for any client of the Model Context Protocol."""

MOST_S = 45.0  # a call waits so long at most: many clients give up after 60
INSTRUCTIONS = (
    "A studio of generative models. Call `make` with what you want in words, or one of its tools. What takes longer "
    "than a call may wait answers with the id of its run: call `wait_run` with it, now or days later. Everything that "
    "was made stays in a library: `search_assets` finds it, and @asset_… passes it to a tool."
)
