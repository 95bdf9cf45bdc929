"""What the benchmark of the API asks with: clients light enough that the server is what is measured."""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np

CLIENTS = 4


def reads_a_second(url: str, path: str, seconds: float) -> float:
    """Ask for one thing again and again from a few connections that stay open; gives answers a second."""
    counts = [0] * CLIENTS
    until = time.perf_counter() + seconds

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        while time.perf_counter() < until:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            counts[number] += 1
        connection.close()

    _together([lambda n=n: ask(n) for n in range(CLIENTS)])  # type: ignore[misc]
    return sum(counts) / seconds


def _together(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def first_event_ms(url: str, times: int) -> np.ndarray:
    """Say something in a conversation and follow it; gives the milliseconds until the first event, (times,)."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    thread = _post(connection, "/v1/threads", {})["id"]
    took = []
    for number in range(times):
        began = time.perf_counter()
        run = _post(connection, f"/v1/threads/{thread}/runs", {"say": f"hello {number}"})["id"]
        connection.request("GET", f"/v1/runs/{run}/events")
        answer = connection.getresponse()
        answer.readline()
        took.append(1000 * (time.perf_counter() - began))
        answer.read()  # to the end of the run, so that the next one has the studio to itself
    connection.close()
    return np.array(took)


def _post(connection: http.client.HTTPConnection, path: str, body: object) -> dict[str, str]:
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer: dict[str, str] = json.loads(connection.getresponse().read())
    return answer


def follow(url: str, path: str, clients: int, last: int, ready: Callable[[], None]) -> list[dict[int, float]]:
    """Follow one stream with many clients until event `last`; gives for each when it saw each event.

    Args:
        ready: called when all have their first event.
    """
    return asyncio.run(_follow_all(url, path, clients, last, ready))


async def _follow_all(
    url: str, path: str, clients: int, last: int, ready: Callable[[], None]
) -> list[dict[int, float]]:
    seen: list[dict[int, float]] = [{} for _ in range(clients)]
    following = [asyncio.create_task(_follow(url, path, one, last)) for one in seen]
    while not all(seen):
        await asyncio.sleep(0.05)
        for task in following:
            if task.done():
                task.result()
    ready()
    await asyncio.gather(*following)
    return seen


async def _follow(url: str, path: str, seen: dict[int, float], last: int) -> None:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {place.netloc}\r\n\r\n".encode())
    while last not in seen:
        line = await asyncio.wait_for(reader.readline(), 120)
        assert line, "the stream ended too soon"
        if line.startswith(b"id: "):
            seen[int(line[4:])] = time.time()
    writer.close()


@contextmanager
def bare() -> Iterator[str]:
    """Serve one FastAPI route that does nothing, and a bare stream, in a process of their own; gives the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(listener,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.terminate()
        process.join()
        listener.close()


def _serve(listener: socket.socket) -> None:
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/bare")
    def nothing() -> dict[str, bool]:
        return {"ok": True}

    uvicorn.Server(uvicorn.Config(app, log_config=None)).run(sockets=[listener])
