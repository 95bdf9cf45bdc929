"""The library's rows: what is saved is listed, traced, tagged and forgotten as a user expects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert as sql_insert

from store import assets, library, lineage, tables
from store.assets import UnknownAsset
from store.database import Database
from store.ids import new_id
from store.library import Filter
from tests.store.conftest import SPACE, Save, new_asset


def test_an_asset_is_given_back_as_it_was_saved(database: Database, save: Save) -> None:
    recipe = {"tool": "generate_image", "version": 1, "args": {"prompt": "cat", "seed": 7}, "weights": None}
    first = save(caption="first")
    id_ = save(
        caption="a cat 🐈",
        tags=["Cat", " cat ", "noto", ""],
        width=256,
        height=128,
        seed=2**31 - 1,
        recipe=recipe,
        parents=[first, first],
        licence="CC-BY-4.0",
        run_id="run_1",
    )
    with database.read() as connection:
        asset = assets.get(connection, "ann", id_)
    assert asset is not None
    assert asset.tags == ("cat", "noto")
    assert asset.parents == (first,)
    shown = asset.as_json()
    assert shown["recipe"] == recipe
    assert shown["tags"] == ["cat", "noto"]
    assert (shown["width"], shown["height"], shown["seed"]) == (256, 128, 2**31 - 1)
    assert shown["run_id"] == "run_1"
    assert "owner" not in shown


def test_others_assets_are_unknown(database: Database, save: Save) -> None:
    id_ = save("ann")
    with database.read() as connection:
        assert assets.get(connection, "bob", id_) is None
        assert assets.get(connection, "ann", "asset_nowhere") is None
        assert library.list_(connection, "bob").data == []
        for call in (
            lambda: lineage.lineage(connection, "bob", id_),
            lambda: assets.set_tags(connection, "bob", id_, ["x"]),
            lambda: library.list_(connection, "bob", before=id_),
        ):
            with pytest.raises(UnknownAsset, match=id_):
                call()
        assert assets.by_sha256(connection, "bob", "0" * 64) is None
    assert not database.transact(lambda connection: assets.delete(connection, "bob", id_, now=1.0))


def test_pages_are_newest_first_and_miss_nothing(database: Database, save: Save) -> None:
    made = [save() for _ in range(5)]
    twins = [new_asset() for _ in range(4)]  # one moment, several assets
    database.transact(lambda connection: assets.insert(connection, "ann", twins, now=2_000_000_000.0))
    seen: list[str] = []
    cursor = None
    with database.read() as connection:
        while True:
            page = library.list_(connection, "ann", before=cursor, limit=2)
            seen += [asset.id for asset in page.data]
            cursor = page.next
            if not page.has_more:
                break
    assert seen == sorted((twin.id for twin in twins), reverse=True) + made[::-1]
    assert cursor is None


def test_lists_are_filtered(database: Database, save: Save) -> None:
    cat = save(tags=["cat"], run_id="run_1")
    clip = save(kind="video", tags=["cat", "loop"], run_id="run_2")
    with database.read() as connection:

        def ids(*tags: str, **wanted: Any) -> list[str]:
            return [asset.id for asset in library.list_(connection, "ann", Filter(tags=tags, **wanted)).data]

        assert ids(kind="video") == [clip]
        assert ids("CAT") == [clip, cat]
        assert ids(run_id="run_1") == [cat]
        assert ids("loop", kind="image") == []


def test_lineage_goes_both_ways_and_ends(database: Database, save: Save) -> None:
    root = save()
    left, right = save(parents=[root]), save(parents=[root])
    clip = save(kind="video", parents=[left, right])
    stranger = save()
    with database.read() as connection:
        of_left = lineage.lineage(connection, "ann", left)
        of_clip = lineage.lineage(connection, "ann", clip)
        alone = lineage.lineage(connection, "ann", stranger)
    assert [asset.id for asset in of_left.ancestors] == [root]
    assert [asset.id for asset in of_left.descendants] == [clip]
    assert set(of_left.edges) == {(left, root), (clip, left)}
    assert [asset.id for asset in of_clip.ancestors] == [root, left, right]
    assert set(of_clip.edges) == {(left, root), (right, root), (clip, left), (clip, right)}
    assert of_clip.as_json()["edges"][0].keys() == {"child", "parent"}
    assert alone.as_json() == {"ancestors": [], "descendants": [], "edges": []}


def test_a_loop_of_edges_ends(database: Database, save: Save) -> None:
    one = save()
    two = save(parents=[one])
    edge = {"child_id": one, "parent_id": two}
    database.transact(lambda connection: connection.execute(sql_insert(tables.asset_edges), [edge]))
    with database.read() as connection:
        found = lineage.lineage(connection, "ann", one)
    assert [asset.id for asset in found.ancestors] == [two]


def test_vectors_and_latents_come_back_to_the_bit(database: Database) -> None:
    latents = np.random.default_rng(1).standard_normal((4, 8, 8)).astype(np.float32)
    text = np.arange(6, dtype=np.float64) / 10
    made = new_asset(vectors={assets.VAE_LATENTS: latents, SPACE: text})
    database.transact(lambda connection: assets.insert(connection, "ann", [made], now=1.0))
    with database.read() as connection:
        found = assets.latents(connection, made.id)
        assert found is not None
        np.testing.assert_array_equal(found, latents)
        vector = assets.vector(connection, made.id, SPACE)
        assert vector is not None
        np.testing.assert_array_equal(vector, text.astype(np.float32))
        assert assets.vector(connection, made.id, "text/other") is None


def test_the_same_bytes_have_the_same_latents(database: Database, save: Save) -> None:
    latents = np.ones((2, 2), np.float32)
    ours = new_asset(sha256="a" * 64, vectors={assets.VAE_LATENTS: latents})
    database.transact(lambda connection: assets.insert(connection, "ann", [ours], now=1.0))
    uploaded = save(sha256="a" * 64)
    others = save("bob", sha256="a" * 64)
    with database.read() as connection:
        found = assets.latents(connection, uploaded)
        assert found is not None
        np.testing.assert_array_equal(found, latents)
        assert assets.latents(connection, others) is None
        first = assets.by_sha256(connection, "ann", "a" * 64)
    assert first is not None
    assert first.id == ours.id


def test_a_deleted_asset_leaves_lists_but_not_history(database: Database) -> None:
    parent = new_asset(vectors={SPACE: np.ones(3), assets.VAE_LATENTS: np.ones(3)})
    child = new_asset(parents=[parent.id])
    database.transact(lambda connection: assets.insert(connection, "ann", [parent, child], now=1.0))
    assert database.transact(lambda connection: assets.delete(connection, "ann", parent.id, now=2.0))
    assert not database.transact(lambda connection: assets.delete(connection, "ann", parent.id, now=3.0))
    with database.read() as connection:
        assert assets.get(connection, "ann", parent.id) is None
        assert [asset.id for asset in library.list_(connection, "ann").data] == [child.id]
        assert assets.vector(connection, parent.id, SPACE) is None
        assert assets.latents(connection, parent.id) is not None
        assert [asset.id for asset in lineage.lineage(connection, "ann", child.id).ancestors] == [parent.id]


def test_tags_are_replaced(database: Database, save: Save) -> None:
    id_ = save(tags=["old"])
    changed = database.transact(lambda connection: assets.set_tags(connection, "ann", id_, ["New", "new", "cat"]))
    assert changed.tags == ("cat", "new")


def test_a_steps_results_keep_their_order(database: Database) -> None:
    run_id, step_id = new_id("run"), new_id("step")
    made = [new_asset(caption=str(number)) for number in range(3)][::-1]
    run = {"id": run_id, "owner": "ann", "status": "in_progress", "priority": 0, "created_at": 1.0}
    step = {
        "id": step_id,
        "run_id": run_id,
        "owner": "ann",
        "name": "s1",
        "position": 0,
        "tool": "x",
        "args": {},
        "queue": "image",
        "status": "in_progress",
        "priority": 0,
        "available_at": 1.0,
        "created_at": 1.0,
    }
    database.transact(lambda connection: connection.execute(sql_insert(tables.runs), [run]))
    database.transact(lambda connection: connection.execute(sql_insert(tables.steps), [step]))
    database.transact(
        lambda connection: assets.insert(connection, "ann", made, run_id=run_id, step_id=step_id, now=1.0)
    )
    with database.read() as connection:
        assert [asset.id for asset in assets.of_step(connection, step_id)] == [asset.id for asset in made]
