"""Words become latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.cgan.sample import CGan
from models.emoji.memory import Memory
from models.vae.sample import Vae


def test_the_same_words_style_and_seed_draw_the_same_latent_whoever_the_neighbours_are(
    weights: Path, texts: np.ndarray
) -> None:
    cgan = CGan.load(weights)
    together = cgan.sample(texts, [None, "noto", "fluent"], [7, 8, 9])
    assert together.dtype == np.float32
    assert np.array_equal(together[1:2], cgan.sample(texts[1:2], ["noto"], [8]))
    assert np.array_equal(together[::-1], cgan.sample(texts[::-1].copy(), ["fluent", "noto", None], [9, 8, 7]))


def test_another_seed_draws_another_picture(weights: Path, texts: np.ndarray) -> None:
    cgan = CGan.load(weights)
    drawn = cgan.sample(np.repeat(texts[:1], 4, 0), [None] * 4, [1, 2, 3, 4])
    assert len({latent.tobytes() for latent in drawn}) == 4


def test_neighbouring_seeds_differ_to_the_eye() -> None:
    cgan, vae = CGan.load(), Vae.load()
    text = cgan.memory.vectors[cgan.memory.config.names.index("pizza")]
    drawn = vae.decode(cgan.sample(np.stack([text] * 3), [None] * 3, [7, 8, 9])).astype(float)
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(drawn[one] - drawn[other]).mean() > 10


def test_torch_s_own_seed_changes_nothing(made_up: Path, texts: np.ndarray) -> None:
    import torch

    cgan = CGan.load(made_up)
    torch.manual_seed(1)
    one = cgan.sample(texts[:1], [None], [5])
    torch.manual_seed(2)
    assert np.array_equal(one, cgan.sample(texts[:1], [None], [5]))


def test_a_stronger_variation_goes_further(weights: Path, texts: np.ndarray) -> None:
    cgan = CGan.load(weights)
    latent = cgan.sample(texts[:1], ["noto"], [3])[0]
    steps = [cgan.vary(latent, None, strength, 1) - latent for strength in (0.0, 0.1, 0.3, 0.5)]
    lengths = [float(np.linalg.norm(step)) for step in steps]
    assert lengths[0] < 1e-5
    assert lengths == sorted(lengths)
    assert np.array_equal(cgan.vary(latent, texts[1], 0.5, 2), cgan.vary(latent, texts[1], 0.5, 2))
    with pytest.raises(ValueError, match="strength"):
        cgan.vary(latent, None, 1.5, 0)


def test_the_nearest_known_things_come_with_their_cosines() -> None:
    cgan, memory = CGan.load(), Memory.load()
    row = memory.config.names.index("pizza")
    names = cgan.knows(memory.vectors[row], 3)
    assert names[0][0] == "pizza"
    assert names[0][1] > 0.95 >= names[1][1] > names[2][1]
    assert cgan.knows(-memory.vectors[row])[0][1] < cgan.config.known_cosine


def test_a_style_asked_for_is_the_style_drawn_from() -> None:
    memory = Memory.load()
    rng = np.random.default_rng(0)
    text = memory.vectors[memory.config.names.index("cat face")]
    rows = [memory.draw(text, "twemoji", rng, turn) for turn in range(20)]
    assert {int(memory.style[row]) for row in rows} == {1}


def test_wrong_shapes_are_refused(made_up: Path, texts: np.ndarray) -> None:
    cgan = CGan.load(made_up)
    with pytest.raises(ValueError, match="text vectors"):
        cgan.sample(texts[0], [None], [1])
    with pytest.raises(ValueError, match="zip"):
        cgan.sample(texts, [None], [1])
    with pytest.raises(ValueError, match="unknown style"):
        cgan.sample(texts[:1], ["manga"], [1])
    with pytest.raises(ValueError, match="latent must be"):
        cgan.vary(np.zeros((3, 3, 3), np.float32), None, 0.5, 1)
