"""What a document is once it was read: sections of text, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TITLE_CHARACTERS = 200
# Control characters, and signs that nobody sees: zero-width spaces, turns of the writing direction, "tag" characters.
# The two joiners (U+200C, U+200D) stay: some scripts and emoji need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]"
)
_BREAKS = re.compile("\r\n?|[\u2028\u2029\x85]")


class UnreadableError(Exception):
    """A document could not be read; the message is for people."""


@dataclass(frozen=True)
class Section:
    """A piece under one heading, or of one page.

    Attributes:
        path: the headings above it, outermost first, or ("page 3",).
        text: paragraphs, lists and tables, with an empty line between them.
    """

    path: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Document:
    """A document that was read; without a title of its own it is known by its name."""

    title: str
    sections: tuple[Section, ...]


@dataclass
class Outline:
    """Collects headings and lines in the order in which they are met."""

    _path: list[tuple[int, str]] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _sections: list[Section] = field(default_factory=list)

    def heading(self, level: int, text: str) -> None:
        """Begin a section under a heading; 1 is the outermost level."""
        self._end()
        text = one_line(text)[:TITLE_CHARACTERS]
        if text:
            self._path = [*((above, name) for above, name in self._path if above < level), (level, text)]

    def retitle(self, level: int, text: str) -> None:
        """Make the line before this one a heading."""
        self._lines.pop()
        self.heading(level, text)

    def line(self, text: str) -> None:
        """Add a line; an empty one ends a paragraph."""
        self._lines.append(text.rstrip())

    def document(self, title: str = "", *, whole: bool = True) -> Document:
        """Give what was collected.

        Args:
            title: one that the document says beside its text.
            whole: a heading that stands above everything is the title, and no part of the places.
        """
        self._end()
        sections = self._sections
        tops = {section.path[:1] for section in sections}
        if whole and len(tops) == 1 and (top := tops.pop()):
            title = top[0]
            sections = [Section(section.path[1:], section.text) for section in sections]
        return Document(one_line(title)[:TITLE_CHARACTERS], tuple(sections))

    def _end(self) -> None:
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")
        if text.strip():
            self._sections.append(Section(tuple(name for _, name in self._path), text))
        self._lines.clear()


def cleaned(text: str) -> str:
    """Give a text without what cannot be stored or seen, its lines ended alike."""
    text = _UNSEEN.sub("", _BREAKS.sub("\n", text))
    return text.encode("utf-8", "replace").decode("utf-8")


def one_line(text: str) -> str:
    """Give a text on one line."""
    return " ".join(text.split())
