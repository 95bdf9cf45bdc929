import json
import re
from itertools import islice

import pytest

from models.planner import lines
from models.planner.data import pairs, strip_defaults
from models.planner.frames import frames, parse
from models.planner.measure import held_out
from models.planner.phrases import article, plural
from models.planner.signatures import trained


def draw(seed: int, count: int) -> list[dict[str, str]]:
    return list(islice(pairs(seed), count))


def test_one_seed_means_one_sequence() -> None:
    assert draw(5, 50) == draw(5, 50)
    assert draw(5, 50) != draw(6, 50)


def test_every_answer_is_a_plan_in_lines_and_comes_back_as_it_was() -> None:
    tools = trained()
    for pair in draw(3, 1500):
        assert lines.write(lines.parse(pair["answer"], tools), tools) == pair["answer"]


def test_no_slot_is_left_open() -> None:
    for pair in draw(4, 1500):
        assert not re.search(r"\{\w+(\.\w)?\}|\[[^\]@$]*\|", pair["request"] + pair["answer"]), pair


def test_the_numbers_of_a_plan_stand_in_its_request() -> None:
    for frame in frames():
        slots = {name for step in frame.steps for name in re.findall(r"\{(\w+)", step)} - {"ordn"}
        slots -= {name for asset in frame.assets for name in re.findall(r"\{(\w+)", asset)}
        for request in frame.requests:
            assert not slots - set(re.findall(r"\{(\w+)", request)), (frame.voice, request)


def test_many_things_are_asked_for_in_many_voices() -> None:
    drawn = draw(8, 1500)
    assert len({pair["voice"] for pair in drawn}) >= 18
    assert len({pair["request"] for pair in drawn}) > 1350
    declined = sum(not pair["answer"].startswith("s1=") for pair in drawn)
    assert 0.08 < declined / len(drawn) < 0.25


def grams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + 4]) for at in range(len(words) - 3)} or {tuple(words)}


def test_voices_that_measure_were_never_heard_in_training() -> None:
    known = set().union(*(grams(pair["request"]) for pair in draw(1, 6000)))
    rows = [row["plan"]["request"] for row in held_out()]
    assert len(rows) > 100
    heard = [request for request in rows if len(grams(request) & known) > 0.15 * len(grams(request))]
    assert not heard


def test_defaults_are_left_out() -> None:
    assert strip_defaults('s1=generate_image(prompt="cat", count=1, size=256)') == 's1=generate_image(prompt="cat")'
    assert strip_defaults('s1=generate_image(prompt="cat", count=12)').endswith("count=12)")


def test_a_frame_that_is_not_whole_is_named() -> None:
    with pytest.raises(ValueError, match="not whole"):
        parse("## en: x\n\n> a cat\n")
    with pytest.raises(ValueError, match="what is 'nonsense'"):
        parse("## en: x\n\n> a cat\nnonsense\n")


@pytest.mark.parametrize(
    ("one", "many"),
    [("happy cat", "happy cats"), ("mouse", "mice"), ("snowman", "snowmen"), ("fox", "foxes"), ("cherry", "cherries"),
     ("cactus", "cacti"), ("grapes", "grapes"), ("glass", "glasses"), ("walrus", "walruses"), ("toy", "toys")],
)  # fmt: skip
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many


def test_articles() -> None:
    assert [article(word) for word in ("cat", "owl", "unicorn", "umbrella", "grapes")] == [
        "a cat", "an owl", "a unicorn", "an umbrella", "grapes",
    ]  # fmt: skip


def test_the_demo_is_in_the_data() -> None:
    wanted = re.compile(
        r's1=generate_image\(prompt="[^"]+", count=\d+\)\ns2=make_video\(images=\$s1, motion="morph", seconds=\d'
    )
    assert any(wanted.match(pair["answer"]) for pair in draw(1, 300))


def test_pairs_are_json() -> None:
    assert all(json.loads(json.dumps(pair)) == pair for pair in draw(2, 20))
