"""Keys as they are kept."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from store import keys, tables
from store.database import Database
from store.keys import Key

NOW = 1_700_000_000.0


def make(database: Database, **given: object) -> tuple[Key, str]:
    fields = {"name": "ci", "owner": "ada", "scopes": ["make", "read"], "now": NOW, **given}
    return database.transact(lambda c: keys.create(c, **fields))  # type: ignore[arg-type]


def test_a_key_is_found_by_its_hash_and_only_the_hash_is_kept(database: Database) -> None:
    key, secret = make(database)
    with database.read() as connection:
        assert keys.by_digest(connection, keys.digest(secret)) == key
        assert keys.by_digest(connection, keys.digest(secret + "0")) is None
        kept = str(connection.execute(select(tables.keys)).all())
    assert (key.owner, key.scopes) == ("ada", ("read", "make"))
    assert secret.startswith("atl_")
    assert len(bytes.fromhex(secret.removeprefix("atl_"))) * 8 >= 128
    assert secret not in kept
    assert secret.startswith(key.hint)
    assert len(key.hint) <= 8


def test_two_keys_differ(database: Database) -> None:
    assert make(database)[1] != make(database)[1]


@pytest.mark.parametrize("scopes", [[], ["everything"], ["read", "root"]])
def test_a_scope_that_does_not_exist_is_refused(database: Database, scopes: list[str]) -> None:
    with pytest.raises(ValueError, match="read, make, admin"):
        make(database, scopes=scopes)


def test_a_revoked_key_is_not_valid_and_still_listed(database: Database) -> None:
    key, _ = make(database)
    assert database.transact(lambda c: keys.revoke(c, key.id, now=NOW + 1))
    assert not database.transact(lambda c: keys.revoke(c, key.id, now=NOW + 2))
    with database.read() as connection:
        listed = keys.list_(connection)
        assert keys.are_there(connection)
    assert [(one.id, one.revoked_at, one.is_valid(NOW + 3)) for one in listed] == [(key.id, NOW + 1, False)]


def test_a_key_ends_when_it_expires(database: Database) -> None:
    key, _ = make(database, expires_at=NOW + 60)
    assert key.is_valid(NOW + 59)
    assert not key.is_valid(NOW + 60)


def test_the_list_goes_on_where_a_page_ended(database: Database) -> None:
    made = [make(database, name=str(number))[0].id for number in range(5)]
    with database.read() as connection:
        first = keys.list_(connection, limit=3)
        rest = keys.list_(connection, before=first[-1].id)
        assert [key.name for key in keys.list_(connection, name="2")] == ["2"]
    assert [key.id for key in (*first, *rest)] == sorted(made, reverse=True)


def test_use_is_written_once_a_minute(database: Database) -> None:
    key, _ = make(database)
    for at in (NOW, NOW + 30, NOW + 59):
        database.transact(lambda c, at=at: keys.touch(c, key.id, now=at))  # type: ignore[misc]
    with database.read() as connection:
        found = keys.get(connection, key.id)
    assert found is not None
    assert found.used_at == NOW
    assert not keys.is_due(found, NOW + 59)
    assert keys.is_due(found, NOW + 60)
