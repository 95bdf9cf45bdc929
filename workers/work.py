"""One turn of a worker: claim steps, run them, save what they made, move their runs on."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from store import assets, completion, runs, steps
from store.assets import NewAsset
from store.blobs import BlobsDown
from store.completion import Ended, complete
from store.database import is_away
from store.ids import new_id
from store.steps import Claim, LeaseLost
from store.transition import Transition
from tools import catalog, thumbnails
from tools.base import Cancelled, Found, InvalidInput, Job, Made, ToolArgs, ToolError, ToolSpec, TryLater
from workers import trained
from workers.about import about
from workers.bench import Bench
from workers.resolve import recipe_hash, resolve
from workers.workshop import StepWorkshop

log = logging.getLogger(__name__)
BLOBS_WAIT_S = 5.0  # a step goes back for so long when the blobs cannot be reached
SENT_WAIT_S = 300.0  # so long the results of what was sent wait for the blobs
Outcome = list[Made] | list[Found] | ToolError | Exception


@dataclass(frozen=True)
class Ready:
    """A claimed step whose arguments are resolved."""

    claim: Claim
    spec: ToolSpec
    args: ToolArgs
    weights: str
    recipe_hash: str | None
    pinned: trained.Pinned


@dataclass(frozen=True)
class Known:
    """What was made before by the same recipe."""

    assets: Sequence[str]
    recipe_hash: str


def work(bench: Bench) -> int:
    """Claim the next step and all that can share its call, and carry them out.

    Returns:
        How many steps were carried out; 0 if there was nothing to do.
    """
    if bench.draining:
        return 0
    able = bench.able()
    with bench.database.read() as connection:  # most messages come after their step went along with another's call
        if not steps.any_queued(connection, bench.queues):
            return 0
    batch_sizes = {spec.name: spec.batch for spec in bench.specs.values()}
    claims: list[Claim] = bench.change(
        lambda t: steps.claim(
            t,
            queues=bench.queues,
            worker=bench.name,
            lease_s=bench.lease_s,
            batch_sizes=batch_sizes,
            tools=able,
        )
    )
    if not claims:
        return 0
    with bench.leases.hold(claims), _seen(bench, claims):
        try:
            _carry_out(bench, claims)
        except (DBAPIError, PoolTimeout) as error:
            if not is_away(error):
                raise
            for claim in claims:
                _settle(bench, claim, error)
    return len(claims)


def _carry_out(bench: Bench, claims: Sequence[Claim]) -> None:
    if claims[0].tool in bench.inner:
        _run_inner(bench, claims[0])
    else:
        _run_tool(bench, claims)


@contextmanager
def _seen(bench: Bench, claims: Sequence[Claim]) -> Iterator[None]:
    """Let logs, metrics and traces tell of these steps; a batch's log lines name its first."""
    first = claims[0]
    ids = {"run": first.run_id, "step": first.id, "tool": first.tool, "owner": first.owner, "worker": bench.name}

    def origins(run_ids: list[str]) -> Mapping[str, str]:
        with bench.database.read() as connection:
            return runs.traceparents(connection, run_ids)

    with about(*(claim.args for claim in claims), **ids), bench.watch.steps(claims, origins):
        yield


def _run_inner(bench: Bench, claim: Claim) -> None:
    try:
        change = bench.inner[claim.tool](bench, claim)
    except Exception as error:  # noqa: BLE001 — everything that a step can raise ends the step, nothing else
        _settle(bench, claim, error)
        return

    def done(t: Transition) -> None:
        steps.guard(t, claim)
        change(t)
        complete(t, [Ended(claim)])

    _commit(bench, claim, done, "completed")


def _run_tool(bench: Bench, claims: Sequence[Claim]) -> None:
    with bench.database.read() as connection:
        prepared = [_prepare(bench, connection, claim) for claim in claims]
    ready: list[Ready] = []
    for claim, one in zip(claims, prepared, strict=True):
        if isinstance(one, Exception):
            _settle(bench, claim, one)
        elif isinstance(one, Known):
            _answer(bench, claim, one)
        else:
            ready.append(one)
    if not ready:
        return
    outcomes = _call(bench, ready)
    made = [(one, outcome) for one, outcome in zip(ready, outcomes, strict=True) if isinstance(outcome, list)]
    if made:
        _save(bench, made)
    for one, outcome in zip(ready, outcomes, strict=True):
        if not isinstance(outcome, list):
            wrong = TypeError(f"{one.spec.runner} gave {type(outcome).__name__}, not a list of things")
            _settle(bench, one.claim, outcome if isinstance(outcome, Exception) else wrong)


def _prepare(bench: Bench, connection: Connection, claim: Claim) -> Ready | Known | Exception:
    """Resolve a step's arguments; a step that was made before, or whose arguments do not fit, is not run."""
    spec = bench.specs.get(claim.tool) or bench.tools(claim.owner).get(claim.tool)
    if spec is None:
        return InvalidInput(f"there is no tool {claim.tool!r} on this worker")
    try:
        args = resolve(connection, claim, spec)
        names = trained.names(connection, claim.owner, spec, args)
        pinned = trained.pin(connection, claim.owner, names)
        weights = trained.weights_hash(names, pinned)
        if not spec.exact or spec.gives is None:
            return Ready(claim, spec, args, weights, None, pinned)
        key = recipe_hash(connection, claim, spec, args, weights)
        known = steps.made_before(connection, claim.owner, key)
    except Exception as error:  # noqa: BLE001
        return error
    return Ready(claim, spec, args, weights, key, pinned) if known is None else Known(known, key)


def _answer(bench: Bench, claim: Claim, known: Known) -> None:
    """End a step with what was made before."""

    def answer(t: Transition) -> None:
        steps.guard(t, claim)
        complete(t, [Ended(claim, known.assets, known.recipe_hash, cached=True, link=True)])

    _commit(bench, claim, answer, "cached")


def _call(bench: Bench, ready: Sequence[Ready]) -> list[Outcome]:
    """Run the tool on all jobs; if it falls over as a whole, on each alone, so that one bad item fails alone.

    What sends may have done so for some of them before it fell: all of these fail.
    """
    runner = ready[0].spec.runner
    try:
        jobs = [Job(one.args, StepWorkshop(bench, one.claim, one.pinned), one.claim.tool) for one in ready]
        with bench.watch.span("tool.call", tool=ready[0].spec.name, steps=len(ready)):
            outcomes: list[Outcome] = list(catalog.load(runner)(jobs))
        if len(outcomes) != len(ready):
            raise RuntimeError(f"{runner} gave {len(outcomes)} results for {len(ready)} jobs")
    except Exception as error:  # noqa: BLE001
        if len(ready) == 1 or ready[0].spec.sends:
            return [error for _ in ready]
        log.warning("a batch of %d %s failed (%r); each runs alone", len(ready), ready[0].spec.name, error)
        return [outcome for one in ready for outcome in _call(bench, [one])]
    return outcomes


def _save(bench: Bench, made: Sequence[tuple[Ready, Any]], until: float | None = None) -> None:
    """Store what was made, all in one transaction; what cannot be stored fails alone.

    While the blobs cannot be reached, steps are put back and run again; what sends cannot, so its results wait here.
    """
    try:
        _store(bench, made)
    except BlobsDown as error:
        until = until or time.monotonic() + SENT_WAIT_S
        if made[0][0].spec.sends and time.monotonic() < until:
            time.sleep(BLOBS_WAIT_S)
            _save(bench, made, until)
            return
        for one, _ in made:
            _settle(bench, one.claim, error)
    except Exception as error:  # noqa: BLE001 — the disk is full, say: the steps fail, the worker lives
        if len(made) == 1:
            _settle(bench, made[0][0].claim, error)
            return
        log.warning("the results of %d steps could not be stored together (%r); each is stored alone", len(made), error)
        for pair in made:
            _save(bench, [pair])


def _store(bench: Bench, made: Sequence[tuple[Ready, Any]]) -> None:
    """Store bytes, then rows, without those of steps whose lease was lost."""
    things = [(one, thing) for one, outcome in made for thing in outcome if isinstance(thing, Made)]
    new: dict[str, list[NewAsset]] = {one.claim.id: [] for one, _ in made}
    for (one, _), asset in zip(things, new_assets(bench, things), strict=True):
        new[one.claim.id].append(asset)

    def done(t: Transition) -> Sequence[Claim]:
        ours = completion.held(t, [one.claim for one, _ in made])
        kept = [(one, outcome) for one, outcome in made if one.claim.id in ours]
        if len(kept) < len(made):
            log.warning(
                "%d of %d steps are no longer held; their results are dropped", len(made) - len(kept), len(made)
            )
        origins = [assets.Made(one.claim.owner, new[one.claim.id], one.claim.run_id, one.claim.id) for one, _ in kept]
        assets.insert_all(t.connection, origins, now=t.now)
        complete(t, [_ended(t, one, new[one.claim.id], outcome) for one, outcome in kept])
        return [one.claim for one, _ in kept]

    for claim in bench.change(done):
        bench.watch.ended(claim, "completed")


def _ended(t: Transition, one: Ready, new: Sequence[NewAsset], outcome: Any) -> Ended:
    """Tell of a step's new assets, and give how it ended."""
    claim = one.claim
    for asset in new:
        t.emit(
            claim.run_id,
            "asset.created",
            step=claim.name,
            asset={"id": asset.id, "kind": asset.kind, "caption": asset.caption, "seed": asset.seed},
        )
    ids = [asset.id for asset in new] or [item.asset_id for item in outcome if isinstance(item, Found)]
    return Ended(claim, ids, one.recipe_hash, link=not new)


def new_assets(bench: Bench, things: Sequence[tuple[Ready, Made]]) -> list[NewAsset]:
    """Give the rows of what the steps of a call made; their bytes and thumbnails are blobs afterwards."""
    if not things:
        return []
    thumbs = [thumbnails.thumbnail(thing) for _, thing in things]
    names = bench.blobs.put_many([thing.content for _, thing in things] + [thumb for thumb in thumbs if thumb])
    thumb_names = iter(names[len(things) :])
    captions = bench.encoder.encode([thing.caption for _, thing in things])
    return [
        NewAsset(
            id=new_id("asset"),
            kind=thing.kind,
            media_type=thing.media_type,
            sha256=names[i],
            size_bytes=len(thing.content),
            caption=thing.caption,
            tags=thing.tags,
            width=thing.width,
            height=thing.height,
            seconds=thing.seconds,
            seed=thing.seed,
            recipe=recipe(one, thing),
            weights_hash=one.weights or None,
            licence=trained.licences(thing.models, one.pinned),
            thumbnail_sha256=next(thumb_names) if thumbs[i] else None,
            sources=tuple(asdict(source) for source in thing.sources),
            parents=thing.parents,
            vectors=_vectors(bench, thing, captions[i]),
        )
        for i, (one, thing) in enumerate(things)
    ]


def recipe(one: Ready, thing: Made) -> dict[str, Any]:
    """Give what makes this one thing again."""
    return {"tool": one.spec.name, "version": one.spec.version, "args": thing.args, "weights": one.weights}


def _vectors(bench: Bench, thing: Made, caption: Any) -> Mapping[str, Any]:
    found = {bench.encoder.space: caption}
    if thing.latents is not None:
        found[assets.VAE_LATENTS] = thing.latents
    return found


def _settle(bench: Bench, claim: Claim, error: Exception) -> None:
    """End a step that did not go well: stopped, put back for later, or failed."""
    if isinstance(error, LeaseLost):
        log.warning("%s", error)
        return
    if isinstance(error, BlobsDown) or is_away(error):  # no fault of the step: the attempt does not count
        error = TryLater(_why(error), after_s=BLOBS_WAIT_S if claim.max_attempts > 1 else None)
    if not isinstance(error, ToolError):
        log.error("step %s (%s) of run %s broke", claim.name, claim.tool, claim.run_id, exc_info=error)
    body = as_error(error)

    def end(t: Transition) -> None:
        steps.guard(t, claim)
        if isinstance(error, Cancelled):
            steps.stop(t, claim)
        else:
            after_s = error.after_s if isinstance(error, TryLater) else None
            steps.fail(t, claim, body, again=isinstance(error, TryLater), after_s=after_s)

    _commit(bench, claim, end, _ending(claim, error))


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, BlobsDown) else "the database did not answer"


def _ending(claim: Claim, error: Exception) -> str:
    if isinstance(error, Cancelled):
        return "cancelled"
    again = isinstance(error, TryLater) and (error.after_s is not None or claim.attempts < claim.max_attempts)
    return "retried" if again else "failed"


def as_error(error: Exception) -> dict[str, Any]:
    """Put an exception into the error envelope's shape."""
    if isinstance(error, InvalidInput):
        return {"code": "invalid_input", "message": str(error), "type": "invalid_request", "param": None}
    if isinstance(error, TryLater):
        return {"code": "not_available", "message": str(error), "type": "try_later", "param": None}
    if isinstance(error, ToolError):
        return {"code": "tool_failed", "message": str(error), "type": "tool_failed", "param": None}
    message = f"{type(error).__name__}: {error}; the worker's log has the traceback"
    return {"code": "bug", "message": message, "type": "internal", "param": None}


def _commit(bench: Bench, claim: Claim, change: Any, status: str) -> None:
    try:
        bench.change(change)
    except LeaseLost as lost:
        log.warning("%s; its result is dropped (step %s)", lost, claim.name)
        return
    bench.watch.ended(claim, status)
