from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from tools.base import Cancelled, InvalidInput, Job, Made
from tools.fakes import FakeWorkshop

from swatches.run import run
from swatches.spec import SPEC


def draw(workshop: FakeWorkshop | None = None, **args: Any) -> Any:
    """Run the tool once: what it made, or the error that it ended with."""
    (result,) = run([Job(SPEC.args.model_validate(args), workshop or FakeWorkshop())])
    return result[0] if isinstance(result, list) else result


def pixels(made: Made) -> Image.Image:
    return Image.open(io.BytesIO(made.content)).convert("RGB")


def test_every_example_is_drawn() -> None:
    for example in SPEC.examples:
        assert isinstance(draw(**example.args), Made)


def test_fields_stand_in_rows() -> None:
    made = draw(colours=["#ff0000", "lime", "#00f"], columns=2, field_px=16)
    assert (made.width, made.height) == (56, 56)
    sheet = pixels(made)
    places = ((8, 8), (32, 8), (8, 32), (32, 32))
    assert [sheet.getpixel(place) for place in places] == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def test_the_same_arguments_make_the_same_bytes() -> None:
    assert draw(colours=["red"]).content == draw(colours=["red"]).content


def test_what_is_no_colour_is_named() -> None:
    error = draw(colours=["red", "reddish"])
    assert isinstance(error, InvalidInput)
    assert "'reddish'" in str(error)


def test_arguments_have_limits() -> None:
    refused: list[dict[str, Any]] = [
        {"colours": []},
        {"colours": ["red"], "columns": 0},
        {"colours": ["red"], "field_px": 1},
    ]
    for wrong in refused:
        with pytest.raises(ValueError, match=r"colours|columns|field_px"):
            SPEC.args.model_validate(wrong)


def test_it_says_how_far_it_is_and_ends_when_cancelled() -> None:
    workshop = FakeWorkshop()
    draw(workshop, colours=["red", "blue"])
    assert workshop.told == [0.5, 1.0]
    assert isinstance(draw(FakeWorkshop(cancel_at=0.5), colours=["red", "blue"]), Cancelled)
