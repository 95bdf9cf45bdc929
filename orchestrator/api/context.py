"""What every route works with, and who is asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, TypeVar

from anyio import to_thread
from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.api.keyring import ASKED_WITH, Caller, Keyring
from orchestrator.errors import Forbidden, Unauthorized
from orchestrator.settings import Settings
from store import keys, transition
from store.blobs import Blobs
from store.database import Database
from store.transition import Transition
from tools import catalog
from tools.base import ToolSpec
from workers.catalogue import Catalogue
from workers.watch import Watch

if TYPE_CHECKING:
    from store.index import Index
    from workers.messages import Messenger

T = TypeVar("T")
BEARER = HTTPBearer(auto_error=False, description="a key of `atelier keys create`; a studio without keys needs none")


@dataclass(frozen=True)
class Context:
    """The open connections of an API process; made and closed by the application."""

    settings: Settings
    database: Database
    blobs: Blobs
    messenger: Messenger
    index: Index | None
    local_key: str | None = field(default=None, repr=False)
    watch: Watch = field(default_factory=Watch)

    @cached_property
    def keyring(self) -> Keyring:
        """Give what this process knows of keys."""
        return Keyring(self.database, self.settings, self.local_key)

    @cached_property
    def _catalogue(self) -> Catalogue:
        return Catalogue(self.database, catalog.specs())

    def tools(self, owner: str) -> Mapping[str, ToolSpec]:
        """Give the tools that an owner's plans can use."""
        return self._catalogue.tools(owner)

    def commit(self, change: Callable[[Transition], T]) -> T:
        """Commit a change of state durably, then send its wake-up calls."""
        with self.watch.span("sql.transaction"):
            result, wakes = transition.run(self.database, change, durable=True)
        self.messenger.send(wakes)
        return result


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


async def identify(request: Request, _: Annotated[object, Security(BEARER)]) -> Caller:
    """Say who asks; every route but the open ones depends on it.

    Raises:
        Unauthorized: this studio asks for a key, and there is none or not one that is valid.
    """
    keyring = _context(request).keyring
    given = request.headers.getlist("authorization")
    at_once = keyring.at_once(given)
    caller = await to_thread.run_sync(keyring.caller, given) if at_once is None else at_once
    ASKED_WITH.set(caller.key_id)
    return caller


Known = Annotated[Caller, Depends(identify)]


async def _owner(request: Request, caller: Known) -> str:
    return _as(caller, keys.READ if request.method in {"GET", "HEAD"} else keys.MAKE)


async def _reader(caller: Known) -> str:
    return _as(caller, keys.READ)


async def _admin(caller: Known) -> str:
    return _as(caller, keys.ADMIN)


async def _is_stranger(request: Request) -> bool:
    try:
        await identify(request, None)
    except (Unauthorized, SQLAlchemyError):  # without the database: who asks is to hear that we are not ready
        return True
    return False


def _as(caller: Caller, scope: str) -> str:
    if not caller.may(scope):
        has = ", ".join(sorted(caller.scopes))
        raise Forbidden(f"this needs a key with the scope {scope!r}; yours has {has}")
    return caller.owner


Here = Annotated[Context, Depends(_context)]
Owner = Annotated[str, Depends(_owner)]  # whose things: with the scope read to look, make for everything else
Reader = Annotated[str, Depends(_reader)]  # of a POST that only looks
Admin = Annotated[str, Depends(_admin)]  # may change what all owners share
Stranger = Annotated[bool, Depends(_is_stranger)]  # on a route that answers without a key: whether it came with none
