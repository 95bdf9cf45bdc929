"""The documents in a folder: what may be read, and the bytes of one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tools.knowledge.document import UnreadableError
from tools.knowledge.read import MOST_BYTES, is_document

MOST_FILES = 10_000


@dataclass(frozen=True)
class File:
    """A file that was seen; `path` is its name below the folder as text, `at` where it really lies."""

    path: str
    at: Path
    size_bytes: int
    modified_at: float


@dataclass(frozen=True)
class Looked:
    """What was seen in a folder.

    Attributes:
        files: by path.
        problem: why that is not all, or None.
        whole: what is not among the files is gone; False where a part could not be looked at.
    """

    files: tuple[File, ...]
    problem: str | None = None
    whole: bool = True


def look(folder: Path, most: int = MOST_FILES) -> Looked:
    """Look through a folder and those below it for documents; hidden ones, and links that lead out, are left out."""
    hidden: list[str] = []
    try:
        root = folder.resolve(strict=True)
        if not root.is_dir():
            return Looked((), f"{str(folder)!r} is no folder", whole=False)
        found = list(islice(_below(root, hidden), most + 1))
    except OSError as error:
        return Looked((), f"folder {str(folder)!r} cannot be read: {error.strerror}", whole=False)
    problem = hidden[0] if hidden else None
    if len(found) > most:
        problem = f"folder {str(folder)!r} has more than {most:,} documents; the others are not read"
    return Looked(tuple(sorted(found[:most], key=lambda file: file.path)), problem, whole=not hidden)


def content(file: File) -> bytes:
    """Give the bytes of a file, at most one more than is allowed.

    Raises:
        FileNotFoundError: it is gone.
        UnreadableError: it cannot be opened, or is something else than a file by now.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # neither a link nor a pipe that nobody writes to
    try:
        with os.fdopen(os.open(file.at, flags), "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise UnreadableError("it is no file")
            if _opened(opened.fileno()) not in {None, str(file.at)}:  # a folder above it became a link since
                raise FileNotFoundError(file.path)
            return opened.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(f"it cannot be opened: {error.strerror}") from error


def _opened(number: int) -> str | None:
    """Give where an open file really lies, if the system says it."""
    try:
        return str(Path(f"/proc/self/fd/{number}").readlink())
    except OSError:
        return None


def _below(root: Path, hidden: list[str]) -> Iterator[File]:
    def cannot(error: OSError) -> None:
        hidden.append(f"folder {str(error.filename)!r} cannot be read: {error.strerror}")

    for folder, names, files in os.walk(root, onerror=cannot):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith((".", "~$")) and is_document(name):  # "~$": a lock of an office program
                file = _file(root, Path(folder) / name)
                if file is not None:
                    yield file


def _file(root: Path, path: Path) -> File | None:
    """Give a file if what its name leads to lies below the root."""
    try:
        at = path.resolve(strict=True)
        seen = at.stat()
    except (OSError, RuntimeError):
        return None  # it went away, or is a link to nothing or to itself
    if not at.is_relative_to(root) or not stat.S_ISREG(seen.st_mode):
        return None
    name = os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "replace")
    return File(name, at, seen.st_size, seen.st_mtime)
