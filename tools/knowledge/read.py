"""Bytes and a name to a document: Markdown and text here, HTML, PDF and DOCX in a child process with limits."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tools.knowledge import plain
from tools.knowledge.document import Document, Section, UnreadableError

MOST_BYTES = 20 << 20  # of a file
MOST_CHARACTERS = 4_000_000  # of a document's text, about 4,000 pages
WALL_S = 90.0
KILLED = {-9: "it takes too long, or too much memory", -24: "it takes too long", -25: "it has too much text"}
FORMATS = {
    ".md": "markdown", ".markdown": "markdown", ".txt": "text", ".text": "text", ".html": "html", ".htm": "html",
    ".pdf": "pdf", ".docx": "docx",
}  # fmt: skip


def is_document(name: str) -> bool:
    """Say whether a file of this name is of a format that can be read."""
    return PurePosixPath(name).suffix.lower() in FORMATS


def read(name: str, content: bytes, *, wall_s: float = WALL_S) -> Document:
    """Read a document; without a title of its own it gets its name's.

    Args:
        name: tells the format by its end.
        wall_s: the longest that a child process may take.

    Raises:
        UnreadableError: it is too large, damaged, hostile, without text, or of a format that is not read.
    """
    if not is_document(name):
        raise UnreadableError(f"only these are read: {', '.join(FORMATS)}")
    if len(content) > MOST_BYTES:
        raise UnreadableError(f"it is larger than {MOST_BYTES >> 20} MB")
    document = _read(FORMATS[PurePosixPath(name).suffix.lower()], content, wall_s)
    size = sum(len(section.text) for section in document.sections)
    if size == 0:
        raise UnreadableError(
            "there is no text in it" + (" (only pictures of pages?)" if name.lower().endswith(".pdf") else "")
        )
    if size > MOST_CHARACTERS:
        raise UnreadableError(f"it has more than {MOST_CHARACTERS:,} characters; split it")
    return replace(document, title=document.title or PurePosixPath(name).stem)


def _read(form: str, content: bytes, wall_s: float) -> Document:
    if form == "markdown":
        return plain.markdown(content)
    if form == "text":
        return plain.text(content)
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answer:
        given.write(content)
        given.seek(0)
        _run_child(form, given, answer, wall_s)
        answer.seek(0)
        try:
            said = json.load(answer)
        except ValueError as error:
            raise UnreadableError("its reader ended before it was done") from error
    if "error" in said:
        raise UnreadableError(said["error"])
    return Document(said["title"], tuple(Section(tuple(path), text) for path, text in said["sections"]))


def _run_child(form: str, given: BinaryIO, answer: BinaryIO, wall_s: float) -> None:
    """Let the child write its answer into a file: nobody waits for the other, and the file's size has a limit."""
    try:
        child = subprocess.run(
            [sys.executable, "-m", "tools.knowledge.rich", form],
            stdin=given,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).resolve().parents[2],
            env={"PYTHONIOENCODING": "utf-8"},  # no secrets
            timeout=wall_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadableError(f"it takes more than {wall_s:g} s to read") from error
    if child.returncode != 0:
        why = KILLED.get(child.returncode, f"its reader ended with {child.returncode}")
        raise UnreadableError(why)
