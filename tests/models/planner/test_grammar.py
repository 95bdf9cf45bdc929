import re
from itertools import islice

import pytest

from models.planner.data import pairs
from models.planner.grammar import grammar, integers
from models.planner.signatures import trained
from tests.models.planner.gbnf import Grammar

ASSETS = [("a1", "image"), ("a2", "image"), ("a3", "video")]


@pytest.fixture(scope="module")
def plans() -> Grammar:
    return Grammar(grammar(trained(), ASSETS))


def test_what_the_net_learns_can_be_said() -> None:
    allowed = {}
    for pair in islice(pairs(11), 80):
        kinds = re.findall(r"^@(a\d+) (\w+)", pair["request"], re.MULTILINE)
        key = tuple(kinds)
        allowed.setdefault(key, Grammar(grammar(trained(), kinds, max_steps=5)))
        assert allowed[key].accepts(pair["answer"]), pair


@pytest.mark.parametrize(
    "text",
    [
        's1=generate_image(prompt="cat", count=16, size=64, seed=2147483647)\nreply="x"',
        's1=generate_image(prompt="cat")\ns2=vary_image(image=$s1[0], strength=0.25)\nreply="x"',
        's1=make_video(images=[@a1, @a2], seconds=0.5)\nreply="x"',
        's1=search_assets(kind="video", limit=100)\nreply="x"',
        's1=write_text(prompt="a poem", about=@a3)\nreply="x"',
    ],
)
def test_good_plans_can_be_said(plans: Grammar, text: str) -> None:
    assert plans.accepts(text)


@pytest.mark.parametrize(
    "text",
    [
        's1=generate_sound(prompt="cat")\nreply="x"',  # no such tool
        's1=generate_image(prompt="cat", colour="red")\nreply="x"',  # no such argument
        's1=generate_image(prompt="cat", count=17)\nreply="x"',  # out of range
        's1=generate_image(prompt="cat", count=0)\nreply="x"',
        's1=generate_image(prompt="cat", size=100)\nreply="x"',
        's1=generate_image(prompt="cat", seed=2147483648)\nreply="x"',
        's1=generate_image(count=3)\nreply="x"',  # what is required is missing
        's1=generate_image(prompt="cat", size=64, count=2)\nreply="x"',  # in one order only
        's1=generate_image(prompt="cat",  count=2)\nreply="x"',  # no free whitespace
        's1=make_video(images=$s1)\nreply="x"',  # itself
        's1=make_video(images=$s2)\nreply="x"',  # later
        's1=make_video(images=@a3)\nreply="x"',  # a video in a picture's place
        's1=make_video(images=@a4)\nreply="x"',  # not there
        's2=generate_image(prompt="cat")\nreply="x"',  # begins with s1
        's1=generate_image(prompt="cat")',  # ends with a reply
    ],
)
def test_faulty_plans_cannot_be_said(plans: Grammar, text: str) -> None:
    assert not plans.accepts(text)


def test_without_assets_nothing_can_be_varied_at_first() -> None:
    assert "vary_image(" not in grammar(trained(), max_steps=1)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 9), (1, 16), (1, 100), (7, 1000), (64, 256), (0, 2147483647)])
def test_ranges_end_where_they_should(low: int, high: int) -> None:
    body = Grammar(f"root ::= {integers(low, high)}")
    inside = {low, high, (low + high) // 2, min(high, low + 1), max(low, high - 1)}
    assert all(body.accepts(str(number)) for number in inside)
    assert not any(body.accepts(str(number)) for number in (high + 1, high * 10 + 11, *([low - 1] if low else [])))
    assert not body.accepts("01")
