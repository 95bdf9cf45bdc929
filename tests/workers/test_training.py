"""A look is trained by a child: heard, cancelled, gone on with, and there at once when it has ended."""

from __future__ import annotations

import io
import json
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.desk import Desk
from models import registry
from models.embedding import HashEncoder
from store import assets, library, runs, steering, steps, versions
from store.assets import NewAsset
from store.ids import new_id
from store.library import Filter
from tests.workers.conftest import Shop
from tools import catalog
from workers import training, verify
from workers.trainer import Trainer
from workers.work import work

LOAD = catalog.load
CARD = {
    "pictures": 12,
    "seconds": 60,
    "steps": 9,
    "ended": "all steps done",
    "licence": "CC0-1.0",
    "in_look": {"before": 0.0, "after": 1.0},
    "things": {"R@5": 0.9, "of": 240},
}
# Says what its name says; a checkpoint is a number of steps.
CHILD = """
import json, sys, time
from pathlib import Path
folder, how = Path(sys.argv[1]), sys.argv[2]
old = folder / "checkpoint.safetensors"
step = int(old.read_text()) if old.exists() else 0
def tell(**said): print(json.dumps(said), flush=True)
(folder / "grid.png").write_bytes(Path(sys.argv[3]).read_bytes())
while step < 9:
    step += 1
    tell(progress=step / 10, step=step, eta_s=1.0, loss=1 / step, held_out=0.5)
    old.write_text(str(step))
    tell(checkpoint=str(old), grid=str(folder / "grid.png"))
    if how == "dies" and step == 4: sys.exit("out of ink")
    if how == "slow": time.sleep(0.5)
    if how == "killed" and step == 4:
        import os, signal; os.kill(os.getpid(), signal.SIGKILL)
(folder / "weights").write_bytes(f"weights {step}".encode())
tell(done=json.loads(sys.argv[4]), weights=str(folder / "weights"), sheet=str(folder / "grid.png"))
"""


@pytest.fixture
def studio(shop: Shop) -> Shop:
    """A worker that serves the queue of trainings."""
    shop.bench.queues = ("image", "training")
    shop.bench.inner = {training.TRAIN: training.run, verify.VERIFY: verify.run}
    return shop


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Put a small program in the place of the real training."""
    Image.new("RGB", (64, 32), "teal").save(tmp_path / "grid.png")

    def take(how: str) -> None:
        words = [how, str(tmp_path / "grid.png"), json.dumps(CARD)]
        monkeypatch.setattr(
            Trainer, "command", lambda self: [sys.executable, "-c", textwrap.dedent(CHILD), str(self._folder), *words]
        )

    return take


def png(number: int) -> bytes:
    y, x = np.mgrid[:96, :96]
    page = np.full((96, 96, 3), (200, 220, 240), np.uint8)
    page[(y - 48) ** 2 + (x - 40 - number) ** 2 < (16 + number) ** 2] = (20, 30, 60)
    page[(y - 48) ** 2 + (x - 40 - number) ** 2 < (11 + number) ** 2] = (230, 90 + 8 * number, 30)
    file = io.BytesIO()
    Image.fromarray(page).save(file, "PNG")
    return file.getvalue()


def upload(shop: Shop, content: bytes, caption: str = "a thing") -> str:
    sha256 = shop.bench.blobs.put(content)
    new = NewAsset(new_id("asset"), "image", "image/png", sha256, len(content), caption)
    shop.bench.database.transact(lambda c: assets.insert(c, "ada", [new], now=time.time()))
    return new.id


def pictures(shop: Shop, count: int = 12) -> list[dict[str, str]]:
    return [{"asset_id": upload(shop, png(n), f"ball {n}"), "caption": f"ball {n}"} for n in range(count)]


def order(shop: Shop, name: str = "acme", **options: Any) -> str:
    new = training.new_run("ada", name, options.pop("given", None) or pictures(shop), **options)
    run_id: str = shop.bench.change(lambda t: runs.accept(t, new)).run_id
    return run_id


def newest(shop: Shop, name: str = "acme") -> versions.Version | None:
    with shop.bench.database.read() as connection:
        return versions.newest(connection, "ada", "style", name)


def said(desk: Desk, run_id: str, kind: str) -> list[dict[str, Any]]:
    from store import events

    with desk.database.read() as connection:
        return [event.data for event in events.after(connection, run_id, 0, limit=5000) if event.type == kind]


def checkpoints(shop: Shop) -> list[str]:
    from sqlalchemy import select

    from store.tables import checkpoints as table

    with shop.bench.database.read() as connection:
        return list(connection.execute(select(table.c.sha256)).scalars())


def blobs(tmp_path: Path) -> int:
    return sum(1 for path in (tmp_path / "blobs").rglob("*") if path.is_file())


def test_what_was_learned_is_registered_shown_and_told(studio: Shop, desk: Desk, child: Callable[[str], None]) -> None:
    child("well")
    given = pictures(studio)
    run_id = order(studio, given=given, licence="CC0-1.0")
    studio.work()
    run = desk.run(run_id)
    assert run["status"] == "completed", run["error"]
    assert "100% come out in your look" in run["reply"]
    version = newest(studio)
    assert version is not None
    assert (version.weights, version.licence, version.card["steps"]) == ("style/acme", "CC0-1.0", 9)
    assert studio.bench.blobs.get(version.sha256) == b"weights 9"
    with studio.bench.database.read() as connection:
        (sheet,) = library.list_(connection, "ada", Filter(run_id=run_id)).data
    assert sheet.caption == "acme style: sample sheet"
    assert "a training is not repeated" in check(studio, sheet.id)["error"]["message"]
    assert set(sheet.parents) == {one["asset_id"] for one in given}
    progress = said(desk, run_id, "step.progress")
    assert progress[-1] == {"step": "train", "percent": 90, "eta_s": 1.0, "loss": 1 / 9, "held_out": 0.5}
    assert said(desk, run_id, "step.preview")[0]["thumbnail"].startswith("data:image/png;base64,")
    assert checkpoints(studio) == []


def test_old_checkpoints_leave_nothing_behind(studio: Shop, child: Callable[[str], None], tmp_path: Path) -> None:
    child("well")
    order(studio)
    before = blobs(tmp_path)
    studio.work()
    assert blobs(tmp_path) - before == 3  # the weights, the sheet, its thumbnail


def test_a_killed_child_is_tried_again_from_its_checkpoint(
    studio: Shop, desk: Desk, child: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.steps.RETRY_BACKOFF_S", 0.0)
    child("killed")
    run_id = order(studio)
    assert work(studio.bench) == 1
    assert desk.run(run_id)["status"] == "in_progress"
    assert len(checkpoints(studio)) == 1
    child("well")
    studio.work()
    assert desk.status(run_id) == "completed"
    assert [event["percent"] for event in said(desk, run_id, "step.progress")] == [10, 20, 30, 40, 50, 60, 70, 80, 90]


def test_another_worker_goes_on_after_a_crash(studio: Shop, desk: Desk, child: Callable[[str], None]) -> None:
    """The first worker writes no more: its lease went to another one while it worked."""
    child("slow")
    run_id = order(studio)
    thread = threading.Thread(target=work, args=(studio.bench,))
    thread.start()
    until(lambda: checkpoints(studio))
    studio.bench.database.transact(end_leases)
    assert desk.reap() == 1
    studio.bench.leases._renewed_at = 0
    studio.bench.leases.beat()
    thread.join(5)
    assert not thread.is_alive()
    kept = checkpoints(studio)
    assert len(kept) == 1
    child("well")
    studio.work()
    assert desk.status(run_id) == "completed"
    percents = [event["percent"] for event in said(desk, run_id, "step.progress")]
    assert percents == sorted(set(percents))


def end_leases(connection: Any) -> None:
    """End the leases of all steps."""
    from sqlalchemy import update

    from store.tables import steps

    connection.execute(update(steps).values(lease_until=1.0))


def until(true: Callable[[], object], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_cancelled_training_stops_within_a_second_and_leaves_nothing(
    studio: Shop, desk: Desk, child: Callable[[str], None], tmp_path: Path
) -> None:
    child("slow")
    run_id = order(studio)
    before = blobs(tmp_path)
    thread = threading.Thread(target=work, args=(studio.bench,))
    thread.start()
    until(lambda: checkpoints(studio))
    desk.change(lambda t: steering.cancel(t, "ada", run_id))
    began = time.monotonic()
    studio.bench.leases.beat()
    thread.join(5)
    assert time.monotonic() - began < 1
    assert desk.status(run_id) == "cancelled"
    assert newest(studio) is None
    assert checkpoints(studio) == []
    assert blobs(tmp_path) == before


def test_a_training_that_is_cancelled_while_nobody_holds_it_leaves_nothing(studio: Shop, tmp_path: Path) -> None:
    bench = studio.bench
    run = order(studio)
    before = blobs(tmp_path)
    claims = {"queues": [training.QUEUE], "worker": "w0", "lease_s": -1.0, "batch_sizes": {}}
    (claim,) = bench.change(lambda t: steps.claim(t, **claims))
    training._keep(bench, claim, b"a checkpoint")
    bench.change(steps.reap)
    training.forget_ended(bench)
    assert len(checkpoints(studio)) == 1  # it goes on from there

    bench.change(lambda t: steering.cancel(t, "ada", run))
    training.forget_ended(bench)
    assert checkpoints(studio) == []
    assert blobs(tmp_path) == before


def test_a_child_that_fails_says_why(studio: Shop, desk: Desk, child: Callable[[str], None]) -> None:
    child("dies")
    run_id = order(studio)
    studio.work()
    assert desk.status(run_id) == "failed"
    assert "ended with code 1: out of ink" in desk.run(run_id)["error"]["message"]
    child("well")
    desk.change(lambda t: steering.retry(t, "ada", run_id))
    studio.work()
    assert desk.status(run_id) == "completed"


def test_pictures_that_are_none_are_named(studio: Shop, desk: Desk, child: Callable[[str], None]) -> None:
    child("well")
    given = pictures(studio)
    broken = upload(studio, b"no picture at all")
    run_id = order(studio, given=[*given, {"asset_id": broken, "caption": "x"}])
    other = order(studio, given=[*given, {"asset_id": "asset_01ARZ3NDEKTSV4RRFFQ69G5FAV", "caption": "x"}])
    studio.work()
    assert broken in desk.run(run_id)["error"]["message"]
    assert "there is no picture 'asset_01ARZ3NDEKTSV4RRFFQ69G5FAV'" in desk.run(other)["error"]["message"]


def test_without_vectors_it_comes_again_later(
    studio: Shop, desk: Desk, child: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.steps.RETRY_BACKOFF_S", 0.0)
    child("well")
    encoder = studio.bench.encoder
    monkeypatch.setattr(type(encoder), "encode", away)
    run_id = order(studio)
    assert work(studio.bench) == 1
    assert desk.run(run_id)["status"] == "in_progress"
    monkeypatch.undo()
    child("well")
    until(studio.work)
    assert desk.run(run_id)["status"] == "completed"


def away(*_: object) -> Any:
    raise ConnectionError("no worker answered")


@pytest.fixture
def real(studio: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The same worker with the real nets and tools."""
    monkeypatch.setattr(catalog, "load", LOAD)
    studio.bench.load_model = registry.load
    studio.bench.__dict__["_encoder"] = HashEncoder(384)
    studio.specs.update(catalog.specs())
    return studio


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # it trains for most of its time
def test_from_pictures_to_a_drawing_in_the_look(real: Shop, desk: Desk) -> None:
    """The whole way with the real training, twelve steps long: about fifteen seconds of one core."""
    trained = order(real, steps=12)
    real.work()
    assert desk.status(trained) == "completed", desk.run(trained)["error"]
    first = newest(real)
    assert first is not None

    draw = {"tool": "generate_image", "args": {"prompt": "a rocket", "style": "acme", "seed": 3, "size": 64}}
    drawn = made(real, draw)
    assert drawn.licence is not None
    assert "proprietary, of acme" in drawn.licence
    assert drawn.recipe is not None
    asked = ("cgan", "vae", "memory", "style/acme")
    assert drawn.weights_hash == registry.weights_hash(*asked, trained={"style/acme": first.sha256})
    assert drawn.recipe["weights"] == drawn.weights_hash
    assert check(real, drawn.id)["status"] == "completed"
    with real.bench.database.read() as connection:
        assert assets.latents(connection, drawn.id) is None

    version = made(real, {"tool": "vary_image", "args": {"image": f"@{drawn.id}", "seed": 1, "strength": 0.1}})
    assert check(real, version.id)["status"] == "completed"
    one, other = (corner(real, asset.sha256) for asset in (drawn, version))
    assert np.abs(one - other).max() < 25

    clip = made(real, {"tool": "make_video", "args": {"images": [f"@{drawn.id}", f"@{version.id}"], "seconds": 0.5}})
    from tools import clips

    frame = clips.first_frame(real.bench.blobs.get(clip.sha256)).astype(float)
    assert np.abs(frame[4:20, 4:20].mean((0, 1)) - one).max() < 40

    register_another(real, first)
    assert "was made with other weights" in check(real, drawn.id)["error"]["message"]
    assert made(real, draw).weights_hash != drawn.weights_hash


def register_another(shop: Shop, old: versions.Version) -> None:
    """Register another version under the same name: the same look with another file."""
    from models.style import weights

    config, arrays = weights.read(shop.bench.blobs.get(old.sha256))
    sha256 = shop.bench.blobs.put(weights.write(arrays, config, "acme", "another"))
    new = versions.NewVersion("style", "acme", "ada", sha256, "another", old.card)
    shop.bench.database.transact(lambda c: versions.register(c, new, now=time.time() + 1))


def corner(shop: Shop, sha256: str) -> np.ndarray:
    picture = np.asarray(Image.open(io.BytesIO(shop.bench.blobs.get(sha256))).convert("RGB").resize((64, 64)))
    return np.asarray(picture[1:5, 1:5].reshape(-1, 3).mean(0))


def made(shop: Shop, entry: dict[str, Any]) -> assets.Asset:
    run_id = shop.order(entry)
    shop.work()
    with shop.bench.database.read() as connection:
        from store import views

        run = views.get(connection, "ada", run_id)
        assert run["status"] == "completed", run["error"]
        found = assets.get(connection, "ada", run["assets"][0])
    assert found is not None
    return found


def check(shop: Shop, asset_id: str) -> dict[str, Any]:
    from store import views

    run_id = shop.bench.change(lambda t: runs.accept(t, verify.new_run("ada", asset_id, "image"))).run_id
    shop.work()
    with shop.bench.database.read() as connection:
        return views.get(connection, "ada", run_id)


def test_an_unknown_style_names_those_there_are(real: Shop, desk: Desk) -> None:
    real.bench.database.transact(
        lambda c: versions.register(c, versions.NewVersion("style", "brand", "ada", "0" * 64, None, {}), now=1.0)
    )
    run_id = real.order({"tool": "generate_image", "args": {"prompt": "a rocket", "style": "acme"}})
    real.work()
    message = desk.run(run_id)["error"]["message"]
    assert "there is no style 'acme'; there are noto, twemoji, fluent, emojione, brand" in message


def test_weights_that_are_gone_are_said(real: Shop, desk: Desk) -> None:
    real.bench.database.transact(
        lambda c: versions.register(c, versions.NewVersion("style", "acme", "ada", "0" * 64, None, {}), now=1.0)
    )
    run_id = real.order({"tool": "generate_image", "args": {"prompt": "a rocket", "style": "acme"}})
    real.work()
    assert "the weights 'style/acme' cannot be read" in desk.run(run_id)["error"]["message"]
