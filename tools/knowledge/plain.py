"""Reads Markdown and plain text: what needs no parser that could be tricked."""

from __future__ import annotations

import codecs
import re

from tools.knowledge.document import Document, Outline, UnreadableError, cleaned

_MARKS = (  # the longer mark of UTF-32 begins like UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SNIFFED = 4096  # bytes that an encoding without a mark is guessed from
_NULS = 0.3  # share of NULs in one half of the bytes that tells UTF-16
_UNPRINTABLE = 0.1  # share of characters that no text has
_ODD = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd]")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_HEADING_MARKS = re.compile(r"[*`]|(?<!\w)_|_(?!\w)")
_LONGEST_HEADING = 1000  # characters; the patterns take as long as the square of a line


def markdown(content: bytes) -> Document:
    """Read Markdown: headings give the places, code is not searched for headings.

    Raises:
        UnreadableError: it is no text.
    """
    text = _without_comments(_FRONT.sub("", decoded(content)))
    outline = Outline()
    fence = ""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        found = _FENCE.match(line)
        if found and (not fence or found.group(1).startswith(fence)):
            fence = "" if fence else found.group(1)
        heading = None if fence or len(line) > _LONGEST_HEADING else _HEADING.match(line)
        above = lines[number - 1].strip() if number else ""
        if heading:
            outline.heading(len(heading.group(1)), _plain(heading.group(2) or ""))
        elif not fence and _UNDERLINE.match(line) and _may_be_heading(lines, number):
            outline.retitle(1 if "=" in line else 2, _plain(above))
        else:
            outline.line(line)
    return outline.document()


def text(content: bytes) -> Document:
    """Read plain text: one section.

    Raises:
        UnreadableError: it is no text.
    """
    outline = Outline()
    for line in decoded(content).split("\n"):
        outline.line(line)
    return outline.document()


def decoded(content: bytes) -> str:
    """Give bytes as text: by their mark, as UTF-8, as UTF-16 where every other byte is NUL, else as Windows-1252.

    Raises:
        UnreadableError: it is no text.
    """
    given = _decoded(content)
    sample = given[:_SNIFFED]
    if len(_ODD.findall(sample)) > _UNPRINTABLE * len(sample):
        raise UnreadableError("it is no text")
    return cleaned(given)


def _decoded(content: bytes) -> str:
    for mark, name in _MARKS:
        if content.startswith(mark):
            return content.decode(name, "replace")
    sample = content[:_SNIFFED]
    for half, name in ((sample[1::2], "utf-16-le"), (sample[::2], "utf-16-be")):
        if half.count(0) > _NULS * len(half) > 0:
            return content.decode(name, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _may_be_heading(lines: list[str], number: int) -> bool:
    """Say whether the line above an underline is a paragraph of one line."""
    above = lines[number - 1] if number else ""
    before = lines[number - 2] if number > 1 else ""
    return (
        0 < len(above.strip()) <= _LONGEST_HEADING
        and not before.strip()
        and not above.lstrip().startswith(("|", "-", "*", ">", "#"))
    )


def _without_comments(text: str) -> str:
    """Take comments out; one that never ends is text."""
    kept = []
    at = 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[at:start])
        at = end + 3
    return "".join([*kept, text[at:]])


def _plain(heading: str) -> str:
    """Give a heading without its marks: links, code, emphasis."""
    return _HEADING_MARKS.sub("", re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading))
