"""A few seconds of training lower the loss, and a stopped run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.cgan import train as cgan
from models.upscaler import train as upscaler
from models.vae import train as vae


@pytest.mark.parametrize("family", [vae, cgan, upscaler], ids=["vae", "cgan", "upscaler"])
def test_the_smoke_run_lowers_the_loss(family: object, tmp_path: Path) -> None:
    first, last = family.smoke(tmp_path)  # type: ignore[attr-defined]
    assert last < 0.95 * first
    assert (tmp_path / "checkpoint.pt").exists()


def test_a_second_run_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    cgan.smoke(tmp_path, steps=5)
    training = cgan.Training(
        cgan.Plan(1), tmp_path, cgan.CGanConfig(condition=32, channels=32, blocks=1), cgan.made_up()
    )
    assert training.step == 5
    assert training.spent_s > 0
