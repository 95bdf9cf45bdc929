from orchestrator.planner.answer import StepResult, answer
from orchestrator.planner.plan import AssetLine, Plan, Step
from tests.orchestrator.planner.conftest import CAT, DEMO_PLAN

DEMO = Plan.model_validate(DEMO_PLAN)
FIND = {"id": "s1", "tool": "search_assets", "args": {"query": "smiling cat"}}


def test_all_went_well() -> None:
    done = [StepResult("s1", "completed", [CAT]), StepResult("s2", "completed", [CAT])]
    assert answer(DEMO, done) == "Three happy cats and a 3 second morph."


def test_a_failure_is_named_with_what_it_left_out() -> None:
    said = answer(DEMO, [StepResult("s1", "failed", error="the disk is full"), StepResult("s2", "skipped")])
    assert said == "This failed: drawing (happy cat). the disk is full. So this was left out: making the video."


def test_what_was_made_before_a_failure_is_named() -> None:
    said = answer(DEMO, [StepResult("s1", "completed", [CAT]), StepResult("s2", "failed", error="Too long.")])
    assert said == "Done: drawing (happy cat). This failed: making the video. Too long."


def test_a_search_says_what_it_found() -> None:
    plan = Plan.model_validate({"steps": [FIND], "reply": "Looking."})
    assert answer(plan, [StepResult("s1", "completed", [CAT, CAT])]) == 'I found 2 for "smiling cat": happy cat.'


def test_an_empty_search_offers_to_draw() -> None:
    plan = Plan.model_validate({"steps": [FIND], "reply": "Looking."})
    assert (
        answer(plan, [StepResult("s1", "completed")])
        == 'I found nothing for "smiling cat". Shall I draw "smiling cat"?'
    )


def test_the_small_model_asks_for_a_look_at_what_it_wrote_from_sources() -> None:
    plan = Plan(steps=[Step(id="s1", tool="write_text", args={"prompt": "a product text"})], reply="A text.")
    sourced = AssetLine("asset_1", "text", "Thirty litres.", sources=("shop.find",), foreign=True)
    done = [StepResult("s1", "completed", [sourced])]
    assert answer(plan, done) == "A text. Sources: shop.find."
    assert "check it against its sources" in answer(plan, done, is_small=True)
    own = [StepResult("s1", "completed", [AssetLine("asset_1", "text", "Thirty litres.")])]
    assert answer(plan, own, is_small=True) == "A text."
