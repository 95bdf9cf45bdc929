"""Weights that were trained here, as a step uses them: pinned when the step begins, whatever is trained meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from models import registry
from store import assets, versions
from store.versions import Version
from tools.base import InvalidInput, ToolArgs, ToolSpec
from tools.generate_image.spec import STYLES

Pinned = Mapping[str, Version]


def names(connection: Connection, owner: str, spec: ToolSpec, args: ToolArgs) -> tuple[str, ...]:
    """Give the weights that a result depends on: those of the arguments, and the look of a picture that is kept."""
    kept = None if spec.keeps is None else getattr(args, spec.keeps, None)
    look = look_of(connection, owner, str(kept).removeprefix("@")) if kept else None
    return (*spec.models(args), *((look,) if look else ()))


def look_of(connection: Connection, owner: str, asset_id: str) -> str | None:
    """Give the weights of the trained look that an asset was drawn in, None where it has none that is still used."""
    asset = assets.get(connection, owner, asset_id, deleted=True)
    if asset is None or asset.kind != "image" or not asset.recipe:
        return None
    style = asset.recipe["args"].get("style")
    if isinstance(style, str) and style not in STYLES and versions.newest(connection, owner, versions.STYLE, style):
        return registry.STYLE + style
    source = asset.recipe["args"].get("image")
    if not isinstance(source, str) or not source.startswith("sha256:"):
        return None
    parent = assets.by_sha256(connection, owner, source.removeprefix("sha256:"))
    return None if parent is None or parent.id == asset_id else look_of(connection, owner, parent.id)


def pin(connection: Connection, owner: str, names: Sequence[str]) -> dict[str, Version]:
    """Give the newest versions of those of the named weights that were trained here, by name.

    Raises:
        InvalidInput: an owner has none of this name; the message says which there are.
    """
    found = {}
    for name in names:
        if name.startswith(registry.STYLE):
            wanted = name.removeprefix(registry.STYLE)
            version = versions.newest(connection, owner, versions.STYLE, wanted)
            if version is None:
                there = ", ".join((*STYLES, *versions.names(connection, owner)))
                raise InvalidInput(f"style: there is no style {wanted!r}; there are {there}")
            found[name] = version
    return found


def weights_hash(names: Sequence[str], pinned: Pinned) -> str:
    """Give one sha256 over all weights that a result depends on, "" where it depends on none."""
    trained = {name: version.sha256 for name, version in pinned.items()}
    return registry.weights_hash(*names, trained=trained) if names else ""


def licences(names: Sequence[str], pinned: Pinned) -> str | None:
    """Give the licences of the data that weights learned from, each once; None for no weights."""
    found = [pinned[name].licence if name in pinned else registry.licence(name) for name in names]
    return "; ".join(dict.fromkeys(licence for licence in found if licence)) or None
