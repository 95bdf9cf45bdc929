import pytest

from models.planner import lines
from models.planner.signatures import dump, load, trained

TOOLS = trained()
DEMO = (
    's1=generate_image(prompt="happy cat", count=3)\n'
    's2=make_video(images=$s1, motion="morph", seconds=3)\n'
    'reply="Three happy cats and a 3 second morph."'
)


def test_the_demo_reads_as_a_plan() -> None:
    assert lines.parse(DEMO, TOOLS) == {
        "steps": [
            {"id": "s1", "tool": "generate_image", "args": {"prompt": "happy cat", "count": 3}},
            {"id": "s2", "tool": "make_video", "args": {"images": ["$s1"], "motion": "morph", "seconds": 3}},
        ],
        "reply": "Three happy cats and a 3 second morph.",
    }


@pytest.mark.parametrize(
    "text",
    [
        DEMO,
        'reply="I cannot book anything."',
        'reply="She said \\"no\\".\\nAnd left."',
        's1=make_video(images=[@a1, $s1[0]], motion="loop", seconds=2.5)\nreply=""',
        's1=search_assets(query="a, (b) = c", tags=["x", "y"])\nreply="ü"',
        's1=vary_image(image=@a12, strength=0.25)\nreply="A new version."',
        's1=generate_image(prompt="$s1 and @a1 in words")\nreply="Words."',
    ],
)
def test_there_and_back(text: str) -> None:
    assert lines.write(lines.parse(text, TOOLS), TOOLS) == text


def test_what_is_at_its_default_is_not_written() -> None:
    plan = {
        "steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "cat", "count": 1, "size": 256}}],
        "reply": "A cat.",
    }
    assert lines.write(plan, TOOLS) == 's1=generate_image(prompt="cat")\nreply="A cat."'


@pytest.mark.parametrize(
    "text", ["hello", "s1=generate_image(prompt=)", 's1=generate_image("cat")', 's1=generate_image(prompt="cat)']
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(lines.NotLines):
        lines.parse(text, TOOLS)


def test_signatures_survive_the_file() -> None:
    assert load(dump(TOOLS)) == TOOLS
