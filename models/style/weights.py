"""The file of a look: float16 safetensors with its config and licence inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.registry import CheckpointError
from models.style.net import StyleConfig

FACTS = "facts"


def write(arrays: Mapping[str, np.ndarray], config: StyleConfig, name: str, licence: str) -> bytes:
    """Give the bytes of a look; the same arrays give the same bytes."""
    halved = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in sorted(arrays.items())}
    facts = {"config": asdict(config), "licence": licence, "name": name}
    # One key: the library writes several in an order of chance.
    return bytes(
        save({k: np.ascontiguousarray(v) for k, v in halved.items()}, {FACTS: json.dumps(facts, sort_keys=True)})
    )


def read(content: bytes) -> tuple[StyleConfig, dict[str, np.ndarray]]:
    """Give the config and the arrays of a look, floats as float32.

    Raises:
        CheckpointError: it is no such file, or one of another version.
    """
    try:
        arrays = load(content)
        row = json.loads(_metadata(content)[FACTS])["config"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"these are no weights of a style: {error}") from error
    known = {field.name for field in fields(StyleConfig)}
    if set(row) != known:
        raise CheckpointError(f"the style holds the config {sorted(row)}, this version reads {sorted(known)}")
    return StyleConfig(**row), {k: v.astype(np.float32) if v.dtype.kind in "fi" else v for k, v in arrays.items()}


def _metadata(content: bytes) -> dict[str, str]:
    """Read the header: its length in 8 bytes, then JSON."""
    length = int.from_bytes(content[:8], "little")
    found: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return found
