"""What a call of a solution costs through the studio, beside the same call by the bare client; and retrieval.

    python -m benchmarks.solutions [--calls 200] [--without-retrieval]

The solution is an MCP server on stdin and stdout, written with the official SDK, whose tool gives a short text. It is
called by the SDK's own client, by our client, as a worker asks (approval, limits and log in SQL around it), and as a
run of a real studio from the request to the completed run.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from store import solutions
from store.database import Database
from store.schema import migrate
from tools.solutions.base import DECLARATION, digest
from tools.solutions.mcp import McpClient
from workers.solutions import Asking, Solutions

SERVER = Path(__file__).with_name("solution_server.py")
COMMAND = [sys.executable, str(SERVER)]
MANY = 1_000_000  # calls a minute: the limit is not what is measured
DECLARED = {"kind": "mcp", "command": COMMAND, "limits": {"calls_per_minute": MANY // 10}}
ARGS = {"words": "a short question"}
WARM = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--without-retrieval", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="atelier-solutions-") as name:
        rows = [
            ("the SDK's client", bare(asked.calls)),
            ("our client", ours(asked.calls)),
            ("as a worker asks", in_worker(asked.calls, Path(name))),
            ("a run of the studio", in_studio(max(20, asked.calls // 4), Path(name) / "home")),
        ]
    report(rows)
    if not asked.without_retrieval:
        from benchmarks.retrieval import main as retrieve

        print()
        retrieve([])


def report(rows: Sequence[tuple[str, list[float]]]) -> None:
    first = statistics.median(rows[0][1])
    print(f"{'a call':22} {'p50 ms':>8} {'p95 ms':>8} {'beside bare':>12}")
    for name, seconds in rows:
        p50, p95 = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
        print(f"{name:22} {1000 * p50:8.2f} {1000 * p95:8.2f} {p50 / first:11.2f}x")


def timed(call: Callable[[], Any], calls: int) -> list[float]:
    for _ in range(WARM):
        call()
    found = []
    for _ in range(calls):
        begun = time.perf_counter()
        call()
        found.append(time.perf_counter() - begun)
    return found


def bare(calls: int) -> list[float]:
    return asyncio.run(_bare(calls))


async def _bare(calls: int) -> list[float]:
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    found = []
    given = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:])
    async with stdio_client(given) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        for number in range(WARM + calls):
            begun = time.perf_counter()
            await session.call_tool("answer", ARGS)
            if number >= WARM:
                found.append(time.perf_counter() - begun)
    return found


def ours(calls: int) -> list[float]:
    with closing(McpClient(DECLARATION.validate_python(DECLARED))) as client:  # type: ignore[arg-type]
        return timed(lambda: client.call("answer", ARGS, timeout_s=30), calls)


def in_worker(calls: int, folder: Path) -> list[float]:
    with closing(Database(f"sqlite:///{folder}/atelier.db")) as database:
        migrate(database)
        declared = DECLARATION.validate_python(DECLARED).model_dump(mode="json")
        database.transact(lambda c: solutions.declare(c, "bench", declared, source="file", now=time.time()))
        with closing(Solutions(database)) as known:
            shown = known.check("bench")
            assert shown.usable, digest([])
            asking = Asking("local", None, None, lambda _: None)
            return timed(lambda: known.ask("bench.answer", ARGS, asking), calls)


def in_studio(calls: int, home: Path) -> list[float]:
    plan = {"steps": [{"id": "s1", "tool": "bench.answer", "args": ARGS}], "reply": ""}
    with _studio(home) as client:
        while "bench.answer" not in {tool["id"] for tool in client.get("/v1/tools")["data"]}:
            time.sleep(0.1)

        def run() -> None:
            started = client.post("/v1/runs", {"plan": plan})
            events = [event["type"] for event in client.events(started["id"])]
            assert events[-1] == "run.completed", events

        return timed(run, calls)


@contextmanager
def _studio(home: Path) -> Iterator[Any]:
    from orchestrator.cli import connect
    from orchestrator.settings import read_settings

    home.mkdir()
    (home / "script.json").write_text("[]")
    given = {"bench": DECLARATION.validate_python(DECLARED)}
    script = f"scripted:{home / 'script.json'}"
    settings = read_settings(home=home, llm=script, encoder="hash", preload=False, solutions=given)
    with connect.studio(settings) as client:
        yield client


if __name__ == "__main__":
    main()
