"""Reads the pictures of a look from a folder, and their captions from a table beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import BadRequest
from tools.base import InvalidInput

COLUMNS = ("file", "caption")
LEAST_SIDE_PX = 32


@dataclass(frozen=True)
class Picture:
    """A file, its bytes, and what it shows."""

    path: Path
    content: bytes
    caption: str


def read(images: Path, captions: Path) -> list[Picture]:
    """Give the pictures that the table names.

    Args:
        images: the folder that the names in the table are relative to.
        captions: CSV, or JSON a line, with the columns file and caption.

    Raises:
        BadRequest: the table or a picture cannot be read, or there are too few; the message names it.
    """
    from models.style.pictures import LEAST, MOST

    rows = [_picture(images, captions, number, row) for number, row in _rows(captions)]
    if not LEAST <= len(rows) <= MOST:
        raise BadRequest(
            f"{str(captions)!r} names {len(rows)} pictures; a style needs {LEAST} to {MOST}, about 50 are good"
        )
    return rows


def _rows(captions: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = captions.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"the captions {str(captions)!r} cannot be read: {error}") from error
    if captions.suffix.lower() in {".jsonl", ".ndjson"}:
        yield from _json_rows(captions, text)
        return
    table = csv.DictReader(text.splitlines())
    if not set(COLUMNS) <= set(table.fieldnames or ()):
        raise BadRequest(f"{str(captions)!r} needs the columns file and caption in its first line")
    for row in table:
        yield table.line_num, dict(row)


def _json_rows(captions: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BadRequest(f"line {number} of {str(captions)!r} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise BadRequest(f'line {number} of {str(captions)!r} must be an object: {{"file": …, "caption": …}}')
        yield number, row


def _picture(images: Path, captions: Path, number: int, row: dict[str, Any]) -> Picture:
    from tools import pictures

    name, caption = (str(row.get(column) or "").strip() for column in COLUMNS)
    if not name or not caption:
        raise BadRequest(f"line {number} of {str(captions)!r} needs a file and a caption")
    path = images / name
    try:
        content = path.read_bytes()
        height, width, _ = pictures.decode(content, str(path)).shape
    except OSError as error:
        raise BadRequest(f"line {number} of {str(captions)!r} names {str(path)!r}: {error.strerror}") from error
    except InvalidInput as error:
        raise BadRequest(str(error)) from error
    if min(height, width) < LEAST_SIDE_PX:
        raise BadRequest(f"{path} has {width} × {height} pixels; a style needs {LEAST_SIDE_PX} on each side")
    return Picture(path, content, caption)
