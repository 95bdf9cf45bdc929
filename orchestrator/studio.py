"""Starts the processes of a one-machine studio, watches them, and takes them down with itself."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import logging
import logging.handlers
import os
import secrets
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from orchestrator import broker, home, logs, parts
from orchestrator.children import LOG_BYTES, Child, Program, trim
from orchestrator.errors import SettingsError, StudioError, StudioNotReady
from orchestrator.settings import PREFIX, Settings, read_settings

logger = logging.getLogger("atelier.studio")

TICK_S = 0.05
READY_LOOK_S = 0.25
TRIM_EVERY_S = 30.0
GRACE_S = 8.0  # for the API and the workers; whatever is cut off is taken up again at the next start
LAST_GRACE_S = 2.0  # for the servers below them
WORKERS = ("planner", "image", "solution")
KEYS = {PREFIX + "ADMIN_KEY", PREFIX + "KEY"}  # the first is the API's business alone, the second nobody's here
QUIET = {  # what our parts would otherwise tell others
    "ANONYMIZED_TELEMETRY": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "LANGSMITH_TRACING": "false",
    "TOKENIZERS_PARALLELISM": "false",
}


class Studio:
    """The processes of one data folder.

    `run` returns after SIGTERM or SIGINT. When this process is killed, the system kills the others.
    """

    def __init__(self, settings: Settings, *, embedded: bool = False) -> None:
        self.settings = settings
        self.embedded = embedded
        self.children: list[Child] = []
        self._stop = False
        self._ready_at = 0.0
        self._began = time.monotonic()

    def run(self, on_ready: Callable[[home.Card, float], None] | None = None) -> None:
        """Start everything and watch it until a signal asks for the end.

        Args:
            on_ready: called from another thread with the card and the start-up time in seconds.

        Raises:
            StudioHeld: another studio has the data folder.
            StudioNotReady: a needed part is missing, or the port is taken.
        """
        with home.hold(self.settings.home), _listening(self.settings, self.embedded) as listener:
            self._log_to_file()
            card = self._card(listener)
            home.write_card(self.settings.home, card)
            try:
                self._catch_signals()
                self._start(listener)
                threading.Thread(target=self._announce, args=(card, on_ready), daemon=True).start()
                self._watch()
            finally:
                self._end()
                home.remove_card(self.settings.home)

    def _card(self, listener: socket.socket) -> home.Card:
        port = listener.getsockname()[1]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.settings.host, self.settings.host)  # noqa: S104
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return home.Card(os.getpid(), url, port, time.time(), self.embedded, f"atl_{secrets.token_hex(20)}")

    def _start(self, listener: socket.socket) -> None:
        """Start the servers, bring the schema up to date while they start, then start what needs both."""
        environment = {**os.environ, **QUIET, **self.settings.environment(), "PYTHONUNBUFFERED": "1"}
        below, connections = self._servers(_for_servers(environment))
        self._add(below)
        migrate(self.settings.database_url)
        _require_key(self.settings)
        environment |= connections | {PREFIX + "PORT": str(listener.getsockname()[1])}
        ports = itertools.count(self.settings.metrics_port + 1) if self.settings.metrics_port else itertools.repeat(0)
        for name, port in zip(WORKERS, ports, strict=False):
            self._add([_worker(name, _without(KEYS, environment) | {PREFIX + "METRICS_PORT": str(port)})])
        self._add([_api(listener, environment)])

    def _servers(self, environment: dict[str, str]) -> tuple[list[Program], dict[str, str]]:
        programs: list[Program] = []
        connections: dict[str, str] = {}
        if self.settings.broker_url is None:
            path = home.socket_path(self.settings.home)
            programs.append(broker.program(broker.find_server(), self.settings.home, path, environment))
            connections[PREFIX + "BROKER_URL"] = broker.url(path)
        if self.settings.result_url is None:
            connections[PREFIX + "RESULT_URL"] = connections.get(PREFIX + "BROKER_URL", self.settings.broker_url or "")
        if not parts.has_index(self.settings):
            port = _free_port()
            programs.append(_index(self.settings.home / "chroma", port, environment))
            connections |= {PREFIX + "CHROMA_HOST": "127.0.0.1", PREFIX + "CHROMA_PORT": str(port)}
        return programs, connections

    def _add(self, programs: list[Program]) -> None:
        for program in programs:
            child = Child(program, self.settings.logs / f"{program.name}.log")
            child.tend()
            self.children.append(child)

    def _watch(self) -> None:
        trim_at = time.monotonic() + TRIM_EVERY_S
        while not self._stop:
            for child in self.children:
                child.tend()
            if time.monotonic() >= trim_at:
                trim_at = time.monotonic() + TRIM_EVERY_S
                for child in self.children:
                    trim(child.log)
            time.sleep(TICK_S)
        logger.info("ending")

    def _end(self) -> None:
        above = [child for child in self.children if child.program.name in {"api", *WORKERS}]
        below = [child for child in self.children if child not in above]
        for children, grace_s in ((above, GRACE_S), (below, LAST_GRACE_S)):
            deadline = time.monotonic() + grace_s
            for child in children:
                child.ask_to_end()
            for child in children:
                child.end(deadline)
        logger.info("ended")

    def _catch_signals(self) -> None:
        def stop(number: int, frame: FrameType | None) -> None:
            self._stop = True

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, stop)

    def _log_to_file(self) -> None:
        self.settings.logs.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            self.settings.logs / "studio.log", maxBytes=LOG_BYTES, backupCount=1
        )
        handler.setFormatter(logs.formatter(self.settings, "studio", "%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)

    def _announce(self, card: home.Card, on_ready: Callable[[home.Card, float], None] | None) -> None:
        while not self._stop:
            if not missing(card.url, timeout_s=5, key=card.key):
                seconds = time.monotonic() - self._began
                logger.info("ready at %s after %.1f s", card.url, seconds)
                if on_ready is not None:
                    on_ready(card, seconds)
                return
            time.sleep(READY_LOOK_S)


def missing(url: str, *, timeout_s: float, key: str | None = None) -> dict[str, str]:
    """Ask a studio's /readyz what is not there yet; nothing means that it is ready.

    Args:
        url: of a studio here or elsewhere, http or https.
        key: without one, a studio with keys says what is missing but not why.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=timeout_s)
    try:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        connection.request("GET", f"{parts.path.rstrip('/')}/readyz", headers=headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {"api": f"does not answer yet ({type(error).__name__})"}
    finally:
        connection.close()
    if answer.status == 200:
        return {}
    found = said.get("parts", {}) if isinstance(said, dict) else {}
    return {name: part["detail"] for name, part in found.items() if not part["ok"]} or {"api": "not ready"}


@contextlib.contextmanager
def _listening(settings: Settings, embedded: bool) -> Iterator[socket.socket]:
    """Open the API's socket here: its port is known at once, and a client that comes early or meets a restart waits."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, 0 if embedded else settings.port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise StudioNotReady(
            f"port {settings.port} on {settings.host} cannot be used ({error.strerror}); choose another with --port"
        ) from error
    with listener:
        yield listener


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _index(folder: Path, port: int, environment: dict[str, str]) -> Program:
    # The same as `chroma run`, without the second that importing its client takes.
    start = "import sys, chromadb_rust_bindings; chromadb_rust_bindings.cli(['chroma', *sys.argv[1:]])"
    options = ("run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port))
    return Program("index", (sys.executable, "-c", start, *options), environment, folder=folder)


def _api(listener: socket.socket, environment: dict[str, str]) -> Program:
    command = (sys.executable, "-m", "orchestrator.api", "--fd", str(listener.fileno()))
    return Program("api", command, environment, fds=(listener.fileno(),))


def _worker(name: str, environment: dict[str, str]) -> Program:
    drain = PREFIX + "DRAIN_S"  # what takes longer is given back, not cut off
    own = environment | {drain: str(min(float(environment[drain]), GRACE_S / 2))}
    return Program(name, (sys.executable, "-m", "orchestrator.worker", "--name", name), own)


def _without(names: set[str], environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}


def _for_servers(environment: dict[str, str]) -> dict[str, str]:
    """Give what the servers below get: no settings of ours, some of which hold passwords, and no secret of others."""
    ours = (PREFIX, "AWS_")
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(ours) and not logs.SECRET_NAME.search(name)
    }


def _require_key(settings: Settings) -> None:
    """Say that there is no key before the API does, which would be started again and again."""
    if settings.is_loopback or settings.admin_key is not None:
        return
    from orchestrator.api.keyring import require_key
    from store.database import Database

    database = Database(settings.database_url)
    try:
        require_key(settings, database)
    finally:
        database.close()


def migrate(database_url: str) -> None:
    """Bring the schema up to date; the usual case, nothing to do, is found out without loading Alembic."""
    if database_url.startswith("sqlite:///") and _is_current(Path(database_url.removeprefix("sqlite:///"))):
        return
    from sqlalchemy.exc import SQLAlchemyError

    from store import schema
    from store.database import Database

    database = Database(database_url)
    try:
        schema.migrate(database)
    except SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StudioNotReady(f"the database cannot be used: {why}; see ATELIER_DATABASE_URL") from error
    finally:
        database.close()


def _is_current(path: Path) -> bool:
    versions = Path(__file__).resolve().parent.parent / "migrations" / "versions"
    newest = max(file.name.split("_")[0] for file in versions.glob("[0-9]*_*.py"))
    if not path.exists():
        return False
    with contextlib.closing(sqlite3.connect(path)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.DatabaseError:
            return False
    return row is not None and row[0] == newest


def main() -> int:
    """Run a studio for the program that started this process, on a free port."""
    try:
        Studio(read_settings(), embedded=True).run()
    except StudioError as error:
        sys.stderr.write(error.message + "\n")
        return 2 if isinstance(error, SettingsError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
