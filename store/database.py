"""The connection to SQL: one way to read, one way to write."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from store.clock import Clock
from store.notices import Notices

T = TypeVar("T")
RETRIES = 5
BUSY_TIMEOUT_S = 30
# Deadlock, serialization failure: PostgreSQL gave up one of two transactions and asks us to run it again.
RETRY_STATES = {"40P01", "40001"}
# A server that is cut off is noticed within seconds, on both sides: we do not hang, and it does not keep our locks.
CONNECT_S, SILENT_S, POOL_S = 3, 4, 10
POOL = 8
KEPT_ALIVE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
# Probes are for silence; where an answer was on its way when the cable broke, only the limit in milliseconds counts.
SERVER_SIDE = {**{f"tcp_{name}": value for name, value in KEPT_ALIVE.items()}, "tcp_user_timeout": 10_000}
AWAY_CLASSES = ("08", "57P", "53300")  # no connection, shut down or starting, too many connections
AGAIN_S = 0.25


class Database:
    """SQLite (WAL) or PostgreSQL behind the same few calls.

    Every change is a function of a connection, run by `transact` in one transaction; the caller sends messages only
    after it has returned.

    Args:
        pool: connections to PostgreSQL that are kept open; as many more are opened when all are busy.
        name: what PostgreSQL shows of our connections.
    """

    def __init__(self, url: str, *, pool: int = POOL, name: str = "atelier") -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        options = _options(self.is_sqlite, pool, name)
        # An error that told the values would put requests and captions into logs.
        self.engine: Engine = create_engine(url, hide_parameters=True, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            event.listen(self.engine, "connect", _prepare_postgresql)
        self.clock = Clock(self.engine)
        self.notices = None if self.is_sqlite else Notices(_connecting(self.engine, options["connect_args"]))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection whose reads see one state of the database."""
        self.clock.keep()
        with self.engine.connect() as connection:
            yield connection

    def transact(self, change: Callable[[Connection], T], *, durable: bool = False, patience_s: float = 0) -> T:
        """Run a change in one transaction and commit it.

        Args:
            change: gets the connection; may run again after a deadlock, so it has no effects besides SQL.
            durable: the commit survives a loss of power (SQLite: synchronous=FULL, about ten times slower).
            patience_s: how long to try again while the database is away. The answer to a commit may be what was lost,
                so only for a change that finds out, by its token say, that it was made already.
        """
        until = time.monotonic() + patience_s
        while True:
            try:
                return self._unhindered(change, durable)
            except (DBAPIError, PoolTimeout) as error:
                if time.monotonic() >= until or not is_away(error):
                    raise
                time.sleep(AGAIN_S)

    def _unhindered(self, change: Callable[[Connection], T], durable: bool) -> T:
        """Run a change until no other transaction is in its way."""
        self.clock.keep()
        for attempt in range(RETRIES):
            try:
                return self._once(change, durable)
            except OperationalError as error:
                if attempt == RETRIES - 1 or getattr(error.orig, "sqlstate", None) not in RETRY_STATES:
                    raise
                time.sleep(0.01 * 2**attempt)
        raise AssertionError("unreachable")

    def _once(self, change: Callable[[Connection], T], durable: bool) -> T:
        with self.engine.connect().execution_options(atelier_write=True) as connection:
            full = durable and self.is_sqlite
            if full:
                _pragma(connection, "synchronous=FULL")
            try:
                with connection.begin():
                    return change(connection)
            finally:
                if full:
                    _pragma(connection, "synchronous=NORMAL")

    def close(self) -> None:
        """Close all connections."""
        if self.notices is not None:
            self.notices.close()
        self.engine.dispose()


def is_away(error: BaseException) -> bool:
    """Say whether an error means that PostgreSQL cannot be reached just now, and not that something is wrong."""
    if isinstance(error, (PoolTimeout, PendingRollbackError)):  # the latter: of a connection that was lost before
        return True
    if not isinstance(error, DBAPIError) or not hasattr(error.orig, "sqlstate"):
        return False
    state = getattr(error.orig, "sqlstate", None)
    lost = error.connection_invalidated or (state is None and isinstance(error, OperationalError))
    return lost or str(state).startswith(AWAY_CLASSES)


def _options(is_sqlite: bool, pool: int, name: str) -> dict[str, Any]:
    if is_sqlite:
        return {"connect_args": {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}}
    reach = {"connect_timeout": CONNECT_S, "keepalives": 1, "tcp_user_timeout": 1000 * SILENT_S, **KEPT_ALIVE}
    sizes = {"pool_size": pool, "max_overflow": pool, "pool_pre_ping": True, "pool_timeout": POOL_S}
    return {**sizes, "connect_args": {**reach, "application_name": name}}


def _connecting(engine: Engine, options: dict[str, Any]) -> dict[str, Any]:
    """Give what psycopg connects with outside of the pool."""
    _, named = engine.dialect.create_connect_args(engine.url)
    return {**named, **options}


def _prepare_postgresql(connection: Any, _: Any) -> None:
    # A client that vanished in mid-transaction would hold its locks for two hours.
    connection.autocommit = True
    for name, value in SERVER_SIDE.items():
        connection.execute(f"SET {name} = {value}")
    connection.autocommit = False


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        f"busy_timeout={BUSY_TIMEOUT_S * 1000}",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads and then writes fails under load; a writer takes the lock first.
    writes = connection.get_execution_options().get("atelier_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _pragma(connection: Connection, text: str) -> None:
    driver = connection.connection.driver_connection
    if driver is not None:
        driver.execute(f"PRAGMA {text}")
