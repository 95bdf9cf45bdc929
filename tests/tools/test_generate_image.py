"""What was asked for is drawn: alone or with others the same, and it says how to draw it again."""

from __future__ import annotations

import json

import numpy as np

from models.fakes import FakeStyle, FakeVae
from tests.tools.conftest import WEIGHTS, job, workshop
from tools import pictures
from tools.base import Cancelled, Made
from tools.generate_image.run import run
from tools.generate_image.spec import SPEC


def made(results: object) -> list[Made]:
    assert isinstance(results, list)
    return results


def test_pictures_carry_all_that_makes_them_again() -> None:
    (results,) = run([job(SPEC, prompt="a happy cat with 2 hats", count=3, size=128, style="noto", seed=5)])
    third = made(results)[2]
    assert len(made(results)) == 3
    assert third.seed == 7
    assert third.args == {
        "prompt": "a happy cat with 2 hats",
        "model": "cgan",
        "style": "noto",
        "count": 1,
        "size": 128,
        "seed": 7,
    }
    assert third.caption == "a happy cat with 2 hats"
    assert third.tags == ("happy", "cat", "hats", "noto", "cgan")
    assert third.latents is not None
    assert pictures.decode(third.content).shape == (128, 128, 3)
    recipe = json.loads(pictures.recipe_in(third.content) or "")
    assert recipe == {"tool": "generate_image", "version": 1, "args": third.args, "weights": WEIGHTS}


def test_a_recipe_makes_the_same_bytes_again() -> None:
    (together,) = run([job(SPEC, prompt="sun", count=4, size=64, seed=2**31 - 2)])
    for one in made(together):
        (alone,) = run([job(SPEC, **one.args)])
        assert made(alone)[0].content == one.content


def test_jobs_that_share_a_call_get_what_they_would_get_alone() -> None:
    asked = [
        {"prompt": "sun", "count": 5, "size": 64, "seed": 1},
        {"prompt": "moon", "count": 16, "size": 64, "seed": 2},
        {"prompt": "sun", "count": 1, "size": 64, "seed": 3, "style": "fluent"},
    ]
    together = run([job(SPEC, **one) for one in asked])
    for results, one in zip(together, asked, strict=True):
        (alone,) = run([job(SPEC, **one)])
        assert [thing.content for thing in made(results)] == [thing.content for thing in made(alone)]


def test_a_cancelled_job_stops_and_the_others_go_on() -> None:
    vae = FakeVae()
    calls: list[int] = []
    decode = vae.decode

    def counted(latents: np.ndarray, size: int) -> np.ndarray:
        calls.append(len(latents))
        return decode(latents, size)

    vae.decode = counted  # type: ignore[method-assign]
    shop = workshop()
    shop.models = {**shop.models, "vae": vae}
    stopped, going = workshop(cancel_at=0.9), workshop()
    first, second, third = run(
        [
            job(SPEC, shop, prompt="a", count=8, size=64, seed=1),
            job(SPEC, stopped, prompt="b", count=9, size=64, seed=1),
            job(SPEC, going, prompt="c", count=16, size=64, seed=1),
        ]
    )
    assert len(made(first)) == 8
    assert isinstance(second, Cancelled)
    assert len(made(third)) == 16
    assert sum(calls) == 33


def test_progress_comes_with_previews() -> None:
    shop = workshop()
    run([job(SPEC, shop, prompt="a", count=16, size=128, seed=1)])
    run([job(SPEC, shop, prompt="a", model="vae", size=256, seed=1)])
    assert shop.told[-1] == 1
    assert pictures.decode(shop.previews[-1]).shape == (128, 128, 3)


def test_a_trained_style_draws_with_its_own_weights() -> None:
    acme, brand = workshop(), workshop()
    acme.models = {**acme.models, "style/acme": FakeStyle("a" * 64)}
    brand.models = {**brand.models, "style/acme": FakeStyle("b" * 64, tint=90)}
    asked = {"prompt": "sun", "count": 2, "size": 64, "seed": 1, "style": "acme"}
    one, other = run([job(SPEC, acme, **asked), job(SPEC, brand, **asked)])  # two owners, one name
    assert [thing.content for thing in made(one)] != [thing.content for thing in made(other)]
    assert made(run([job(SPEC, brand, **asked)])[0])[1].content == made(other)[1].content
    first = made(one)[0]
    assert first.models[-1] == "style/acme"
    assert first.latents is None  # they are no latents of the shipped decoder
    assert first.args["style"] == "acme"
    assert "acme" in first.tags


def test_a_trained_style_is_drawn_apart_from_others() -> None:
    shipped, trained = (SPEC.batch_key(job(SPEC, prompt="x", style=style).args) for style in ("noto", "acme"))
    assert shipped != trained
    assert shipped == SPEC.batch_key(job(SPEC, prompt="x").args)
