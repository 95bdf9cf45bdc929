"""One message of an MCP client, as the handlers see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from orchestrator.api.context import Context
from orchestrator.api.keyring import Caller
from orchestrator.errors import Forbidden
from store import keys


@dataclass
class Turn:
    """Who sent it, in which session, and whether they have left since.

    Attributes:
        session: the name that this studio gave to the client, or None where its protocol has none.
        is_left: the client closed the connection before it had its answer.
    """

    KEY: ClassVar[str] = "atelier.turn"
    caller: Caller
    session: str | None = None
    is_left: bool = False

    @property
    def owner(self) -> str:
        """Give whose things it is about."""
        return self.caller.owner

    def require_make(self) -> None:
        """Let only those go on who may make things.

        Raises:
            Forbidden: their key does not go that far.
        """
        if not self.caller.may(keys.MAKE):
            has = ", ".join(sorted(self.caller.scopes))
            raise Forbidden(f"this needs a key with the scope {keys.MAKE!r}; yours has {has}")

    def call_key(self, request_id: Any) -> str | None:
        """Give what names the run of a call for good, or None where nobody could name it again."""
        return None if self.session is None else f"mcp:{self.session}:{json_id(request_id)}"


def json_id(request_id: Any) -> str:
    """Write the number of a call so that 1 and "1" differ, at most 100 characters."""
    return repr(request_id)[:100]


@dataclass(frozen=True)
class Desk:
    """What a handler works with: the studio's connections, and the turn."""

    context: Context
    turn: Turn

    @property
    def owner(self) -> str:
        """Give whose things it is about."""
        return self.turn.owner
