"""Weights that were trained here, as a step uses them: pinned when the step begins, whatever is trained meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from models import registry
from store import versions
from store.versions import Version
from tools.base import InvalidInput
from tools.generate_image.spec import STYLES

Pinned = Mapping[str, Version]


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
