from typing import Any

import pytest

from orchestrator.planner.plan import Plan, Problem, assets_used, check, needs
from tests.orchestrator.planner.conftest import CAT, CLIP, DEMO_PLAN, SONG
from tools.catalog import specs, with_choices

KINDS = {asset.id: asset.kind for asset in (CAT, CLIP, SONG)}


def plan(*steps: tuple[str, dict[str, Any]]) -> Plan:
    return Plan.model_validate(
        {"steps": [{"id": f"s{at}", "tool": tool, "args": args} for at, (tool, args) in enumerate(steps, 1)]}
    )


def problems(*steps: tuple[str, dict[str, Any]]) -> list[Problem]:
    return check(plan(*steps), {name: with_choices(spec, {}) for name, spec in specs().items()}, KINDS.get)


def only(found: list[Problem]) -> Problem:
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


CATS = ("generate_image", {"prompt": "happy cat", "count": 3})


def test_the_demo_passes() -> None:
    assert check(Plan.model_validate(DEMO_PLAN), specs(), KINDS.get) == []


def test_no_steps_are_no_problem() -> None:
    assert check(Plan(reply="Hello!"), specs(), KINDS.get) == []


def test_an_unknown_tool_is_named_with_those_there_are() -> None:
    problem = only(problems(("book_flight", {})))
    assert problem.step == "s1"
    assert "'book_flight'" in problem.message
    assert "generate_image" in problem.message


@pytest.mark.parametrize(
    ("tool", "args", "argument", "says"),
    [
        ("generate_image", {"prompt": "cat", "count": 17}, "count", "from 1 to 16"),
        ("generate_image", {"prompt": "cat", "size": 100}, "size", "64"),
        ("generate_image", {"prompt": "cat", "style": "oil"}, "style", "noto"),
        ("generate_image", {"prompt": "cat", "colour": "red"}, "colour", "no such argument"),
        ("generate_image", {}, "prompt", "required"),
        ("generate_image", {"prompt": "cat", "seed": -1}, "seed", "from 0 to 2147483647"),
        ("make_video", {"images": [f"@{CAT.id}"], "seconds": 90}, "seconds", "from 0.5 to 60"),
        ("vary_image", {"image": "the cat"}, "image", "is no asset"),
    ],
)
def test_arguments_are_named_with_their_range(tool: str, args: dict[str, Any], argument: str, says: str) -> None:
    problem = only(problems((tool, args)))
    assert problem.argument == argument
    assert says in problem.message


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([("make_video", {"images": ["$s1"]})], "the step itself"),
        ([("make_video", {"images": ["$s2"]}), CATS], "comes later"),
        ([CATS, ("make_video", {"images": ["$s7"]})], "no step 's7'"),
        ([CATS, ("vary_image", {"image": "$s1[3]"})], "$s1[3] does not exist: s1 makes 3, the last is $s1[2]"),
        (
            [("write_text", {"prompt": "a poem"}), ("make_video", {"images": ["$s1"]})],
            "s1 gives text, and image is needed",
        ),
        ([("search_assets", {"kind": "video"}), ("make_video", {"images": ["$s1"]})], "s1 gives video, and image"),
        ([("vary_image", {"image": f"@{CLIP.id}"})], "is of kind 'video', and image is needed"),
        ([CATS, ("make_video", {"images": ["$s1"], "audio": f"@{CAT.id}"})], "and audio or music is needed"),
        ([("vary_image", {"image": "@asset_01JAAAAAAAAAAAAAAAAAAAAAA9"})], "there is no asset"),
    ],
)
def test_references_are_checked(steps: list[tuple[str, dict[str, Any]]], says: str) -> None:
    assert says in only(problems(*steps)).message


def test_what_fits_passes() -> None:
    assert not problems(
        ("search_assets", {"query": "cat", "kind": "image"}),
        ("make_video", {"images": ["$s1", f"@{CAT.id}"], "audio": f"@{SONG.id}"}),
        ("write_text", {"prompt": "a poem", "about": "$s2"}),
        ("vary_image", {"image": "$s1[0]"}),
    )


def test_a_plan_has_sixteen_steps_and_sixty_four_pictures_at_most() -> None:
    assert "16 steps at most, this one has 17" in only(problems(*[("search_assets", {"query": "x"})] * 17)).message
    many = ("generate_image", {"prompt": "cat", "count": 16})
    assert not problems(many, many, many, many)
    assert "64 pictures at most, this one makes 67" in only(problems(many, many, many, many, CATS)).message


def test_steps_are_numbered() -> None:
    wrong = Plan.model_validate({"steps": [{"id": "cats", "tool": "generate_image", "args": {"prompt": "cat"}}]})
    assert "called 's1'" in only(check(wrong, specs(), KINDS.get)).message


def test_needs_follow_from_references() -> None:
    made = plan(CATS, CATS, ("make_video", {"images": ["$s2", "$s1[0]", "$s2[1]", f"@{CAT.id}"]}))
    assert needs(made.steps[2], specs()) == ["s2", "s1"]
    assert needs(made.steps[0], specs()) == []
    assert assets_used(made, specs()) == [CAT.id]


def test_words_that_look_like_references_are_words() -> None:
    made = plan(("generate_image", {"prompt": "$s2 in gold"}))
    assert needs(made.steps[0], specs()) == []
    assert not check(made, specs(), KINDS.get)
