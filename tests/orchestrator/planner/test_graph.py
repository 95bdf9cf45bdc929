import pytest
from langchain_openai import ChatOpenAI

from models.language.errors import LanguageModelAway
from models.language.scripted import Line, ScriptedChatModel
from orchestrator.planner.graph import Declined, NotUnderstood, Planner
from orchestrator.planner.plan import Plan
from tests.orchestrator.planner.conftest import CAT, DEMO, DEMO_PLAN, Scripted
from tools.catalog import specs

DEMO_LINES = (
    's1=generate_image(prompt="happy cat", count=3)\n'
    's2=make_video(images=$s1, motion="morph", seconds=3)\n'
    'reply="Three happy cats and a 3 second morph."'
)
FAULTY = {"steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "cat", "count": 99}}], "reply": ""}
GOOD = {"steps": [{"id": "s1", "tool": "generate_image", "args": {"prompt": "cat", "count": 9}}], "reply": "Nine cats."}


def calls(planner: Planner) -> list[str]:
    assert isinstance(planner.model, ScriptedChatModel)
    return planner.model.calls


@pytest.mark.parametrize(("dialect", "said"), [("json", DEMO_PLAN), ("lines", DEMO_LINES)])
def test_the_demo_is_planned_in_both_dialects(scripted: Scripted, dialect: str, said: str) -> None:
    drafted = scripted(said, dialect=dialect).draft(DEMO)
    assert isinstance(drafted, Plan)
    assert drafted.model_dump() == DEMO_PLAN


def test_a_faulty_plan_goes_back_with_the_reason(scripted: Scripted) -> None:
    planner = scripted(FAULTY, GOOD)
    drafted = planner.draft("ninety-nine cats")
    assert isinstance(drafted, Plan)
    assert drafted.reply == "Nine cats."
    assert len(calls(planner)) == 2
    assert "s1, count:" in calls(planner)[1]
    assert "from 1 to 16" in calls(planner)[1]


def test_after_two_mends_it_is_not_understood(scripted: Scripted) -> None:
    planner = scripted(FAULTY, "no plan at all", FAULTY, GOOD)
    with pytest.raises(NotUnderstood, match="count"):
        planner.draft("ninety-nine cats")
    assert len(calls(planner)) == 3


def test_no_steps_are_said_in_words_as_they_come(scripted: Scripted) -> None:
    told: list[str] = []
    drafted = scripted('reply="I cannot book a \\"flight\\"."', dialect="lines").draft("a flight", on_text=told.append)
    assert drafted == Declined('I cannot book a "flight".')
    assert "".join(told) == 'I cannot book a "flight".'
    assert len(told) > 1


def test_words_of_a_plan_with_steps_are_kept_for_the_end(scripted: Scripted) -> None:
    told: list[str] = []
    scripted(GOOD).draft("nine cats", on_text=told.append)
    scripted('s1=generate_image(prompt="cat")\nreply="A cat."', dialect="lines").draft("a cat", on_text=told.append)
    assert told == []


def test_json_without_steps_streams_too(scripted: Scripted) -> None:
    told: list[str] = []
    assert scripted({"steps": [], "reply": "Hello there, friend."}).draft("hi", on_text=told.append) == Declined(
        "Hello there, friend."
    )
    assert "".join(told) == "Hello there, friend."


def test_assets_of_the_thread_can_be_used(scripted: Scripted) -> None:
    said = 's1=vary_image(image=@a1, prompt="red happy cat")\nreply="A red cat."'
    drafted = scripted(said, dialect="lines").draft("make it red", context=[CAT])
    assert isinstance(drafted, Plan)
    assert drafted.steps[0].args["image"] == f"@{CAT.id}"


def test_an_asset_that_is_not_there_is_refused(scripted: Scripted) -> None:
    said = {"steps": [{"id": "s1", "tool": "vary_image", "args": {"image": f"@{CAT.id}"}}], "reply": ""}
    with pytest.raises(NotUnderstood, match="there is no asset"):
        scripted(said).draft("vary it")
    found = scripted(said).draft("vary it", find_asset={CAT.id: CAT}.get)
    assert isinstance(found, Plan)


def test_a_request_that_is_too_long_is_not_sent(scripted: Scripted) -> None:
    planner = scripted(GOOD)
    with pytest.raises(NotUnderstood, match="characters"):
        planner.draft("cat " * 10_000)
    assert not calls(planner)


def test_a_model_that_is_away_may_be_asked_later() -> None:
    away = ScriptedChatModel(lines=[Line(fail="the model is away")])
    with pytest.raises(ConnectionError, match="away"):
        Planner(away, specs(), dialect="json").draft("a cat")
    nobody = ChatOpenAI(base_url="http://127.0.0.1:1/v1", model="x", api_key="k", max_retries=0, timeout=2)  # type: ignore[arg-type]
    with pytest.raises(LanguageModelAway):
        Planner(nobody, specs(), dialect="json").draft("a cat")


def test_planning_again_gives_the_same(scripted: Scripted) -> None:
    planner = scripted(DEMO_LINES, dialect="lines")
    assert planner.draft(DEMO) == planner.draft(DEMO)
