"""A program that speaks MCP on stdin and stdout: started with nothing but what is declared, and ended for certain."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from tools.solutions.base import SolutionFault
from tools.solutions.talk import Talk

Incoming = MemoryObjectSendStream[SessionMessage | Exception]
Outgoing = MemoryObjectReceiveStream[SessionMessage]
Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]

GUARD = Path(__file__).with_name("guard.py")
CHUNK = 1 << 18
SAID = 100  # characters of a line that is no message
GRACE_S = 1.0  # after its stdin is closed, and again after SIGTERM
LOOK_S = 0.01
NOISE = 100  # lines in a row that are no messages; a banner has fewer


@asynccontextmanager
async def spoken(
    command: Sequence[str], environment: Mapping[str, str], cwd: Path | None, talk: Talk
) -> AsyncGenerator[Streams, None]:
    """Start a program and give the streams of its messages; at the end it and all of its process group are gone.

    Args:
        command: the program and its arguments.
        environment: all of its variables.
        cwd: the folder it starts in; none: the root folder, so that it does not depend on ours.
        talk: learns what is wrong, and what the program writes on stderr.

    Raises:
        SolutionFault: it is not there, or may not be started.
    """
    process = _started(command, environment, cwd)
    incoming, read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write_stream, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    pipes: list[asyncio.BaseTransport] = []
    try:
        async with incoming, read_stream, write_stream, outgoing, anyio.create_task_group() as tasks:
            out, err = await _readable(process.stdout, pipes), await _readable(process.stderr, pipes)
            stdin = await _writable(process.stdin, pipes)
            tasks.start_soon(_listen, err, talk)
            tasks.start_soon(_deliver, out, incoming, talk)
            tasks.start_soon(_write, outgoing, stdin)
            try:
                yield read_stream, write_stream
            finally:
                with anyio.CancelScope(shield=True):
                    stdin.close()
                    await _end(process)
                    await anyio.sleep(LOOK_S)  # its last words are read
                tasks.cancel_scope.cancel()
    finally:
        _kill(process)
        for pipe in pipes:
            pipe.close()


def _started(command: Sequence[str], environment: Mapping[str, str], cwd: Path | None) -> subprocess.Popen[bytes]:
    program = _found(command[0], cwd)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), program, *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=cwd or "/",
            start_new_session=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise SolutionFault(f"the program {command[0]!r} cannot be started: {error}") from error


def _found(program: str, cwd: Path | None) -> str:
    """Look a program up where the worker would find it: its own environment may have no PATH."""
    found = str((cwd or Path("/")) / program) if "/" in program else shutil.which(program)
    if found is None or not Path(found).is_file() or not os.access(found, os.X_OK):
        raise SolutionFault(f"there is no program {program!r} where the worker runs")
    return found


async def _readable(pipe: IO[bytes] | None, pipes: list[asyncio.BaseTransport]) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=CHUNK)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    pipes.append(transport)
    return reader


async def _writable(pipe: IO[bytes] | None, pipes: list[asyncio.BaseTransport]) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    transport, _ = await loop.connect_write_pipe(lambda: protocol, pipe)
    pipes.append(transport)
    return asyncio.StreamWriter(transport, protocol, None, loop)


def _line(message: SessionMessage) -> bytes:
    return message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"


async def _write(outgoing: Outgoing, stdin: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, anyio.ClosedResourceError):  # it is gone; who reads says so
        async for message in outgoing:
            stdin.write(_line(message))
            await stdin.drain()


async def _listen(err: asyncio.StreamReader, talk: Talk) -> None:
    """Read what the program prints for people, so that it never waits for us."""
    with contextlib.suppress(OSError):
        while chunk := await err.read(CHUNK):
            talk.printed(chunk)


async def _deliver(out: asyncio.StreamReader, incoming: Incoming, talk: Talk) -> None:
    """Deliver the program's messages until it closes its stdout or breaks a limit."""
    noise = 0
    try:
        async for line in _lines(out, talk):
            message = _message(line)
            if message is not None:
                noise = 0
                await incoming.send(message)
                continue
            noise += 1
            talk.printed(line + b"\n")
            if noise > NOISE:
                said = talk.shown(line[:SAID].decode(errors="replace"))
                raise SolutionFault(f"{talk.name} prints what is no message: {said}")
    except SolutionFault as fault:
        talk.end(fault)
    except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        pass  # nobody takes them any more, or it is gone
    finally:
        incoming.close()
        talk.over.set()


async def _lines(out: asyncio.StreamReader, talk: Talk) -> AsyncIterator[bytes]:
    """Give the lines of a stream, each refused as soon as it is too long."""
    line = bytearray()
    while chunk := await out.read(CHUNK):
        talk.heard(len(chunk))
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            line += piece
            _check(line, talk)
            yield bytes(line)
            line.clear()
        line += rest
        _check(line, talk)


def _check(line: bytearray, talk: Talk) -> None:
    if len(line) > talk.longest_bytes:
        raise talk.too_much()


def _message(line: bytes) -> SessionMessage | None:
    """Give the message in a line; None for an empty one, or what somebody printed there by mistake."""
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None


async def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a program whose stdin was closed, then insist."""
    if not await _ends(process):
        _signal(process, signal.SIGTERM)
        await _ends(process)


async def _ends(process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + GRACE_S
    while not _is_over(process) and time.monotonic() < deadline:
        await anyio.sleep(LOOK_S)
    return _is_over(process)


def _is_over(process: subprocess.Popen[bytes]) -> bool:
    """Say whether a program ended, without letting go of its id: its group is still killed by it."""
    if process.returncode is not None:
        return True
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and all that it started in its group."""
    if process.returncode is None:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
