"""Other versions of a picture, ours or uploaded."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from models.fakes import FakeStyle
from tests.tools.conftest import asset_id, drawn, given, job, workshop
from tools import pictures
from tools.base import Cancelled, InvalidInput
from tools.vary_image.run import run
from tools.vary_image.spec import SPEC

CAT = f"@{asset_id(1)}"


def photo() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((90, 40), 80).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def test_versions_remember_what_they_come_from() -> None:
    cat = drawn(1)
    (results,) = run([job(SPEC, workshop(cat), image=CAT, prompt="sleepy cat", strength=0.3, count=2, seed=9)])
    assert isinstance(results, list)
    second = results[1]
    assert second.parents == (cat.asset_id,)
    assert second.args == {
        "image": f"sha256:{cat.sha256}",
        "prompt": "sleepy cat",
        "strength": 0.3,
        "count": 1,
        "seed": 10,
    }
    assert second.caption == "sleepy cat"
    assert "variation" in second.tags
    assert json.loads(pictures.recipe_in(second.content) or "")["args"] == second.args
    (alone,) = run([job(SPEC, workshop(cat), **{**second.args, "image": CAT})])
    assert isinstance(alone, list)
    assert alone[0].content == second.content


def test_strength_decides_how_far_it_goes() -> None:
    cat = drawn(1)
    latents = cat.latents
    assert latents is not None
    far = []
    for strength in (0, 0.3, 1):
        (results,) = run([job(SPEC, workshop(cat), image=CAT, strength=strength, seed=1)])
        assert isinstance(results, list)
        far.append(float(np.abs(results[0].latents - latents).mean()))
    assert far == sorted(far)
    assert far[0] == 0


def test_an_upload_is_seen_by_the_vae() -> None:
    upload = given(2, photo(), media_type="image/jpeg", caption="my dog")
    (results,) = run([job(SPEC, workshop(upload), image=f"@{asset_id(2)}", seed=1)])
    assert isinstance(results, list)
    assert results[0].caption == "my dog"


def test_a_bad_item_fails_alone() -> None:
    broken = given(3, b"not a picture")
    song = given(4, b"la", kind="music", media_type="audio/flac")
    shop = workshop(drawn(1), broken, song)
    stopped = workshop(drawn(1), cancel_at=0.5)
    results = run(
        [
            job(SPEC, shop, image=f"@{asset_id(3)}", seed=1),
            job(SPEC, shop, image=CAT, seed=1),
            job(SPEC, shop, image=f"@{asset_id(4)}", seed=1),
            job(SPEC, shop, image=f"@{asset_id(5)}", seed=1),
            job(SPEC, stopped, image=CAT, seed=1),
        ]
    )
    assert [type(result) for result in results] == [InvalidInput, list, InvalidInput, InvalidInput, Cancelled]
    with pytest.raises(InvalidInput, match="has the kind music"):
        raise results[2]  # type: ignore[misc]


def test_a_picture_in_a_trained_look_keeps_it_and_its_neighbours_are_as_they_would_be_alone() -> None:
    plain, acme = drawn(1), replace(drawn(2), latents=None, style="style/acme")
    shop = workshop(plain, acme)
    shop.models = {**shop.models, "style/acme": FakeStyle("a" * 64)}
    jobs = [job(SPEC, shop, image=f"@{one.asset_id}", count=2, seed=1) for one in (plain, acme)]
    one, other = run(jobs)
    assert isinstance(one, list)
    assert isinstance(other, list)
    assert [thing.models for thing in other] == [(*SPEC.models(jobs[0].args), "style/acme")] * 2
    assert other[0].latents is None
    assert "style/acme" not in one[0].models
    for number, results in enumerate((one, other)):
        alone = run([jobs[number]])[0]
        assert isinstance(alone, list)
        assert [thing.content for thing in alone] == [thing.content for thing in results]
