"""Ends steps well: what one call of a tool gave is written in a few statements, however many steps it served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, insert, select, update

from store import runs as run_rows
from store.steps import Claim, LeaseLost
from store.tables import step_assets, step_needs, steps
from store.transition import Transition


@dataclass(frozen=True)
class Ended:
    """A step that ended well.

    Attributes:
        assets: ids of what it made or found.
        recipe_hash: what was asked, so that the same is answered from the library next time.
        cached: the results were made earlier.
        link: write the rows that tie the assets to the step (not needed where `assets.insert` did).
    """

    claim: Claim
    assets: Sequence[str] = ()
    recipe_hash: str | None = None
    cached: bool = False
    link: bool = False


_HELD = (
    select(steps.c.id, steps.c.token)
    .where(steps.c.id.in_(bindparam("of_steps", expanding=True)), steps.c.status == "in_progress")
    .order_by(steps.c.id)
    .with_for_update()
)
_END = (
    update(steps)
    .where(steps.c.id == bindparam("of_step"), steps.c.token == bindparam("of_token"), steps.c.status == "in_progress")
    .values(status="completed", percent=100, lease_until=None, ended_at=bindparam("at"), recipe_hash=bindparam("hash"))
)
_DEPENDENTS = (
    select(steps.c.id, steps.c.run_id, steps.c.name, steps.c.tool, steps.c.queue, steps.c.priority)
    .where(
        steps.c.status == "waiting",
        steps.c.id.in_(
            select(step_needs.c.step_id).where(step_needs.c.needs_id.in_(bindparam("of_steps", expanding=True)))
        ),
    )
    .order_by(steps.c.run_id, steps.c.position)
)
_needed = steps.alias("needed")
_STILL_WAITING = (
    select(step_needs.c.step_id, func.count())
    .select_from(step_needs.join(_needed, _needed.c.id == step_needs.c.needs_id))
    .where(step_needs.c.step_id.in_(bindparam("of_steps", expanding=True)), _needed.c.status != "completed")
    .group_by(step_needs.c.step_id)
)


def held(t: Transition, claims: Sequence[Claim]) -> set[str]:
    """Give the ids of the steps that are still ours, and hold their runs for the rest of the transaction."""
    t.lock_runs([claim.run_id for claim in claims])
    found = {(row.id, row.token) for row in t.connection.execute(_HELD, {"of_steps": [claim.id for claim in claims]})}
    return {claim.id for claim in claims if (claim.id, claim.token) in found}


def complete(t: Transition, ended: Sequence[Ended]) -> None:
    """End steps well, release those that waited for them, and move their runs on. Ask `held` or `guard` first.

    Raises:
        LeaseLost: one of them is no longer ours; the transaction writes nothing.
    """
    if not ended:
        return
    rows = [
        {"of_step": one.claim.id, "of_token": one.claim.token, "at": t.now, "hash": one.recipe_hash} for one in ended
    ]
    if t.connection.execute(_END, rows).rowcount != len(ended):
        names = ", ".join(one.claim.id for one in ended)
        raise LeaseLost(f"one of the steps {names} is no longer held")
    _link(t, [one for one in ended if one.link])
    for one in ended:
        _tell(t, one)
    _release_dependents(t, [one.claim.id for one in ended])
    run_rows.advance(t, *dict.fromkeys(one.claim.run_id for one in ended))


def _link(t: Transition, ended: Sequence[Ended]) -> None:
    rows = [
        {"step_id": one.claim.id, "position": position, "asset_id": asset_id}
        for one in ended
        for position, asset_id in enumerate(one.assets)
    ]
    if rows:
        t.connection.execute(insert(step_assets), rows)


def _tell(t: Transition, one: Ended) -> None:
    claim = one.claim
    if claim.tool.startswith("studio."):
        return
    if one.cached:
        t.emit(claim.run_id, "step.cached", step=claim.name, assets=list(one.assets))
    t.emit(claim.run_id, "step.completed", step=claim.name, tool=claim.tool, assets=list(one.assets))


def _release_dependents(t: Transition, step_ids: Sequence[str]) -> None:
    waiting = t.connection.execute(_DEPENDENTS, {"of_steps": list(step_ids)}).all()
    if not waiting:
        return
    ids = [row.id for row in waiting]
    left = {row.step_id for row in t.connection.execute(_STILL_WAITING, {"of_steps": ids})}
    for row in waiting:
        if row.id not in left:
            run_rows.queue_step(t, row.run_id, row)
