"""The connection to SQL: one way to read, one way to write."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

T = TypeVar("T")
RETRIES = 5
BUSY_TIMEOUT_S = 30
# Deadlock, serialization failure: PostgreSQL gave up one of two transactions and asks us to run it again.
RETRY_STATES = {"40P01", "40001"}


class Database:
    """SQLite (WAL) or PostgreSQL behind the same few calls.

    Every change is a function of a connection, run by `transact` in one transaction; the caller sends messages only
    after it has returned.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine: Engine = create_engine(url, **_options(self.is_sqlite))
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection whose reads see one state of the database."""
        with self.engine.connect() as connection:
            yield connection

    def transact(self, change: Callable[[Connection], T], *, durable: bool = False) -> T:
        """Run a change in one transaction and commit it.

        Args:
            change: gets the connection; may run again after a deadlock, so it has no effects besides SQL.
            durable: the commit survives a loss of power (SQLite: synchronous=FULL, about ten times slower).
        """
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
        self.engine.dispose()


def _options(is_sqlite: bool) -> dict[str, Any]:
    if is_sqlite:
        return {"connect_args": {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}}
    return {"pool_size": 8, "max_overflow": 8, "pool_pre_ping": True}


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
