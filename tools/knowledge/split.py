"""Splits a document into passages of about 120 to 220 words, on the borders of headings and paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tools.knowledge.document import Document

LEAST = 700  # characters; a shorter piece goes together with the next one
MOST = 1400  # a longer block is torn
PART = 300  # of what a vector is made of: a sentence or two says more exactly what it is about than a whole passage
BETWEEN = " › "
VERSION = 1  # raised when the same document gives other passages
_ENDS = ["\n\n", "\n", ". ", "? ", "! ", "; ", ", ", " ", ""]


@dataclass(frozen=True)
class Passage:
    """A passage of a document: its headings or page, and its words."""

    place: str
    text: str


@dataclass(frozen=True)
class _Piece:
    path: tuple[str, ...]
    text: str


def split(document: Document) -> list[Passage]:
    """Give the passages of a document, in order."""
    passages: list[Passage] = []
    held: list[_Piece] = []
    for piece in _pieces(document):
        if held and (_size(held) >= LEAST or _size(held) + len(piece.text) > MOST):
            passages.append(_passage(held))
            held = []
        held.append(piece)
    return [*passages, _passage(held)] if held else passages


def said(title: str, passage: Passage) -> list[str]:
    """Give the texts that stand for a passage in a space: the whole and its parts, each under its headings."""
    head = BETWEEN.join(name for name in (title, passage.place) if name)
    parts = _torn(passage.text, PART)
    return [f"{head}\n{text}" for text in ([passage.text, *parts] if len(parts) > 1 else [passage.text])]


def _pieces(document: Document) -> Iterator[_Piece]:
    """Give blocks of at most `MOST` characters: as much of a section as fits together."""
    for section in document.sections:
        held = ""
        for block in _blocks(section.text):
            if held and len(held) + len(block) + 2 > MOST:
                yield _Piece(section.path, held)
                held = ""
            held = f"{held}\n\n{block}" if held else block
        if held:
            yield _Piece(section.path, held)


def _blocks(text: str) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", text):
        if len(block) <= MOST:
            if block.strip():
                yield block.strip("\n")
        elif _is_table(block):
            yield from _torn_table(block)
        else:
            yield from _torn(block)


def _is_table(block: str) -> bool:
    return all(line.lstrip().startswith("|") for line in block.split("\n"))


def _torn_table(table: str) -> Iterator[str]:
    """Tear a table between rows and repeat its head."""
    rows = table.split("\n")
    heads = 2 if len(rows) > 1 and re.fullmatch(r"[|:\- ]+", rows[1]) else 1
    head = "\n".join(rows[:heads])[: MOST // 2]
    held = head
    for row in rows[heads:]:
        for part in [row] if len(row) < MOST // 2 else _torn(row, MOST // 2):
            if len(held) + len(part) + 1 > MOST:
                yield held
                held = head
            held += f"\n{part}"
    if held != head:
        yield held


def _torn(block: str, most: int = MOST) -> list[str]:
    """Tear a long paragraph or list where it hurts least: lines, sentences, words."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(
        separators=_ENDS, keep_separator="end", chunk_size=most, chunk_overlap=0, strip_whitespace=True
    )
    return list(splitter.split_text(block))


def _size(pieces: list[_Piece]) -> int:
    return sum(len(piece.text) + 2 for piece in pieces)


def _passage(pieces: list[_Piece]) -> Passage:
    """Join pieces; where they are of several sections, each begins with its heading."""
    paths = list(dict.fromkeys(piece.path for piece in pieces))
    common = _common(paths)
    texts: list[str] = []
    before: tuple[str, ...] | None = None
    for piece in pieces:
        below = piece.path[len(common) :]
        if len(paths) > 1 and below and piece.path != before:
            texts.append(f"{BETWEEN.join(below)}\n{piece.text}")
        else:
            texts.append(piece.text)
        before = piece.path
    names = [path[len(common)] for path in paths if len(path) > len(common)]
    place = BETWEEN.join([*common, ", ".join(dict.fromkeys(names))] if names else common)
    return Passage(place, "\n\n".join(texts))


def _common(paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Give the headings that stand above all of some paths; of a single path all of it."""
    common = paths[0]
    for path in paths[1:]:
        same = [a == b for a, b in zip(common, path, strict=False)]
        common = common[: same.index(False) if False in same else len(same)]
    return common
