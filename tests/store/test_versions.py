"""Which weights a name means, and where a training goes on."""

from __future__ import annotations

from typing import Any

from benchmarks.desk import Desk
from store import versions
from store.database import Database
from store.versions import NewVersion


def add(database: Database, name: str, sha: str, owner: str | None = "ann", now: float = 1.0) -> str:
    new = NewVersion("style", name, owner, sha * 64, "CC0-1.0", {"pictures": 50}, "run_1")
    return database.transact(lambda c: versions.register(c, new, now=now))


def test_the_newest_of_a_name_is_meant_and_the_older_one_is_known(database: Database) -> None:
    add(database, "acme", "a", now=1.0)
    add(database, "acme", "b", now=2.0)
    add(database, "shop", "c", now=3.0)
    with database.read() as connection:
        found = versions.newest(connection, "ann", "style", "acme")
        assert found is not None
        assert (found.sha256, found.weights, found.card) == ("b" * 64, "style/acme", {"pictures": 50})
        assert [one.sha256[0] for one in versions.list_(connection, "ann")] == ["b", "c"]
        assert versions.names(connection, "ann") == ["acme", "shop"]


def test_others_see_only_what_is_for_everyone(database: Database) -> None:
    add(database, "acme", "a")
    add(database, "house", "b", owner=None)
    with database.read() as connection:
        assert versions.names(connection, "bob") == ["house"]
        assert versions.newest(connection, "bob", "style", "acme") is None
    assert database.transact(lambda c: versions.retire(c, "bob", "style", "acme", now=2.0)) == 0
    assert database.transact(lambda c: versions.retire(c, "bob", "style", "house", now=2.0)) == 0


def test_a_retired_name_means_nothing(database: Database) -> None:
    add(database, "acme", "a")
    add(database, "acme", "b", now=2.0)
    assert database.transact(lambda c: versions.retire(c, "ann", "style", "acme", now=3.0)) == 2
    with database.read() as connection:
        assert versions.newest(connection, "ann", "style", "acme") is None
        assert versions.list_(connection, "ann") == []


def test_a_step_has_one_checkpoint(database: Database) -> None:
    desk = Desk(database)
    desk.plan(desk.step("s1"))
    claim = desk.one()
    changes: list[Any] = [desk.change(lambda t, s=sha: versions.save_checkpoint(t, claim.id, s * 64)) for sha in "aab"]
    assert changes == [None, None, "a" * 64]
    with database.read() as connection:
        assert versions.checkpoint(connection, claim.id) == "b" * 64
    assert desk.change(lambda t: versions.drop_checkpoint(t, claim.id)) == "b" * 64
    with database.read() as connection:
        assert versions.checkpoint(connection, claim.id) is None
