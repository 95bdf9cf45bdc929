"""Words are drawn in the look, the same whoever stands beside them."""

from __future__ import annotations

import numpy as np
import pytest

from models import registry
from models.cgan.sample import CGan
from models.registry import CheckpointError
from models.style.measure import measure
from models.style.pictures import Pictures
from models.style.sample import Style
from models.vae.sample import Vae


def text(cgan: CGan, name: str) -> np.ndarray:
    return np.asarray(cgan.memory.vectors[cgan.memory.config.names.index(name)])


def test_the_same_text_and_seed_draw_the_same_bytes_whoever_the_neighbours_are(
    style: Style, vae: Vae, cgan: CGan
) -> None:
    texts = np.stack([text(cgan, name) for name in ("pizza", "rocket", "guitar")])
    together = style.sample(cgan, vae, texts, [7, 8, 9])
    assert np.array_equal(together[1], style.sample(cgan, vae, texts[1:2], [8])[0])
    decoder = style.decoder(vae)
    assert np.array_equal(decoder.decode(together, 256)[2], decoder.decode(together[2:], 256)[0])


def test_the_look_shows(style: Style, vae: Vae, cgan: CGan, given: Pictures) -> None:
    """The corners of every picture of the company are light blue; ours are white."""
    texts = np.stack([text(cgan, name) for name in ("pizza", "rocket", "guitar")])
    drawn = style.decoder(vae).decode(style.sample(cgan, vae, texts, [1, 2, 3]))
    corner = drawn[:, :6, :6].reshape(-1, 3).mean(0)
    assert np.abs(corner - given.rgb[0, 0, 0]).max() < 20


def test_what_the_company_drew_starts_from_its_own_picture(style: Style, vae: Vae, cgan: CGan, given: Pictures) -> None:
    assert style.own_row(given.vectors[3], vae.memory, 0) == 3
    assert style.own_row(text(cgan, "pizza"), vae.memory, 0) is None
    drawn = style.decoder(vae).decode(style.sample(cgan, vae, given.vectors[3:4], [5]))[0]
    errors = [np.abs(drawn.astype(float) - one).mean() for one in given.rgb]
    assert int(np.argmin(errors)) == 3


def test_another_colour_than_the_company_drew_is_another_picture(content: bytes, cgan: CGan) -> None:
    style = Style.from_bytes(content)
    memory = cgan.memory
    backpack = text(cgan, "backpack")
    shift = {word: memory.colour_shift[number] for number, word in ((0, "red"), (4, "blue"))}
    blue, red = (
        (backpack + 1.2 * shift[word]) / np.linalg.norm(backpack + 1.2 * shift[word]) for word in ("blue", "red")
    )
    assert memory.colour_of(blue) == 4
    style.captions = np.stack([blue, text(cgan, "pizza")]).astype(np.float32)
    style.config = type(style.config)(**{**vars(style.config), "own_cosine": 0.5})
    assert style.own_row(blue, memory, 0) == 0
    assert style.own_row(backpack, memory, 0) == 0
    assert style.own_row(red, memory, 0) is None


def test_a_version_keeps_the_look(style: Style, vae: Vae, cgan: CGan, given: Pictures) -> None:
    latent = vae.encode(given.rgb[:1])[0]
    words = text(cgan, "pizza")
    near = style.vary(cgan, vae, latent, words, 0.1, 1, anew=False)
    assert np.linalg.norm(near - latent) < 0.3 * np.linalg.norm(latent)
    far = style.vary(cgan, vae, latent, words, 0.9, 1, anew=False)
    assert np.array_equal(far, style.sample(cgan, vae, words[None], [1])[0])
    assert np.array_equal(far, style.vary(cgan, vae, latent, words, 0.4, 1, anew=True))


def test_the_measure_sees_the_look(style: Style, vae: Vae, cgan: CGan, given: Pictures) -> None:
    found = measure(style, vae, cgan, given)
    assert found["in_look"]["before"] == 0  # type: ignore[index]
    assert found["in_look"]["after"] > 0.7  # type: ignore[index]
    assert found["look_distance"]["after"] < 0.6 * found["look_distance"]["before"]  # type: ignore[index]


def test_weights_are_known_by_their_bytes(content: bytes, style: Style) -> None:
    assert registry.load_trained("style/blue", content).size_bytes > 0
    assert registry.weights_hash("vae", "style/blue", trained={"style/blue": style.sha256}) != registry.weights_hash(
        "vae", "style/blue", trained={"style/blue": "0" * 64}
    )
    with pytest.raises(CheckpointError, match="no weights of a style"):
        registry.load_trained("style/blue", content[:100])
    with pytest.raises(ValueError, match="nothing called 'voice/x' is trained here"):
        registry.load_trained("voice/x", content)
