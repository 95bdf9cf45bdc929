"""Trains a look from a company's pictures: a step of the studio whose work a child process does.

The child gives its memory back when it ends, and the worker keeps answering while it runs. What it has reached is kept
as a checkpoint, so that another worker goes on after a crash.
"""

from __future__ import annotations

import base64
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.style import pictures as style_pictures
from store import assets, runs, versions
from store.assets import NewAsset
from store.blobs import BlobError
from store.ids import new_id
from store.runs import NewRun, NewStep
from store.steps import Claim, guard
from store.transition import Transition
from store.versions import NewVersion
from tools import pictures
from tools.base import Cancelled, InvalidInput, ToolFailed, TryLater
from workers.bench import Bench
from workers.trainer import CHECKPOINT, Trainer

log = logging.getLogger(__name__)
TRAIN = "studio.train"
QUEUE = "training"
MINUTES = 12.0
STEPS = 3000
MAX_ATTEMPTS = 5  # each goes on where the one before was


def new_run(
    owner: str,
    name: str,
    given: Sequence[Mapping[str, str]],
    *,
    minutes: float = MINUTES,
    steps: int = STEPS,
    licence: str | None = None,
) -> NewRun:
    """Give the run that trains a look.

    Args:
        name: how plans will call it.
        given: {"asset_id", "caption"} of each picture.
        minutes, steps: how long at most.
        licence: of the pictures; None says that they are the owner's own.
    """
    args = {
        "name": name,
        "pictures": [dict(one) for one in given],
        "minutes": minutes,
        "steps": steps,
        "licence": licence or f"proprietary, of {name}",
    }
    step = NewStep("train", TRAIN, args, QUEUE, max_attempts=MAX_ATTEMPTS)
    plan = {"steps": [{"id": "train", "tool": TRAIN, "args": {**args, "pictures": len(given)}}], "reply": ""}
    return NewRun(owner=owner, plan=plan, steps=[step], priority=runs.DIRECT)


def run(bench: Bench, claim: Claim) -> Callable[[Transition], None]:
    """Train the look that the step names.

    Raises:
        InvalidInput: a picture is not there, or is none.
        ToolFailed: the training did not end well.
        Cancelled: the run was cancelled.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="atelier-train-") as folder:
            return _trained(bench, claim, Path(folder))
    except Cancelled:
        if bench.leases.stopped(claim) == "cancelling":
            _forget(bench, claim)
        raise


def _trained(bench: Bench, claim: Claim, folder: Path) -> Callable[[Transition], None]:
    vector = _gather(bench, claim, folder)
    _restore(bench, claim, folder)
    done = Trainer(folder, claim.args).run(lambda said: _heard(bench, claim, said))
    return _registered(bench, claim, done, vector)


def _stopping(bench: Bench, claim: Claim) -> None:
    reason = bench.leases.stopped(claim)
    if reason is not None:
        raise Cancelled(f"step {claim.name!r} stops: {reason}")


def _gather(bench: Bench, claim: Claim, folder: Path) -> np.ndarray:
    """Write the pictures as the child reads them: small, with the vectors of their captions.

    Returns:
        The vector of the sheet's caption: no worker is asked for anything when the work is done.
    """
    found = []
    for one in claim.args["pictures"]:
        _stopping(bench, claim)
        pixels = pictures.decode(_content(bench, claim, one["asset_id"]), f"picture {one['asset_id']!r}")
        found.append(pictures.fit(pixels, style_pictures.SIDE_PX))
    captions = [str(one["caption"]) for one in claim.args["pictures"]]
    try:
        vectors = np.asarray(bench.encoder.encode([*captions, _caption(claim)]))
    except ConnectionError as error:
        raise TryLater(f"the captions have no vectors yet: {error}") from error
    style_pictures.save(folder / Trainer.DATA, np.stack(found), vectors[:-1], captions)
    return np.asarray(vectors[-1])


def _content(bench: Bench, claim: Claim, asset_id: str) -> bytes:
    with bench.database.read() as connection:
        asset = assets.get(connection, claim.owner, asset_id)
    if asset is None or asset.kind != "image":
        raise InvalidInput(f"pictures: there is no picture {asset_id!r} in the library")
    try:
        return bench.blobs.get(asset.sha256)
    except BlobError as error:
        raise ToolFailed(f"the bytes of picture {asset_id!r} cannot be read: {error}") from error


def _restore(bench: Bench, claim: Claim, folder: Path) -> None:
    """Put the newest checkpoint where the child looks for one."""
    with bench.database.read() as connection:
        sha256 = versions.checkpoint(connection, claim.id)
    if sha256 is None:
        return
    try:
        (folder / CHECKPOINT).write_bytes(bench.blobs.get(sha256))
    except BlobError as error:
        log.warning("training %s begins anew: %s", claim.args["name"], error)


def _heard(bench: Bench, claim: Claim, said: Mapping[str, Any]) -> None:
    """Pass on what the child said; called a few times a second, with nothing where it said nothing."""
    _stopping(bench, claim)
    if "progress" in said:
        fields = {name: said[name] for name in ("eta_s", "loss", "held_out") if name in said}
        bench.tell(
            claim.run_id, "step.progress", step=claim.name, percent=round(100 * min(1.0, said["progress"])), **fields
        )
    if "grid" in said:
        grid = base64.b64encode(Path(said["grid"]).read_bytes()).decode()
        bench.tell(claim.run_id, "step.preview", step=claim.name, thumbnail=f"data:image/png;base64,{grid}")
    if "checkpoint" in said:
        _keep(bench, claim, Path(said["checkpoint"]).read_bytes())


def _keep(bench: Bench, claim: Claim, content: bytes) -> None:
    sha256 = bench.blobs.put(content)

    def change(t: Transition) -> str | None:
        guard(t, claim)
        return versions.save_checkpoint(t, claim.id, sha256)

    old = bench.change(change)
    if old is not None:
        bench.blobs.remove(old)


def _forget(bench: Bench, claim: Claim) -> None:
    """Drop the checkpoint: nobody goes on from here."""

    def change(t: Transition) -> str | None:
        guard(t, claim)
        return versions.drop_checkpoint(t, claim.id)

    old = bench.change(change)
    if old is not None:
        bench.blobs.remove(old)


def forget_ended(bench: Bench) -> None:
    """Drop the checkpoints of trainings that ended while no worker held them."""
    with bench.database.read() as connection:
        if not versions.any_checkpoint(connection):
            return
    for sha256 in bench.database.transact(lambda c: versions.drop_ended_checkpoints(c, now=time.time())):
        bench.blobs.remove(sha256)


def _registered(
    bench: Bench, claim: Claim, done: Mapping[str, Any], vector: np.ndarray
) -> Callable[[Transition], None]:
    """Store what was learned; the change names it, so that it is there at once or not at all."""
    name, card = str(claim.args["name"]), dict(done["done"])
    weights, sheet = bench.blobs.put_many([Path(done[what]).read_bytes() for what in ("weights", "sheet")])
    version = NewVersion(versions.STYLE, name, claim.owner, weights, card["licence"], card, claim.run_id)
    shown = _sheet(bench, claim, sheet, Path(done["sheet"]).read_bytes(), weights, vector)
    _forget(bench, claim)

    def change(t: Transition) -> None:
        versions.register(t.connection, version, now=t.now)
        assets.insert(t.connection, claim.owner, [shown], run_id=claim.run_id, step_id=claim.id, now=t.now)
        asset = {"id": shown.id, "kind": shown.kind, "caption": shown.caption, "seed": None}
        t.emit(claim.run_id, "asset.created", step=claim.name, asset=asset)
        runs.set_reply(t, claim.run_id, _reply(name, card))

    return change


def _caption(claim: Claim) -> str:
    return f"{claim.args['name']} style: sample sheet"


def _sheet(bench: Bench, claim: Claim, sha256: str, content: bytes, weights: str, vector: np.ndarray) -> NewAsset:
    pixels = pictures.decode(content, "the sheet")
    args = {key: value for key, value in claim.args.items() if key != "pictures"}
    return NewAsset(
        id=new_id("asset"),
        kind="image",
        media_type="image/png",
        sha256=sha256,
        size_bytes=len(content),
        caption=_caption(claim),
        tags=("sample sheet", f"style:{claim.args['name']}"),
        width=pixels.shape[1],
        height=pixels.shape[0],
        recipe={"tool": TRAIN, "version": 1, "args": args, "weights": weights},
        weights_hash=weights,
        licence=claim.args["licence"],
        thumbnail_sha256=bench.blobs.put(pictures.thumbnail(pixels)),
        parents=tuple(one["asset_id"] for one in claim.args["pictures"]),
        vectors={bench.encoder.space: vector},
    )


def _reply(name: str, card: Mapping[str, Any]) -> str:
    look, things = card["in_look"], card["things"]
    return (
        f"Learned the look {name!r} from {card['pictures']} pictures in {card['seconds'] / 60:.1f} minutes "
        f"({card['steps']} steps; {card['ended']}). Of things that you did not draw, {look['after']:.0%} come out in "
        f"your look (before: {look['before']:.0%}), and {things['R@5']:.0%} are found again among {things['of']} "
        f'known things. Use it at once: say "in {name} style", or generate_image with style={name!r}.'
    )
