"""The official client asks for responses while the test plays the studio's workers."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from orchestrator.api.context import Context
from orchestrator.api.keyring import LOCAL
from orchestrator.planner import desk as planner
from store.tables import runs
from tests.orchestrator.api.openai.conftest import Hand
from tests.orchestrator.api.openai.test_chat import DRAWN, PICTURE, PIXELS, WRITTEN


def asked(client: openai.OpenAI, said: Any, **options: Any) -> Any:
    return client.responses.create(model="atelier", input=said, **options)


def test_a_response_has_words_and_the_picture(client: openai.OpenAI, hand: Hand, save: Callable[..., str]) -> None:
    made = save(PIXELS, caption="a cat", recipe=DRAWN)
    hand.meanwhile(lambda h: h.draw(made, reply="A cat."))
    tools: Any = [{"type": "image_generation"}]
    answer = asked(client, "a cat", instructions="Be brief.", tools=tools, temperature=0.1)
    assert (answer.status, answer.error, answer.instructions) == ("completed", None, "Be brief.")
    assert answer.output_text.startswith("A cat.\n\n![a cat](http://127.0.0.1:")
    picture, message = answer.output
    assert (picture.type, picture.status) == ("image_generation_call", "completed")
    assert base64.b64decode(picture.result) == PIXELS
    assert (picture.output_format, picture.revised_prompt) == ("png", "a cat")
    assert (message.type, message.status) == ("message", "completed")
    assert [asset["id"] for asset in answer.atelier["assets"]] == [made]
    assert answer.id == "resp_" + answer.atelier["run_id"].removeprefix("run_")
    again = client.responses.retrieve(answer.id)
    assert again.model_dump(exclude={"background"}) == answer.model_dump(exclude={"background"})


def test_a_response_in_the_background_is_fetched_when_it_is_done(client: openai.OpenAI, hand: Hand) -> None:
    answer = asked(client, "a pizza", background=True)
    assert (answer.status, answer.output, answer.background) == ("queued", [], True)
    hand.say("I cannot bake.")
    done = client.responses.retrieve(answer.id)
    assert (done.status, done.output_text) == ("completed", "I cannot bake.")
    assert done.model_extra is not None
    assert done.model_extra["atelier"]["status"] == "completed"


def test_a_response_is_cancelled(client: openai.OpenAI, hand: Hand) -> None:
    answer = asked(client, "a cat", background=True)
    assert client.responses.cancel(answer.id).status == "cancelled"
    assert client.responses.retrieve(answer.id).status == "cancelled"
    events = [event.type for event in client.responses.retrieve(answer.id, stream=True)]
    assert events == ["response.created", "response.in_progress", "response.incomplete"]
    assert not hand.desk.claim(queues=("planner",))


def test_a_response_whose_run_fails_says_why(client: openai.OpenAI, hand: Hand) -> None:
    hand.meanwhile(lambda h: h.fail("the ink is dry"))
    answer = asked(client, "a cat")
    assert answer.status == "failed"
    assert (answer.error.code, answer.error.message) == ("server_error", "the ink is dry")
    assert answer.output_text == "This failed: the ink is dry."


def test_a_conversation_goes_on_and_branches(client: openai.OpenAI, hand: Hand, context: Context) -> None:
    def say(words: str, answer: str, after: str | None = None, **options: Any) -> Any:
        hand.meanwhile(lambda h: h.say(answer))
        return asked(client, words, previous_response_id=after, **options)

    first = say("one", "1", instructions="Count.")
    second = say("two", "2", first.id)
    third = say("three", "3", second.id)
    branch = say("another two", "2b", first.id)
    assert [one.previous_response_id for one in (first, second, third, branch)] == [
        None,
        first.id,
        second.id,
        first.id,
    ]
    assert (second.instructions, branch.instructions) == (None, None)
    told = {}
    with context.database.read() as connection:
        for one in (third, branch):
            run = connection.execute(runs.select().where(runs.c.id == one.model_extra["atelier"]["run_id"])).one()
            told[one.id] = [said.text for said in planner._history(connection, run, ())]
            assert not planner._has_read(connection, run, ())
    assert told == {third.id: ["one", "1", "two", "2"], branch.id: ["one", "1"]}


def test_a_branch_still_knows_what_was_made(
    client: openai.OpenAI, hand: Hand, save: Callable[..., str], context: Context
) -> None:
    made = save(PIXELS, caption="a cat", recipe=DRAWN)
    hand.meanwhile(lambda h: h.draw(made, reply="A cat."))
    first = asked(client, "a cat")
    for words in ("bluer", "redder"):
        hand.meanwhile(lambda h: h.say("There."))
        last = asked(client, words, previous_response_id=first.id)
    with context.database.read() as connection:
        run = connection.execute(runs.select().where(runs.c.id == last.atelier["run_id"])).one()
        assert [asset.id for asset in planner._context(connection, run)] == [made]


def test_a_run_that_was_asked_natively_is_a_response_that_can_be_followed(
    client: openai.OpenAI, hand: Hand, api: httpx.Client
) -> None:
    run = api.post("/v1/runs", json={"say": "hello"}).json()
    hand.say("Hello.")
    answer = client.responses.retrieve("resp_" + run["id"].removeprefix("run_"))
    assert answer.output_text == "Hello."
    hand.meanwhile(lambda h: h.say("Again."))
    assert asked(client, "again", previous_response_id=answer.id).previous_response_id == answer.id


def test_what_goes_on_cannot_be_followed_yet(client: openai.OpenAI) -> None:
    first = asked(client, "one", background=True)
    with pytest.raises(openai.ConflictError, match="only an ended one"):
        asked(client.with_options(max_retries=0), "two", previous_response_id=first.id)


def test_the_input_can_be_items_with_pictures(
    client: openai.OpenAI, hand: Hand, save: Callable[..., str], api: httpx.Client, context: Context
) -> None:
    made = save(PIXELS, caption="a cat", recipe=DRAWN)
    kept = client.files.create(file=("a.png", PIXELS), purpose="vision").id
    items: Any = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "a cat"},
        {"type": "image_generation_call", "id": made.replace("asset_", "ig_"), "status": "completed", "result": None},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "more like these"},
                {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
                {"type": "input_image", "file_id": made, "detail": "auto"},
                {"type": "input_image", "file_id": kept, "detail": "auto"},
            ],
        },
    ]
    hand.meanwhile(lambda h: h.say("There."))
    answer = asked(client, items)
    run = hand.desk.run(answer.atelier["run_id"], LOCAL)
    assert run["request"] == "\n".join(["more like these", *[f"@{made}"] * 3])  # the bytes are in the library already
    assert len(api.get("/v1/assets").json()["data"]) == 1
    assert answer.instructions == "Be brief."
    with context.database.read() as connection:
        row = connection.execute(runs.select().where(runs.c.id == run["id"])).one()
        assert [said.text for said in planner._history(connection, row, ())] == ["Be brief.", "a cat", f"@{made}"]


def test_a_stream_tells_all_of_it_and_is_resumed_without_a_gap(
    client: openai.OpenAI, hand: Hand, save: Callable[..., str]
) -> None:
    poem = save(b"Roses are red.\n", kind="text", media_type="text/markdown", caption="Roses", recipe=WRITTEN)
    picture = save(PIXELS, caption="a cat", recipe=DRAWN)

    def work(h: Hand) -> None:
        claim = h.claim()
        steps = (h.desk.step("s1", tool="write_text"), h.desk.step("s2", tool="generate_image"))
        h.desk.save_plan(claim, *steps, reply="Both.")
        claims = {one.tool: one for one in (h.claim("image"), h.claim("image"))}
        h.tell(claim.run_id, "text.delta", step="s1", text="Roses ")
        h.desk.complete(claims["generate_image"], [picture])
        h.desk.complete(claims["write_text"], [poem])
        h.desk.reply(h.claim(), "Both.")

    hand.meanwhile(work)
    events = list(asked(client, "a poem and a cat", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_item.added",
        "image_generation_call.completed",
        "output_item.done",
        *["output_text.delta"] * 3,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    whole = events[-1].response
    assert [item.type for item in whole.output] == ["message", "image_generation_call"]
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert whole.output_text == deltas
    assert deltas.startswith("Roses are red.\n\nBoth.\n\n")
    assert client.responses.retrieve(whole.id).output == whole.output
    for seen in (0, 4, 9):
        rest = list(client.responses.retrieve(whole.id, stream=True, starting_after=seen))
        assert [event.sequence_number for event in rest] == list(range(seen + 1, len(events)))
        assert [event.type for event in rest] == [event.type for event in events[seen + 1 :]]


def test_a_response_that_waits_for_a_person_says_so(client: openai.OpenAI, hand: Hand, api: httpx.Client) -> None:
    hand.meanwhile(lambda h: h.ask_first("acme.send may send something"))
    answer = asked(client, "send it")
    assert (answer.status, answer.atelier["status"]) == ("in_progress", "waiting_approval")
    api.post(f"/v1/runs/{answer.atelier['run_id']}/cancel")
    assert client.responses.retrieve(answer.id).status == "cancelled"


def test_what_this_studio_does_not_do_is_refused_by_name(client: openai.OpenAI, api: httpx.Client) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tool_choice": "none"}, "tool_choice"),
        ({"text": {"format": {"type": "json_object"}}}, "text"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True, "store": False}, "store"),
        ({"input": []}, "input"),
        ({"input": [{"role": "assistant", "content": "x"}]}, "input"),
        ({"input": [{"type": "function_call_output", "call_id": "1", "output": "x"}]}, "input.0"),
        ({"extra_body": {"colour": "red"}}, "colour"),
    ]
    for options, param in refused:
        with pytest.raises(openai.UnprocessableEntityError) as fault:
            client.responses.create(**{"model": "atelier", "input": "a cat", **options})
        assert fault.value.param == param
    with pytest.raises(openai.NotFoundError, match="answers as 'atelier'"):
        client.responses.create(model="gpt-5", input="a cat")
    for unknown in ("resp_nobody", "resp_01M85ECJK7N43RESFJG4SCSVPA"):
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(unknown)
        with pytest.raises(openai.NotFoundError):
            asked(client, "a cat", previous_response_id=unknown)
    assert api.get("/v1/runs").json()["data"] == []
