"""Write weights beside their manifest, and read them back checked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from models.registry import CheckpointError, checked_file

LICENCE = "Apache-2.0 (Noto) AND CC-BY-4.0 (Twemoji, EmojiOne) AND MIT (Fluent, emojibase)"
DATA = "noto 1.2.9, twemoji 1.2.5, fluent-emoji-flat 1.2.6, emojione 1.2.3, emojibase-data 17.0.0"

Config = TypeVar("Config")


def write(name: str, arrays: dict[str, np.ndarray], config: Any, folder: Path, version: str) -> Path:
    """Write arrays, floats as float16, with their config, and enter the file in the folder's manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    halved = {k: v.astype(np.float16) if v.dtype.kind == "f" else v for k, v in arrays.items()}
    metadata = {"config": json.dumps(asdict(config), sort_keys=True), "licence": LICENCE, "data": DATA}
    save_file({k: np.ascontiguousarray(v) for k, v in sorted(halved.items())}, path, metadata)
    path.chmod(0o644)
    manifest_path = folder / "manifest.json"
    manifest = json.loads(manifest_path.read_text()) if manifest_path.exists() else {}
    manifest[name] = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": LICENCE,
        "data": DATA,
        "version": version,
    }
    manifest_path.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return path


def read(name: str, config: type[Config], folder: Path | None) -> tuple[Config, dict[str, np.ndarray]]:
    """Return the config and the arrays of the named weights, floats as float32.

    Raises:
        CheckpointError: the file is not the manifest's, or it holds another config.
    """
    path = checked_file(name, folder)
    try:
        with safe_open(path, framework="numpy") as file:
            row = json.loads(file.metadata()["config"])
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError) as error:
        raise CheckpointError(f"weights {name!r} at {path} cannot be read: {error}") from error
    known = {field.name for field in fields(config)}  # type: ignore[arg-type]
    if set(row) != known:
        raise CheckpointError(f"weights {name!r} hold the config {sorted(row)}, this version reads {sorted(known)}")
    return config(**row), {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in arrays.items()}
