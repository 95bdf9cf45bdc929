"""A look that was trained for a few seconds, and the nets that it stands on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.cgan.sample import CGan
from models.style import weights
from models.style.pictures import Pictures
from models.style.sample import Style
from models.style.train import made_up
from models.style.training import Plan, Training, arrays
from models.vae.sample import Vae


@pytest.fixture(scope="session")
def vae() -> Vae:
    torch.set_num_threads(1)
    return Vae.load()


@pytest.fixture(scope="session")
def cgan() -> CGan:
    return CGan.load()


@pytest.fixture(scope="session")
def given() -> Pictures:
    """Discs and boxes with a thick dark line on light blue."""
    return made_up()


@pytest.fixture(scope="session")
def content(vae: Vae, given: Pictures, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a look."""
    training = Training(Plan(steps=60, batch=4), tmp_path_factory.mktemp("style"), vae, given)
    training.run()
    return weights.write(arrays(training, given), training.config, "blue", "CC0-1.0")


@pytest.fixture(scope="session")
def style(content: bytes) -> Style:
    return Style.from_bytes(content)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
