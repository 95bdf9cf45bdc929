"""From the arguments of a plan to the arguments of a call: references become assets of the right kind."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from sqlalchemy import Connection

from store import assets
from store.steps import Claim
from tools.base import InvalidInput, Takes, ToolArgs, ToolSpec

_STEP = re.compile(r"^\$(?P<name>[A-Za-z0-9_]+)(\[(?P<index>\d+)\])?$")


def takes(info: FieldInfo) -> tuple[str, ...] | None:
    """Give the kinds of asset that an argument takes, or None if it takes no asset."""
    for found in (*info.metadata, *_metadata(info.annotation)):
        if isinstance(found, Takes):
            return found.kinds
    return None


def _metadata(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for part in get_args(annotation):
        yield from _metadata(part)


def is_list(info: FieldInfo) -> bool:
    """Say whether an argument takes several assets."""
    return "tuple" in str(info.annotation)


def resolve(connection: Connection, claim: Claim, spec: ToolSpec) -> ToolArgs:
    """Give the checked arguments of a claimed step, with every reference as "@asset_…".

    Raises:
        InvalidInput: an argument does not fit; the message names it and what would fit.
    """
    args = dict(claim.args)
    for name, info in spec.args.model_fields.items():
        kinds = takes(info)
        if kinds is None or args.get(name) is None:
            continue
        given = args[name] if isinstance(args[name], list | tuple) else [args[name]]
        ids = [asset_id for reference in given for asset_id in _assets_behind(name, reference, claim)]
        _check_kinds(connection, claim.owner, name, ids, kinds)
        references = [f"@{asset_id}" for asset_id in ids]
        if is_list(info) and (references or not given):
            args[name] = references
        elif references:
            args[name] = references[0]
        else:
            raise InvalidInput(f"{name}: {given[0]} gave nothing to work with")
    return check_args(spec, args)


def check_args(spec: ToolSpec, args: Mapping[str, Any]) -> ToolArgs:
    """Validate arguments against a tool's model.

    Raises:
        InvalidInput: the message names each argument that does not fit and its range.
    """
    try:
        return spec.args.model_validate(args)
    except ValidationError as error:
        raise InvalidInput(describe(spec.name, error)) from error


def describe(tool: str, error: ValidationError) -> str:
    """Put a validation error into words: argument, what is wrong, what was given."""
    parts = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"])
        given = "" if fault["type"] in {"missing", "value_error"} else f" (given: {fault['input']!r})"
        parts.append(f"{where + ': ' if where else ''}{fault['msg']}{given}")
    return f"{tool}: " + "; ".join(parts)


def _assets_behind(name: str, reference: str, claim: Claim) -> list[str]:
    if reference.startswith("@"):
        return [reference[1:]]
    match = _STEP.match(reference)
    if match is None or match["name"] not in claim.outputs:
        raise InvalidInput(f"{name}: {reference!r} names no earlier step and no asset")
    made = claim.outputs[match["name"]]
    if match["index"] is None:
        return list(made)
    index = int(match["index"])
    if index >= len(made):
        raise InvalidInput(f"{name}: {reference} does not exist, step {match['name']!r} made {len(made)}")
    return [made[index]]


def _check_kinds(connection: Connection, owner: str, name: str, ids: list[str], kinds: tuple[str, ...]) -> None:
    found = {asset.id: asset for asset in assets.get_many(connection, owner, ids)}
    for asset_id in ids:
        if asset_id not in found:
            raise InvalidInput(f"{name}: there is no asset {asset_id!r}")
        if found[asset_id].kind not in kinds:
            raise InvalidInput(
                f"{name}: {asset_id} is of kind {found[asset_id].kind!r}, and {' or '.join(kinds)} is needed"
            )


def recipe_hash(connection: Connection, claim: Claim, spec: ToolSpec, args: BaseModel, weights: str) -> str:
    """Give the hash of all that decides the result: tool, arguments, inputs' bytes, weights."""
    plain = by_content(connection, claim.owner, args.model_dump(mode="json", exclude_none=True))
    recipe = {"tool": spec.name, "version": spec.version, "args": plain, "weights": weights}
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def by_content(connection: Connection, owner: str, args: Any) -> Any:
    """Replace each "@asset_…" by "sha256:…" of its bytes."""
    if isinstance(args, dict):
        return {name: by_content(connection, owner, value) for name, value in args.items()}
    if isinstance(args, list | tuple):
        return [by_content(connection, owner, value) for value in args]
    if isinstance(args, str) and args.startswith("@asset_"):
        asset = assets.get(connection, owner, args[1:])
        return f"sha256:{asset.sha256}" if asset is not None else args
    return args
