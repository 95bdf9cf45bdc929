"""A training's whole state in one safetensors file, so that it goes on as if it had not stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from models.registry import CheckpointError


def write(path: Path, parts: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any]) -> None:
    """Write tensors by part and name, and plain facts; a crash leaves the old file whole."""
    tensors = {
        f"{part}/{name}": value.detach().cpu().contiguous()
        for part, named in parts.items()
        for name, value in named.items()
    }
    fresh = path.with_suffix(".tmp")
    save_file(tensors, fresh, {"facts": json.dumps(facts)})
    fresh.replace(path)


def read(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Read what `write` wrote.

    Raises:
        CheckpointError: it is no such file.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
            for key in file.keys():  # noqa: SIM118
                part, _, name = key.partition("/")
                parts.setdefault(part, {})[name] = file.get_tensor(key)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the checkpoint {path} cannot be read: {error}; delete it to begin anew") from error
    return parts, facts


def moments(net: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Give what an Adam optimiser remembers of each parameter of a net."""
    found = {}
    for name, parameter in net.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            found[f"{name}:{key}"] = value
    return found


def restore_moments(net: nn.Module, optimiser: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Put back what `moments` gave."""
    parameters = dict(net.named_parameters())
    for key, value in saved.items():
        name, _, what = key.rpartition(":")
        optimiser.state[parameters[name]][what] = value if what == "step" else value.to(parameters[name].device)
