"""What a connection to a solution knows of itself: its limits, why it ended, and what the other side printed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tools.solutions.arguments import one_line
from tools.solutions.base import SolutionAway, SolutionError, SolutionFault

OVERHEAD_BYTES = 1 << 16  # of a message around its content
UNASKED = 4  # so many of the longest messages may come after a call began
SAID = 500  # characters that a message quotes
KEPT_BYTES = 4 * SAID
SECRET = 4  # characters; a shorter one says nothing, and would blank out half a message


class Talk:
    """One connection, from its start to its end; used on the thread of its event loop.

    Args:
        name: who is talked to, for messages.
        limit_bytes: the most that an answer may have.
        secrets: never shown.
    """

    def __init__(self, name: str, limit_bytes: int, secrets: Iterable[str] = ()) -> None:
        self.name = name
        self.limit_bytes = limit_bytes
        self.longest_bytes = limit_bytes * 4 // 3 + OVERHEAD_BYTES  # content comes in base64
        self.why: SolutionError | None = None
        self.over = asyncio.Event()
        self.status: int | None = None  # of the last HTTP answer
        self._secrets = [secret for secret in secrets if len(secret) >= SECRET]
        self._printed = b""
        self._heard_bytes = 0

    def end(self, why: SolutionError) -> None:
        """End the connection; the first reason counts."""
        if not self.over.is_set():
            self.why = self.why or why
        self.over.set()

    def asked(self) -> None:
        """Note that a call begins: it may be answered at length, and what was printed before says nothing about it."""
        self._heard_bytes = 0
        self._printed = b""

    def heard(self, size_bytes: int) -> None:
        """Note what came.

        Raises:
            SolutionFault: it is more than any call asked for.
        """
        self._heard_bytes += size_bytes
        if self._heard_bytes > UNASKED * self.longest_bytes:
            raise SolutionFault(f"{self.name} sends without end")

    def too_much(self) -> SolutionFault:
        """Give the fault of an answer that is too long."""
        return SolutionFault(f"{self.name} answered more than {self.limit_bytes:,} bytes, the limit of this solution")

    def printed(self, chunk: bytes) -> None:
        """Keep the end of what it printed for people."""
        self._printed = (self._printed + chunk)[-KEPT_BYTES:]

    def away(self, what: str) -> SolutionAway:
        """Give an error that quotes what was printed last: `what` follows the name."""
        printed = self.shown(self._printed.decode(errors="replace")[-SAID:])
        return SolutionAway(f"{self.name} {what}" + (f"; it printed last: {printed}" if printed else ""))

    def shown(self, text: str) -> str:
        """Give a text of the other side for a message: on one line, cut, without our secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return one_line(text, SAID)
