"""Makes an asset again from its recipe and compares the bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from store import assets, runs
from store.runs import NewRun, NewStep
from store.steps import Claim
from store.transition import Transition
from tools import catalog
from tools.base import InvalidInput, Job, Made, ToolFailed, ToolSpec, sha256_hex
from workers import trained
from workers.bench import Bench
from workers.resolve import check_args
from workers.workshop import StepWorkshop

VERIFY = "studio.verify"


def new_run(owner: str, asset_id: str, queue: str) -> NewRun:
    """Give the run that checks an asset; its reply says what came out, and it fails where the bytes differ."""
    step = NewStep("verify", VERIFY, {"asset": asset_id}, queue)
    plan = {"steps": [{"id": "verify", "tool": VERIFY, "args": {"asset": asset_id}}], "reply": ""}
    return NewRun(owner=owner, plan=plan, steps=[step], priority=runs.DIRECT)


def run(bench: Bench, claim: Claim) -> Callable[[Transition], None]:
    """Check the asset that the step names.

    Raises:
        InvalidInput: it has no recipe, or its tool makes no promise.
        ToolFailed: what was made again differs.
    """
    asset_id = str(claim.args["asset"])
    with bench.database.read() as connection:
        asset = assets.get(connection, claim.owner, asset_id)
    if asset is None:
        raise InvalidInput(f"there is no asset {asset_id!r}")
    spec, recipe = checkable(bench.tools(claim.owner), asset)
    with bench.database.read() as connection:
        wanted = _by_id(connection, claim.owner, recipe["args"])
    args = check_args(spec, wanted)
    with bench.database.read() as connection:
        names = trained.names(connection, claim.owner, spec, args)
        pinned = trained.pin(connection, claim.owner, names)
    if trained.weights_hash(names, pinned) != recipe["weights"]:
        raise InvalidInput(f"asset {asset_id!r} was made with other weights ({recipe['weights'][:12]}…)")
    outcome = catalog.load(spec.runner)([Job(args, StepWorkshop(bench, claim, pinned, quiet=True))])[0]
    if isinstance(outcome, Exception):
        raise outcome
    again = outcome[0]
    if not isinstance(again, Made) or sha256_hex(again.content) != asset.sha256:
        raise ToolFailed(f"asset {asset_id!r} differs from what its recipe makes now")
    return lambda t: runs.set_reply(t, claim.run_id, f"{asset_id} was made again from its recipe: the same bytes.")


def checkable(specs: Mapping[str, ToolSpec], asset: assets.Asset) -> tuple[ToolSpec, Mapping[str, Any]]:
    """Give the tool that made an asset, and the asset's recipe.

    Raises:
        InvalidInput: it was not made here, or its tool does not promise the same bytes.
    """
    if asset.recipe is None:
        raise InvalidInput(f"asset {asset.id!r} was uploaded and has no recipe")
    if asset.recipe["tool"].startswith("studio."):
        raise InvalidInput(f"asset {asset.id!r} shows what a training learned; a training is not repeated for a check")
    spec = specs.get(asset.recipe["tool"])
    if spec is None:
        raise InvalidInput(f"the tool {asset.recipe['tool']!r} that made asset {asset.id!r} is not installed")
    if not spec.exact:
        raise InvalidInput(f"{spec.name} does not promise the same result again, so there is nothing to compare")
    if spec.version != asset.recipe["version"]:
        raise InvalidInput(f"asset {asset.id!r} was made by version {asset.recipe['version']} of {spec.name}")
    return spec, asset.recipe


def _by_id(connection: Any, owner: str, value: Any) -> Any:
    """Replace each "sha256:…" of a recipe by an asset with these bytes."""
    if isinstance(value, dict):
        return {name: _by_id(connection, owner, item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_by_id(connection, owner, item) for item in value]
    if isinstance(value, str) and value.startswith("sha256:"):
        asset = assets.by_sha256(connection, owner, value.removeprefix("sha256:"))
        if asset is None:
            raise InvalidInput(f"an input of the recipe ({value[:20]}…) is no longer in the library")
        return f"@{asset.id}"
    return value
