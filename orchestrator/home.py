"""The data folder: who holds it, where it is reached, and where its private socket lies."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from orchestrator.errors import StudioHeld, StudioNotReady

LOCK = "studio.lock"
CARD = "studio.json"
SOCKET_PATH_BYTES = 100  # the system's limit is 107 bytes and a NUL
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")  # needs no quoting in a URL


@dataclass(frozen=True)
class Card:
    """What a running studio says about itself in `studio.json`, which only its user can read.

    `key` opens this studio while it runs: whoever can read the data folder may do everything in it anyway.
    """

    pid: int
    url: str
    port: int
    started_at: float
    embedded: bool
    key: str | None = field(default=None, repr=False)

    @property
    def since(self) -> str:
        """The local time at which it was started."""
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.started_at))


def hold(home: Path, *, wait_s: float = 0.5) -> FileLock:
    """Take the data folder for this process; it is given back when the process ends, however it ends.

    Raises:
        StudioHeld: another process has it.
        StudioNotReady: the folder cannot be written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(home / LOCK)
        lock.acquire(timeout=wait_s)
    except Timeout:
        raise StudioHeld(_held(home)) from None
    except OSError as error:
        raise StudioNotReady(f"the data folder {str(home)!r} cannot be written: {error.strerror}") from error
    return lock


def _held(home: Path) -> str:
    card = read_card(home)
    if card is None:
        return f"the data folder {str(home)!r} is held by a studio that is starting or ending; try again in a moment"
    return (
        f"the data folder {str(home)!r} is held by a studio with process id {card.pid}, at {card.url}, "
        f"since {card.since}; use that one, end it, or choose another folder with ATELIER_HOME"
    )


def is_held(home: Path) -> bool:
    """Say whether a living process holds the data folder."""
    if not (home / LOCK).exists():
        return False
    try:
        with FileLock(home / LOCK, timeout=0):
            return False
    except Timeout:
        return True


def read_card(home: Path) -> Card | None:
    """Read `studio.json`; None where it is missing or not ours."""
    try:
        said: dict[str, Any] = json.loads((home / CARD).read_text())
        return Card(**said)
    except (OSError, ValueError, TypeError):
        return None


def write_card(home: Path, card: Card) -> None:
    """Write `studio.json` so that a reader sees all of it or nothing."""
    new = home / f"{CARD}.{card.pid}"
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(asdict(card), indent=2) + "\n")
    new.replace(home / CARD)


def remove_card(home: Path) -> None:
    """Remove `studio.json` at the end."""
    (home / CARD).unlink(missing_ok=True)


def running(home: Path) -> Card | None:
    """Give the card of the studio that runs on this data folder, None where none does."""
    card = read_card(home)
    return card if card is not None and is_held(home) else None


def socket_path(home: Path) -> Path:
    """Give the path of the broker's socket, in a folder that only we can enter.

    A socket's path is short by law: under a deep data folder it goes to the user's runtime folder instead.

    Raises:
        StudioNotReady: the short folder exists and belongs to somebody else.
    """
    path = home / "run" / "broker.sock"
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES or not PLAIN_PATH.fullmatch(str(path)):
        path = _short_folder(home) / "broker.sock"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.parent.is_symlink() or path.parent.stat().st_uid != os.getuid():
        raise StudioNotReady(f"{str(path.parent)!r} belongs to somebody else; set TMPDIR or a shorter ATELIER_HOME")
    path.parent.chmod(0o700)
    return path


def _short_folder(home: Path) -> Path:
    key = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.access(runtime, os.W_OK) and len(runtime) < 60 and PLAIN_PATH.fullmatch(runtime):
        return Path(runtime) / f"atelier-{key}"
    temporary = tempfile.gettempdir()
    if len(temporary) > 60 or not PLAIN_PATH.fullmatch(temporary):
        temporary = "/tmp"  # noqa: S108  # the folder below it is ours alone, and checked
    return Path(temporary) / f"atelier-{os.getuid()}-{key}"
