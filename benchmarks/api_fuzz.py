"""Whether the description of the API tells the truth, asked at random.

`python -m benchmarks.api_fuzz --minutes 15` serves the whole API from this process, over a database in which two hands
play the workers, and lets schemathesis ask it everything that the description allows and much that it does not: by
examples, by the edges of every limit, at random, and in sequences in which one answer feeds the next request. Nothing
may answer 5xx, a status that is not described, a body outside its schema, or anything at all to who shows no key.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
from pydantic import SecretStr
from sqlalchemy import Connection, select

from benchmarks.desk import Desk
from benchmarks.lab import postgresql
from models.embedding import HashEncoder
from orchestrator.api.app import create_app
from orchestrator.api.context import Context
from orchestrator.api.keyring import LOCAL
from orchestrator.api.readiness import QUEUES
from orchestrator.settings import Settings
from store import assets, passages, presence, runs, solutions, steering, versions
from store.assets import NewAsset
from store.blobs import Blobs
from store.database import Database
from store.ids import new_id
from store.schema import migrate
from store.tables import runs as run_rows
from store.tables import steps as step_rows
from store.transition import Wake
from store.versions import NewVersion
from workers.messages import Messenger

PROGRAM = Path(sys.executable).with_name("schemathesis")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
)
SETTINGS = """[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429]
"""  # with 413: what is too large is refused before it is read
PHASES = ("examples", "coverage", "fuzzing", "stateful")
LOOK_S = 0.02
APPROVAL_S = 1.0  # a run that waits for a yes gets a no


class Post(Messenger):
    """A broker in memory, and vectors without a worker."""

    def __init__(self) -> None:
        super().__init__("memory://", None)
        self._encoder = HashEncoder()

    def send(self, wakes: Sequence[Wake]) -> int:
        return len(wakes)

    def vector(self, text: str, timeout_s: float = 15.0) -> list[float]:
        return [float(value) for value in self._encoder.encode([text])[0]]

    def vectors(self, texts: Sequence[str], timeout_s: float = 60.0) -> list[list[float]]:
        return [self.vector(text) for text in texts]


class Hands(threading.Thread):
    """Plays all workers, so that every run ends."""

    def __init__(self, database: Database) -> None:
        super().__init__(daemon=True)
        self._desk = Desk(database)
        self._ends = threading.Event()
        self._worker = presence.Worker("hands", QUEUES, os.getpid(), time.time())

    def run(self) -> None:
        while not self._ends.wait(LOOK_S):
            with contextlib.suppress(Exception):  # what was cancelled meanwhile cannot be completed
                self._desk.database.transact(lambda connection: presence.here(connection, self._worker))
                self._work()

    def end(self) -> None:
        self._ends.set()
        self.join(10)

    def _work(self) -> None:
        with self._desk.database.read() as connection:
            queued = select(step_rows.c.queue).where(step_rows.c.status == "queued").distinct()
            queues = list(connection.execute(queued).scalars())
            old = run_rows.c.created_at < time.time() - APPROVAL_S
            waiting = select(run_rows.c.id, run_rows.c.owner).where(run_rows.c.status == "waiting_approval", old)
            unanswered = connection.execute(waiting).all()
        for run in unanswered:
            self._desk.change(lambda t, run=run: steering.cancel(t, run.owner, run.id))  # type: ignore[misc]
        for claim in self._desk.claim(queues=queues) if queues else ():
            if claim.tool == runs.PLAN:
                self._desk.save_plan(claim, reply="I planned nothing.")
            elif claim.tool == runs.REPLY:
                self._desk.reply(claim, "Done.")
            else:
                self._desk.complete(claim)


def furnish(here: Context) -> None:
    """Put something of each kind into the studio, so that ids lead somewhere."""
    content = b"a line of a poem"
    fields = {"kind": "text", "media_type": "text/plain", "size_bytes": len(content), "thumbnail_sha256": None}
    sha256 = here.blobs.put(content)
    parent, child = new_id("asset"), new_id("asset")
    made = [
        NewAsset(id=parent, sha256=sha256, caption="a poem", **fields),  # type: ignore[arg-type]
        NewAsset(id=child, sha256=sha256, caption="a line of it", parents=(parent,), **fields),  # type: ignore[arg-type]
    ]
    style = NewVersion("style", "house", LOCAL, "a" * 64, "ours", {"pictures": 12}, None)

    def change(connection: Connection) -> None:
        assets.insert(connection, LOCAL, made, now=time.time())
        solutions.declare(connection, "papers", {"kind": "knowledge", "folders": []}, source="api", now=1.0)
        passages.add_upload(connection, "papers", "a.md", sha256, len(content), 1.0)
        versions.register(connection, style, now=time.time())

    here.database.transact(change)
    desk = Desk(here.database)
    thread = desk.change(lambda t: runs.new_thread(t, LOCAL, "about cats"))
    desk.say("a cat", owner=LOCAL, thread_id=thread)
    desk.plan(desk.step("s1", tool="write_text", args={"prompt": "a poem"}), owner=LOCAL, needs_approval=True)


@contextlib.contextmanager
def serving(database_url: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Serve the API over a new database; gives its address and an admin key."""
    key = "atl_" + secrets.token_hex(20)
    settings = Settings(
        home=folder, blobs_url=str(folder / "blobs"), encoder="hash", admin_key=SecretStr(key), max_upload_mb=1
    )
    database = Database(database_url)
    migrate(database)
    context = Context(settings, database, Blobs(folder / "blobs"), Post(), None)
    furnish(context)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(context), log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    hands = Hands(Database(database_url))
    thread.start()
    hands.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", key
    finally:
        hands.end()
        server.should_exit = True
        thread.join()
        listener.close()


def ask(url: str, key: str, *options: str, phases: Sequence[str] = PHASES) -> subprocess.CompletedProcess[str]:
    """Let schemathesis ask; its exit status is 0 where the description told the truth."""
    words = [
        *(str(PROGRAM), "run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {key}"),
        *("--checks", ",".join(CHECKS), "--phases", ",".join(phases), "--request-timeout", "20"),
        *("--suppress-health-check", "all", "--no-color", "--warnings", "off"),
        *options,
    ]
    with tempfile.TemporaryDirectory() as folder:  # it reads settings where it runs, and leaves some
        Path(folder, "schemathesis.toml").write_text(SETTINGS)
        return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def main() -> int:
    """Ask for some minutes on one database or the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--postgresql", metavar="URL", help="an empty database is made there; none: SQLite")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", metavar="PATH", default=None, help="paths that match this pattern")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sqlite = f"sqlite:///{folder}/studio.db"
        database = stack.enter_context(postgresql(given.postgresql)) if given.postgresql else sqlite
        url, key = stack.enter_context(serving(database, folder))
        options = ["--max-time", str(int(60 * given.minutes)), "--max-examples", "1000"]
        options += ["--generation-database", "none"]
        options += ["--seed", str(given.seed)] if given.seed is not None else []
        options += ["--include-path-regex", given.only] if given.only else []
        done = ask(url, key, "--continue-on-failure", *options)
    sys.stdout.write(done.stdout + done.stderr)
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
