"""Choices are narrowed to what there is."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tools.catalog import specs, with_choices
from tools.generate_image.spec import SPEC, STYLES, GenerateImage


def enum(names: list[str]) -> list[str]:
    narrowed = with_choices(SPEC, {"style": names})
    found: list[str] = narrowed.args.model_json_schema()["properties"]["style"]["anyOf"][0]["enum"]
    return found


def test_the_styles_that_there_are_stand_in_the_schema() -> None:
    assert enum([]) == list(STYLES)
    assert enum(["acme", "brand"]) == [*STYLES, "acme", "brand"]


def test_narrowed_arguments_are_the_tool_s_own() -> None:
    narrowed = with_choices(SPEC, {"style": ["acme"]})
    args = narrowed.args.model_validate({"prompt": "a cat", "style": "acme"})
    assert isinstance(args, GenerateImage)
    assert (args.count, args.size) == (1, 256)
    assert narrowed.models(args)[-1] == "style/acme"
    assert list(narrowed.args.model_fields) == list(GenerateImage.model_fields)
    assert (
        narrowed.args.model_json_schema()["properties"].keys() == GenerateImage.model_json_schema()["properties"].keys()
    )
    assert (narrowed.name, narrowed.runner) == (SPEC.name, SPEC.runner)


def test_what_is_not_there_is_refused_with_what_is() -> None:
    narrowed = with_choices(SPEC, {"style": ["acme"]})
    with pytest.raises(ValidationError, match="'emojione' or 'acme'"):
        narrowed.args.model_validate({"prompt": "a cat", "style": "other"})


def test_a_tool_without_choices_stays_as_it_is() -> None:
    spec = specs()["make_video"]
    assert with_choices(spec, {"style": ["acme"]}) is spec


def test_a_style_s_name_is_a_word() -> None:
    for name in ("Acme", "a b", "../x", "", "x" * 33):
        with pytest.raises(ValidationError):
            GenerateImage(prompt="a cat", style=name)
