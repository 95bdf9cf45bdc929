"""PostgreSQL goes and comes back: who is patient waits, who is not hears that it is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from benchmarks.servers import NoServer, PostgreSQL
from store.database import Database, is_away
from tests.conftest import missing


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    folder: Path = tmp_path_factory.mktemp("away")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o711)  # PostgreSQL does not run as root, and its user must pass
    try:
        made = PostgreSQL(folder / "postgresql")
        made.start()
    except NoServer as error:
        missing(str(error))
    yield made
    made.stop()


def ask(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())


def test_a_patient_change_is_made_when_the_database_is_back(server: PostgreSQL) -> None:
    database = Database(server.url)
    assert database.transact(ask) == 1
    server.kill()
    with pytest.raises(DBAPIError) as found:
        database.transact(ask)
    assert is_away(found.value)

    with ThreadPoolExecutor(1) as patient:
        waiting = patient.submit(database.transact, ask, patience_s=30)
        time.sleep(0.5)
        assert not waiting.done()
        server.start()
        assert waiting.result(30) == 1
    database.close()


def test_a_connection_that_dies_in_mid_transaction_is_away_and_the_change_is_made_again(server: PostgreSQL) -> None:
    database = Database(server.url)
    turns: list[int] = []

    def change(connection: Connection) -> int:
        turns.append(ask(connection))
        if len(turns) == 1:
            server.restart()
        return ask(connection)

    assert database.transact(change, patience_s=30) == 1
    assert len(turns) == 2
    database.close()


def test_what_is_asked_of_a_connection_that_was_lost_is_away_too(server: PostgreSQL) -> None:
    database = Database(server.url)
    with database.read() as connection:
        ask(connection)
        server.restart()
        for _ in range(2):  # the arguments of two steps of one call, say
            with pytest.raises(SQLAlchemyError) as found:
                ask(connection)
            assert is_away(found.value)
    database.close()


def test_a_mistake_is_not_an_absence(database: Database) -> None:
    with pytest.raises(DBAPIError) as found:
        database.transact(lambda connection: connection.execute(text("SELECT nothing FROM nowhere")), patience_s=30)
    assert not is_away(found.value)
