"""Pictures go into latents and come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.emoji.data import on_white
from models.vae.sample import Vae
from models.vae.train import made_up as discs


def test_a_picture_has_the_same_bytes_alone_in_a_batch_and_at_any_place_in_it(weights: Path) -> None:
    vae = Vae.load(weights)
    latents = np.random.default_rng(0).standard_normal((5, *vae.latent_shape)).astype(np.float32)
    together = vae.decode(latents, 256)
    assert np.array_equal(together[::-1], vae.decode(latents[::-1].copy(), 256))
    for row in range(5):
        assert np.array_equal(together[row], vae.decode(latents[row : row + 1], 256)[0])
    again = vae.encode(together)
    assert np.array_equal(again[3], vae.encode(together[3:4])[0])


@pytest.mark.parametrize("size", [64, 128, 256])
def test_decode_gives_the_size_asked_for(made_up: Path, size: int) -> None:
    vae = Vae.load(made_up)
    assert vae.decode(np.zeros((2, *vae.latent_shape), np.float32), size).shape == (2, size, size, 3)
    assert vae.decode(np.zeros((0, *vae.latent_shape), np.float32), size).shape == (0, size, size, 3)


def test_encode_takes_any_size_from_32_and_any_shape(made_up: Path) -> None:
    vae = Vae.load(made_up)
    for height, width in ((32, 32), (64, 64), (256, 256), (500, 120), (40, 90)):
        assert vae.encode(np.full((1, height, width, 3), 255, np.uint8)).shape == (1, *vae.latent_shape)
    with pytest.raises(ValueError, match="32 pixels a side"):
        vae.encode(np.zeros((1, 31, 64, 3), np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        vae.encode(np.zeros((1, 64, 64, 3), np.float32))
    with pytest.raises(ValueError, match="size must be one of"):
        vae.decode(np.zeros((1, *vae.latent_shape), np.float32), 100)


def test_the_shipped_vae_gives_simple_pictures_back() -> None:
    vae, pictures = Vae.load(), discs(8)
    back = vae.decode(vae.encode(pictures))
    error = ((back.astype(float) - pictures) ** 2).mean((1, 2, 3))
    assert (10 * np.log10(255**2 / error)).mean() > 20


def test_a_seed_draws_one_posterior_sample(weights: Path, texts: np.ndarray) -> None:
    vae = Vae.load(weights)
    one = vae.sample(texts, [None, "noto", "twemoji"], [1, 2, 3])
    assert one.shape == (3, *vae.latent_shape)
    assert np.array_equal(one[1:2], vae.sample(texts[1:2], ["noto"], [2]))
    assert not np.array_equal(one[1:2], vae.sample(texts[1:2], ["noto"], [4]))
    with pytest.raises(ValueError, match="unknown style"):
        vae.sample(texts[:1], ["manga"], [1])


def test_transparent_is_white() -> None:
    assert on_white(np.zeros((2, 2, 4), np.uint8)).min() == 255
