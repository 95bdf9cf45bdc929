"""A small studio of untrained nets in a folder, and the shipped ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.cgan.net import CGanConfig, Generator
from models.emoji.memory import Memory, MemoryConfig
from models.registry import WEIGHTS
from models.upscaler.net import UpscalerConfig, UpscalerNet
from models.vae.config import VaeConfig
from models.vae.net import VaeNet
from models.weights import files
from models.weights.ship import arrays

THINGS = ["cat face", "dog face", "pizza", "sun"]


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def made_up_memory() -> Memory:
    rng = np.random.default_rng(0)
    vectors = unit(rng.standard_normal((4, 384)))
    return Memory(
        MemoryConfig(THINGS, ["1f431", "1f436", "1f355", "2600"]),
        rng.integers(-127, 128, (8, 12, 8, 8)).astype(np.int8),
        np.full(12, 0.02, np.float32),
        np.full(12, 0.1, np.float32),
        np.repeat(np.arange(4), 2),
        np.array([0, 1] * 4),
        vectors,
        np.round(vectors * 256).astype(np.int8),
        np.arange(4),
        np.zeros((384, 8), np.float32),
        np.zeros(8, np.float32),
        np.zeros((8, 4), np.float32),
        np.zeros(4, np.float32),
        rng.integers(-127, 128, (8, 12, 8, 8)).astype(np.int8),
        np.zeros((9, 4, 12, 3, 3), np.float32),
        np.ones(4, np.uint8),
        np.zeros((384, 10), np.float32),
        np.zeros(10, np.float32),
        np.zeros((384, 12), np.float32),
        np.zeros(12, np.float32),
        np.zeros((11, 384), np.float32),
    )


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder of untrained nets and a memory of four things."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    vae = VaeConfig(encoder_16=8, encoder_8=8, decoder_8=8, decoder_16=8, decoder_32=8)
    cgan, upscaler = CGanConfig(condition=8, channels=8, blocks=1), UpscalerConfig(channels=4, layers=1)
    generator = Generator(cgan)
    torch.nn.init.normal_(generator.last.weight, std=0.1)
    files.write("vae", arrays(VaeNet(vae).state_dict()), vae, folder, "0")
    files.write("cgan", arrays(generator.state_dict()), cgan, folder, "0")
    files.write("upscaler", arrays(UpscalerNet(upscaler).state_dict()), upscaler, folder, "0")
    memory = made_up_memory()
    kept = {key: value for key, value in vars(memory).items() if isinstance(value, np.ndarray)}
    files.write("memory", kept, memory.config, folder, "0")
    return folder


@pytest.fixture(params=["made_up", "shipped"])
def weights(request: pytest.FixtureRequest, made_up: Path) -> Path:
    """Both folders, one after the other: what holds for one holds for the other."""
    return made_up if request.param == "made_up" else WEIGHTS


@pytest.fixture(scope="session")
def texts() -> np.ndarray:
    """Three text vectors, (3, 384)."""
    return np.stack([Memory.load().vectors[row] for row in (100, 400, 700)])
