"""One clock for all machines: PostgreSQL's. On one machine, with SQLite, it is the machine's own."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, Double, Engine, cast, extract, func, literal, select

_TICKING = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux's also counts while the machine is suspended
AGAIN_S = 60.0  # how long a reading is gone by
READINGS = 3  # the one that came back soonest is the best
_SERVER = cast(extract("epoch", func.clock_timestamp()), Double)


def _ticks() -> float:
    return time.clock_gettime(_TICKING)


def now(connection: Connection) -> Any:
    """Give an SQL expression of the time in seconds since 1970."""
    return _SERVER if connection.dialect.name == "postgresql" else literal(time.time(), Double)


class Clock:
    """Gives the database's time without asking it each time, whatever is done to the clock of this machine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._own = engine.dialect.name != "postgresql"
        self._ahead_s = 0.0  # of the clock that only goes on
        self._read_at: float | None = None

    def now(self) -> float:
        """Give the time in seconds since 1970."""
        if self._own:
            return time.time()
        if self._read_at is None:
            self._read()
        return _ticks() + self._ahead_s

    def keep(self) -> None:
        """Ask the database again now and then; to be called where no connection is held."""
        if not self._own and (self._read_at is None or _ticks() - self._read_at >= AGAIN_S):
            self._read()

    def skew_s(self) -> float:
        """Say how far the clock of this machine is ahead of the database's, in seconds."""
        return time.time() - self.now()

    def _read(self) -> None:
        with self._engine.connect() as connection:
            readings = [_reading(connection) for _ in range(READINGS)]
        _, self._ahead_s = min(readings)
        self._read_at = _ticks()


def _reading(connection: Connection) -> tuple[float, float]:
    """Give how long an answer took, and how far the database is ahead of the clock that only goes on."""
    asked = _ticks()
    said = float(connection.execute(select(_SERVER)).scalar_one())
    took_s = _ticks() - asked
    return took_s, said - asked - took_s / 2
