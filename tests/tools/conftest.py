"""Inputs for tools, without a studio around them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.fakes import FakeCGan
from tools import pictures, recipes
from tools.base import Input, Job
from tools.fakes import FakeWorkshop

WEIGHTS = "f" * 64
Given = Callable[..., Input]


@pytest.fixture(autouse=True)
def _weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "weights_of", lambda *families, trained=None: WEIGHTS if families else None)


def asset_id(number: int) -> str:
    return f"asset_{number:026d}"


def given(number: int, content: bytes, *, kind: Any = "image", media_type: str = "image/png", **fields: Any) -> Input:
    sha256 = hashlib.sha256(content).hexdigest()
    return Input(
        asset_id(number),
        kind,
        media_type,
        sha256,
        content,
        fields.get("caption", f"thing {number}"),
        fields.get("latents"),
    )


def drawn(number: int, *, size: int = 64) -> Input:
    """A picture of ours, with its latents."""
    latents = FakeCGan().sample(np.full((1, 4), number / 7), [None], [number])[0]
    pixels = np.random.default_rng(number).integers(0, 255, (size, size, 3), np.uint8)
    return given(number, pictures.encode(pixels), latents=latents)


def workshop(*inputs: Input, **fields: Any) -> FakeWorkshop:
    return FakeWorkshop(library={one.asset_id: one for one in inputs}, **fields)


def job(spec: Any, shop: FakeWorkshop | None = None, **args: Any) -> Job:
    return Job(spec.args.model_validate(args), shop or workshop())
