"""What every route works with, and who is asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import Depends, Request

from orchestrator.settings import Settings
from store import transition
from store.blobs import Blobs
from store.database import Database
from store.transition import Transition
from tools import catalog
from tools.base import ToolSpec
from workers.catalogue import Catalogue

if TYPE_CHECKING:
    from store.index import ChromaIndex
    from workers.messages import Messenger

T = TypeVar("T")
LOCAL = "local"  # the owner of everything on a machine without keys


@dataclass(frozen=True)
class Context:
    """The open connections of an API process; made and closed by the application."""

    settings: Settings
    database: Database
    blobs: Blobs
    messenger: Messenger
    index: ChromaIndex | None

    @cached_property
    def _catalogue(self) -> Catalogue:
        return Catalogue(self.database, catalog.specs())

    def tools(self, owner: str) -> Mapping[str, ToolSpec]:
        """Give the tools that an owner's plans can use."""
        return self._catalogue.tools(owner)

    def commit(self, change: Callable[[Transition], T]) -> T:
        """Commit a change of state durably, then send its wake-up calls."""
        result, wakes = transition.run(self.database, change, durable=True)
        self.messenger.send(wakes)
        return result


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _owner() -> str:
    """Say who asks; every route depends on it. Keys come here."""
    return LOCAL


Here = Annotated[Context, Depends(_context)]
Owner = Annotated[str, Depends(_owner)]
Admin = Annotated[str, Depends(_owner)]  # may change what all owners share; without keys that is whoever is here
