"""Finds the words of an answer without steps in what a model writes, while it writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

_START = {
    "lines": re.compile(r"^\s*reply="),
    "json": re.compile(r'^.*"steps"\s*:\s*\[\s*\]\s*,\s*"reply"\s*:\s*', re.DOTALL),
}


class ReplyStream:
    """Collects a model's text; tells the reply's words as they come, if the plan has no steps.

    Attributes:
        text: all that came.
    """

    def __init__(self, on_text: Callable[[str], None] | None, dialect: str) -> None:
        self.text = ""
        self._on_text, self._start = on_text, _START[dialect]
        self._told = 0

    def take(self, piece: str) -> None:
        """Take the next piece of the model's text."""
        self.text += piece
        if self._on_text is None or not (found := self._start.match(self.text)):
            return
        words = self._words(self.text[found.end() :])
        if len(words) > self._told:
            self._on_text(words[self._told :])
            self._told = len(words)

    @staticmethod
    def _words(written: str) -> str:
        """Read as much of a JSON string as is there."""
        found = re.match(r'"(?:[^"\\]|\\(?:u[0-9a-fA-F]{4}|[^u]))*', written)
        if not found:
            return ""
        try:
            return str(json.loads(found[0] + '"', strict=False))
        except ValueError:
            return ""
