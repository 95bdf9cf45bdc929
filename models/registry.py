"""What networks there are, the hashes of their weights, and how to load one. Light: no torch, no numpy at import."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

WEIGHTS = Path(__file__).parent / "weights"
STYLE = "style/"  # begins the names of looks that were trained here, "style/acme"; their weights are blobs
_NONE: Mapping[str, str] = {}
_RUNNERS = {
    "vae": "models.vae.sample:Vae",
    "cgan": "models.cgan.sample:CGan",
    "upscaler": "models.upscaler.sample:Upscaler",
}
_HELPERS = {"cgan": ("vae",), "vae": ("upscaler",)}  # a family draws latents that another decodes, and a third enlarges


class CheckpointError(ValueError):
    """Weights are missing, or are not the ones that the manifest names."""


class Model(Protocol):
    """A loaded network."""

    @property
    def size_bytes(self) -> int:
        """Bytes of its parameters in memory."""


def families() -> tuple[str, ...]:
    """Return the names that `load` knows."""
    return tuple(_RUNNERS)


def with_helpers(wanted: Iterable[str]) -> frozenset[str]:
    """Give families and those that they cannot do without.

    Raises:
        ValueError: no such family.
    """
    found: set[str] = set()
    left = list(wanted)
    while left:
        name = left.pop()
        if name not in _RUNNERS:
            raise ValueError(f"unknown model {name!r}; there are {', '.join(_RUNNERS)}")
        found.add(name)
        left += [helper for helper in _HELPERS.get(name, ()) if helper not in found]
    return frozenset(found)


def device(wanted: str) -> dict[str, Any]:
    """Give what nets will run on: its kind ("cpu" or "cuda"), its name and its memory in bytes.

    Args:
        wanted: auto (a GPU if there is one), cpu or cuda.

    Raises:
        ValueError: a GPU is wanted, and torch has none.
    """
    if wanted == "cpu" or (wanted == "auto" and not _has_card()):
        return processor()  # found out without torch, which takes seconds to import
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ValueError(f"torch {torch.__version__} finds no GPU here: use auto or cpu, or install its CUDA build")
    if not there:
        return processor()
    card = torch.cuda.get_device_properties(0)
    return {"kind": "cuda", "name": card.name, "memory_bytes": int(card.total_memory)}


def _has_card() -> bool:
    """Say whether the system has a device that torch could use: NVIDIA's, AMD's, or one lent by Windows."""
    return any(Path("/dev", name).exists() for name in ("nvidia0", "nvidiactl", "kfd", "dxg"))


def processor() -> dict[str, Any]:
    """Give this machine's processor as `device` does."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {"kind": "cpu", "name": platform.machine(), "memory_bytes": pages * page_bytes}


def weights_hash(*names: str, trained: Mapping[str, str] = _NONE) -> str:
    """Return one sha256, in hex, over the hashes of the named weights.

    Args:
        names: of shipped weights, or of weights that were trained here ("style/acme").
        trained: the sha256 of each of the latter.

    Raises:
        CheckpointError: a name is in neither.
    """
    joined = "\n".join(f"{name} {trained.get(name) or entry(name)['sha256']}" for name in names)
    return hashlib.sha256(joined.encode()).hexdigest()


def licence(name: str) -> str:
    """Return the licence of the data that the named weights learned from."""
    return entry(name)["licence"]


def entry(name: str, weights: Path | None = None) -> dict[str, str]:
    """Return the manifest's entry: file, sha256, licence, data, version.

    Raises:
        CheckpointError: the manifest lacks it.
    """
    manifest = _manifest(weights or WEIGHTS)
    if name not in manifest:
        raise CheckpointError(f"no weights named {name!r} in {weights or WEIGHTS}; there are {sorted(manifest)}")
    return manifest[name]


def checked_file(name: str, weights: Path | None = None) -> Path:
    """Return the path of the named weights once their sha256 is checked.

    Raises:
        CheckpointError: the file is missing or is another one.
    """
    row = entry(name, weights)
    path = (weights or WEIGHTS) / row["file"]
    if not path.exists():
        raise CheckpointError(f"weights {name!r} should be at {path}: restore the file or train them again")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != row["sha256"]:
        raise CheckpointError(f"weights {name!r} at {path} have sha256 {found}, the manifest says {row['sha256']}")
    return path


def load(name: str, weights: Path | None = None, **deps: Any) -> Model:
    """Load a network.

    Args:
        name: one of `families()`.
        weights: a folder with a manifest; None takes the shipped one.
        deps: handed to the family's own `load`; `device` is "cpu" or "cuda".

    Raises:
        ValueError: no such family.
        CheckpointError: the weights do not fit.
    """
    if name not in _RUNNERS:
        raise ValueError(f"unknown model {name!r}; there are {', '.join(_RUNNERS)}")
    module, cls = _RUNNERS[name].split(":")
    return cast(Model, getattr(import_module(module), cls).load(weights, **deps))


def load_trained(name: str, content: bytes, device: str = "cpu") -> Model:
    """Load weights that were trained here from their bytes, once their sha256 is checked, onto "cpu" or "cuda".

    Raises:
        ValueError: no such family is trained here.
        CheckpointError: the weights do not fit.
    """
    if not name.startswith(STYLE):
        raise ValueError(f"nothing called {name!r} is trained here; names begin with {STYLE!r}")
    return cast(Model, import_module("models.style.sample").Style.from_bytes(content, device))


@lru_cache
def _manifest(weights: Path) -> dict[str, dict[str, str]]:
    path = weights / "manifest.json"
    if not path.exists():
        raise CheckpointError(f"no manifest at {path}")
    found: dict[str, dict[str, str]] = json.loads(path.read_text())
    return found
