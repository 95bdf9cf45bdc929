"""Videos are exact, smooth, and the same each time."""

from __future__ import annotations

import io
import json
from typing import Any

import av
import numpy as np
import pytest

from tests.tools.conftest import asset_id, drawn, given, job, workshop
from tests.tools.test_clips import tone
from tools import clips, pictures
from tools.base import Cancelled, InvalidInput, Made
from tools.fakes import FakeWorkshop
from tools.make_video import path
from tools.make_video.run import run
from tools.make_video.spec import SPEC


def refs(*numbers: int) -> list[str]:
    return [f"@{asset_id(number)}" for number in numbers]


def made(shop: FakeWorkshop, **args: Any) -> Made:
    (results,) = run([job(SPEC, shop, **args)])
    assert isinstance(results, list), results
    return results[0]


def frames(video: Made) -> np.ndarray:
    return np.stack(list(clips.frames_of(video.content))).astype(float)


def steps(shown: np.ndarray) -> np.ndarray:
    moved: np.ndarray = np.abs(np.diff(shown, axis=0)).mean((1, 2, 3))
    return moved


@pytest.mark.parametrize("motion", ["morph", "loop", "slideshow"])
@pytest.mark.parametrize("numbers", [(1,), (1, 2, 3)])
def test_a_video_is_exact_and_can_be_made_again(motion: str, numbers: tuple[int, ...]) -> None:
    inputs = [drawn(number) for number in numbers]
    shop = workshop(*inputs)
    video = made(shop, images=refs(*numbers), motion=motion, seconds=1.49, fps=12)
    assert video.seconds == 18 / 12
    with av.open(io.BytesIO(video.content)) as container:
        assert container.streams.video[0].frames == 18
        assert container.streams.video[0].average_rate == 12
        assert (container.streams.video[0].width, container.streams.video[0].height) == (256, 256)
    assert video.args == {
        "images": [f"sha256:{one.sha256}" for one in inputs],
        "motion": motion,
        "seconds": 1.49,
        "fps": 12,
    }
    assert json.loads(clips.recipe_in(video.content) or "")["args"] == video.args
    assert video.parents == tuple(one.asset_id for one in inputs)
    assert made(shop, images=refs(*numbers), motion=motion, seconds=1.49, fps=12).content == video.content
    assert shop.told[0] == 0
    assert shop.told[-1] == 1
    assert pictures.decode(shop.previews[0]).shape == (128, 128, 3)


def test_a_morph_goes_from_the_first_to_the_last_without_a_jump() -> None:
    shop = workshop(drawn(1), drawn(2), drawn(3))
    video = made(shop, images=refs(1, 2, 3), seconds=3)
    shown = frames(video)
    vae = shop.model("vae")
    for number, frame in ((1, shown[0]), (3, shown[-1])):
        key = vae.decode(drawn(number).latents[None], 256)[0]  # type: ignore[index]
        assert np.abs(frame - key).mean() < 4
    moved = steps(shown)
    assert moved.max() <= 3 * np.median(moved)


@pytest.mark.parametrize("numbers", [(1,), (1, 2), (1, 2, 3)])
def test_a_loop_closes_without_a_seam(numbers: tuple[int, ...]) -> None:
    shown = frames(made(workshop(*map(drawn, numbers)), images=refs(*numbers), motion="loop", seconds=2))
    moved = steps(np.concatenate([shown, shown[:1]]))
    assert moved.max() <= 3 * np.median(moved)
    assert np.median(moved) > 0.05  # also one picture is a video


def test_a_photo_that_fills_its_frame_shows_no_edge() -> None:
    photo = given(1, pictures.encode(np.random.default_rng(0).integers(0, 120, (256, 256, 3), np.uint8)))
    shown = frames(made(workshop(photo), images=refs(1), seconds=1))
    assert shown[:, [0, -1]].max() < 180
    assert shown[:, :, [0, -1]].max() < 180


def test_a_slideshow_shows_each_picture_for_the_same_time() -> None:
    inputs = [given(number, pictures.encode(np.full((64, 64, 3), 60 * number, np.uint8))) for number in (1, 2, 3)]
    shown = frames(made(workshop(*inputs), images=refs(1, 2, 3), motion="slideshow", seconds=3, fps=20)).mean((1, 2, 3))
    np.testing.assert_allclose(shown[[0, 10, 30, 50, 59]], [60, 60, 120, 180, 180], atol=3)
    np.testing.assert_allclose(shown[[20, 40]], [90, 150], atol=4)
    assert (np.diff(shown) > -1.5).all()


def test_an_upload_can_be_morphed() -> None:
    upload = given(2, pictures.encode(np.full((50, 90, 3), 100, np.uint8)))
    assert frames(made(workshop(drawn(1), upload), images=refs(1, 2), seconds=0.5)).shape == (12, 256, 256, 3)


def test_more_pictures_than_frames() -> None:
    shop = workshop(*map(drawn, range(1, 9)))
    assert len(frames(made(shop, images=refs(*range(1, 9)), seconds=0.5, fps=1))) == 1
    assert len(frames(made(shop, images=refs(*range(1, 9)), seconds=0.5, fps=6, motion="slideshow"))) == 3


def test_sound_goes_under_it() -> None:
    song = given(7, tone(0.5), kind="music", media_type="audio/wav")
    video = made(workshop(drawn(1), drawn(2), song), images=refs(1, 2), seconds=1, audio=refs(7)[0])
    assert video.args["audio"] == f"sha256:{song.sha256}"
    assert video.parents[-1] == song.asset_id
    with av.open(io.BytesIO(video.content)) as container:
        assert container.streams.audio[0].duration * container.streams.audio[0].time_base == pytest.approx(1, abs=0.022)
        assert container.streams.video[0].frames == 24


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"images": refs(9)}, "no asset"),
        ({"images": refs(3)}, "picture"),
        ({"images": refs(1), "audio": refs(1)[0]}, "audio: asset .* has the kind image"),
        ({"images": refs(4)}, "images: asset .* has the kind music"),
        ({"images": refs(1), "audio": refs(4)[0]}, "broken"),
    ],
)
def test_bad_inputs_are_named(args: dict[str, Any], message: str) -> None:
    shop = workshop(drawn(1), given(3, b"junk"), given(4, b"la la la", kind="music"))
    (result,) = run([job(SPEC, shop, **args)])
    assert isinstance(result, InvalidInput)
    with pytest.raises(InvalidInput, match=message):
        raise result


def test_a_cancelled_video_stops_early() -> None:
    shop = workshop(drawn(1), drawn(2), cancel_at=0.2)
    (result,) = run([job(SPEC, shop, images=refs(1, 2), seconds=10)])
    assert isinstance(result, Cancelled)
    assert shop.told[-1] < 0.3


def test_a_blend_keeps_the_length_of_its_ends() -> None:
    draw = np.random.default_rng(0)
    one, two = draw.standard_normal((2, 12, 8, 8)).astype(np.float32)
    for share in (0.25, 0.5, 0.75):
        length = np.linalg.norm(path.blend(one, 2 * two, share))
        wanted = (1 - share) * np.linalg.norm(one) + share * np.linalg.norm(2 * two)
        assert length == pytest.approx(wanted, rel=1e-4)
    np.testing.assert_allclose(path.blend(one, one, 0.5), one, atol=1e-6)
    np.testing.assert_allclose(path.blend(one, np.zeros_like(one), 0.5), one / 2, atol=1e-6)
