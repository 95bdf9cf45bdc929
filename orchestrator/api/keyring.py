"""Who asks: the keys that this process knows, fresh from SQL every two seconds."""

from __future__ import annotations

import hmac
import logging
import re
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import SettingsError, StudioNotReady, Unauthorized
from orchestrator.settings import Settings
from store import keys
from store.database import Database
from store.keys import Key

logger = logging.getLogger("atelier.api")

LOCAL = "local"  # the owner of everything on a machine without keys, and of what the admin key makes
FRESH_S = 2.0  # a key that is revoked somewhere is refused everywhere after this
MOST_KNOWN = 4096
BEARER = re.compile(r"bearer +([!-~]+)", re.IGNORECASE)
WANTED = "this studio asks for a key: send `Authorization: Bearer atl_…` (the command line: ATELIER_KEY)"
REFUSED = "this key is not known here, was revoked, or has expired; `atelier keys create` makes another"


@dataclass(frozen=True)
class Caller:
    """Who asks, and for what that is enough."""

    owner: str
    scopes: frozenset[str]
    key_id: str | None = None  # None: no key of the database

    def may(self, scope: str) -> bool:
        """Say whether a scope is among theirs; an admin has all."""
        return scope in self.scopes or keys.ADMIN in self.scopes


@dataclass(frozen=True)
class _Seen:
    key: Key
    until: float  # on the monotonic clock


ASKED_WITH: ContextVar[str | None] = ContextVar("asked_with", default=None)  # the id of the key of this request
EVERYTHING = Caller(LOCAL, frozenset(keys.SCOPES))


class Keyring:
    """Knows callers by their keys.

    Without any key, a studio on loopback is whoever's who sits there. It asks everybody for a key as soon as it listens
    on another address, an admin key is set, or a key was ever made.
    """

    def __init__(self, database: Database, settings: Settings, local_key: str | None = None) -> None:
        """Know the keys of a database.

        Args:
            local_key: the key in the data folder, for who can read that.
        """
        self._database = database
        admin = settings.admin_key
        given = (None if admin is None else admin.get_secret_value(), local_key)
        self._masters = tuple(keys.digest(one) for one in given if one)
        self._always_locked = admin is not None or not settings.is_loopback  # and once a key was seen
        self._locked_until = 0.0  # when it is to be asked again whether a key was made
        self._known: dict[str, _Seen] = {}

    def is_locked(self) -> bool:
        """Say whether everybody needs a key; asks SQL every two seconds while nobody does."""
        if self._always_locked:
            return True
        if time.monotonic() >= self._locked_until:
            with self._database.read() as connection:
                there = keys.are_there(connection)
            if there:
                self._always_locked = True
            self._locked_until = time.monotonic() + FRESH_S
        return self._always_locked

    def lock(self) -> None:
        """Ask everybody for a key from now on: one was made here."""
        self._always_locked = True

    def at_once(self, headers: Sequence[str]) -> Caller | None:
        """Give the caller if that takes no SQL, else None; see `caller`."""
        if not self._always_locked:
            return EVERYTHING if time.monotonic() < self._locked_until else None
        sha256 = _digest(headers)
        if self._is_master(sha256):
            return EVERYTHING
        seen = self._known.get(sha256)
        return _caller(seen.key) if seen is not None and time.monotonic() < seen.until else None

    def caller(self, headers: Sequence[str]) -> Caller:
        """Say who asks.

        Args:
            headers: all Authorization headers of the request.

        Raises:
            Unauthorized: a key is needed, and there is none or not one that is valid.
        """
        if not self.is_locked():
            return EVERYTHING
        sha256 = _digest(headers)
        return EVERYTHING if self._is_master(sha256) else _caller(self._look_up(sha256))

    def _is_master(self, sha256: str) -> bool:
        return any(hmac.compare_digest(sha256, one) for one in self._masters)

    def _look_up(self, sha256: str) -> Key:
        with self._database.read() as connection:
            key = keys.by_digest(connection, sha256)
        if key is None or not key.is_valid(time.time()):
            self._known.pop(sha256, None)
            raise Unauthorized(REFUSED)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[sha256] = _Seen(key, time.monotonic() + FRESH_S)
        self._note_use(key)
        return key

    def _note_use(self, key: Key) -> None:
        now = time.time()
        if not keys.is_due(key, now):
            return
        try:
            self._database.transact(lambda connection: keys.touch(connection, key.id, now=now))
        except SQLAlchemyError as error:  # what was asked for does not need it
            logger.warning("it could not be noted that key %s was used: %s", key.id, type(error).__name__)


def _digest(headers: Sequence[str]) -> str:
    if not headers:
        raise Unauthorized(WANTED)
    match = BEARER.fullmatch(headers[0].strip())
    if match is None or len(headers) > 1:
        raise Unauthorized(WANTED)
    return keys.digest(match[1])


def _caller(key: Key) -> Caller:
    if not key.is_valid(time.time()):
        raise Unauthorized(REFUSED)
    return Caller(key.owner, frozenset(key.scopes), key.id)


def require_key(settings: Settings, database: Database) -> None:
    """Refuse to serve other machines while nobody could be asked for a key.

    Raises:
        SettingsError: there is none; the message says how to make one.
        StudioNotReady: the database cannot be asked.
    """
    if settings.is_loopback or settings.admin_key is not None:
        return
    try:
        with database.read() as connection:
            there = keys.are_there(connection)
    except SQLAlchemyError as error:
        raise StudioNotReady("the database cannot be asked for keys; see ATELIER_DATABASE_URL") from error
    if not there:
        raise SettingsError(
            f"{settings.host} can be reached from other machines, and this studio has no key yet: make one with "
            "`atelier keys create NAME --scope admin`, or set ATELIER_ADMIN_KEY, or listen on 127.0.0.1"
        )
