"""The official client chats with the studio while the test plays its workers."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from benchmarks.desk import Desk
from orchestrator.api.context import Context
from orchestrator.api.keyring import LOCAL
from orchestrator.planner import desk as planner
from store.tables import runs
from tests.orchestrator.api.openai.conftest import SOON_S, Hand

PIXELS = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PICTURE = f"data:image/png;base64,{base64.b64encode(PIXELS).decode()}"
DRAWN = {"tool": "generate_image", "version": "1", "args": {"prompt": "a cat"}, "weights": {}}
WRITTEN = {"tool": "write_text", "version": "1", "args": {"prompt": "a poem"}, "weights": {}}


def ask(*said: str | list[dict[str, Any]]) -> list[Any]:
    """Give messages: the user's and the studio's by turns, the user's last."""
    roles = ("user", "assistant")
    return [{"role": roles[(len(said) - 1 - number) % 2], "content": content} for number, content in enumerate(said)]


def asked(client: openai.OpenAI, *said: Any, **options: Any) -> Any:
    return client.chat.completions.create(model="atelier", messages=ask(*said), **options)


def test_an_answer_in_words(client: openai.OpenAI, hand: Hand) -> None:
    hand.meanwhile(lambda h: h.say("I cannot bake."))
    answer = asked(client, "bake a pizza", temperature=0.2, user="me", max_tokens=50)
    assert answer.choices[0].message.content == "I cannot bake."
    assert (answer.choices[0].finish_reason, answer.model, answer.object) == ("stop", "atelier", "chat.completion")
    assert answer.usage is None
    run = hand.desk.run(answer.atelier["run_id"], LOCAL)
    assert (run["request"], run["status"], run["thread_id"]) == ("bake a pizza", "completed", None)
    assert answer.id == "chatcmpl-" + run["id"].removeprefix("run_")


def test_a_picture_comes_as_a_link_and_as_bytes(
    client: openai.OpenAI, hand: Hand, save: Callable[..., str], url: str, api: httpx.Client
) -> None:
    made = save(PIXELS, caption="a [happy] cat", recipe=DRAWN)
    hand.meanwhile(lambda h: h.draw(made, reply="A happy cat."))
    message = asked(client, "a happy cat").choices[0].message
    address = f"{url}/v1/assets/{made}/content"
    assert message.content == f"A happy cat.\n\n![a happy cat]({address})"
    assert api.get(address).content == PIXELS
    assert [image["image_url"]["url"] for image in message.images] == [PICTURE]


def test_a_text_that_is_written_is_part_of_the_answer(
    client: openai.OpenAI, hand: Hand, save: Callable[..., str]
) -> None:
    made = save(b"Roses are red.\n", kind="text", media_type="text/markdown", caption="Roses", recipe=WRITTEN)
    hand.meanwhile(lambda h: h.draw(made, reply="Here is a poem.", tool="write_text"))
    content = asked(client, "a poem").choices[0].message.content
    assert content.startswith("Roses are red.\n\nHere is a poem.\n\n[Roses](http://127.0.0.1:")


def test_a_failed_run_is_an_error_and_is_not_asked_again(client: openai.OpenAI, hand: Hand, desk: Desk) -> None:
    hand.meanwhile(lambda h: h.fail("the ink is dry"))
    with pytest.raises(openai.InternalServerError, match="the ink is dry") as failed:
        asked(client, "a cat")
    assert (failed.value.code, failed.value.type) == ("run_failed", "server_error")
    with desk.database.read() as connection:
        (run,) = connection.execute(runs.select()).all()
    assert run.id in failed.value.message


def test_a_cancelled_run_is_a_conflict(client: openai.OpenAI, hand: Hand, api: httpx.Client) -> None:
    def stop(h: Hand) -> None:
        claim = h.claim()
        api.post(f"/v1/runs/{claim.run_id}/cancel")
        h.desk.stop(claim)

    hand.meanwhile(stop)
    with pytest.raises(openai.ConflictError, match="was cancelled"):
        asked(client.with_options(max_retries=0), "a cat")


def test_who_waits_too_long_hears_which_run_goes_on(
    context: Context, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(context.__dict__, "settings", replace_wait(context, 0.3))
    answer = api.post("/v1/chat/completions", json={"model": "atelier", "messages": ask("a cat")})
    assert (answer.status_code, answer.headers["x-should-retry"]) == (504, "false")
    (run,) = api.get("/v1/runs").json()["data"]
    assert run["id"] in answer.json()["error"]["message"]
    assert run["status"] == "pending"


def replace_wait(context: Context, wait_s: float) -> Any:
    return context.settings.model_copy(update={"answer_wait_s": wait_s})


def test_another_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="answers as 'atelier'") as refused:
        client.chat.completions.create(model="gpt-4o", messages=ask("hello"))
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"n": 2}, "n"),
    ({"stop": ["."]}, "stop"),
    ({"logprobs": True}, "logprobs"),
    ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, "tools"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"modalities": ["text", "audio"], "audio": {"voice": "x", "format": "wav"}}, "modalities"),
    ({"extra_body": {"colour": "red"}}, "colour"),
]


def test_what_would_change_the_answer_is_refused_by_name(client: openai.OpenAI, api: httpx.Client) -> None:
    for options, param in REFUSED:
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            asked(client, "a cat", **options)
        assert refused.value.param == param
        assert param in refused.value.message
    assert api.get("/v1/runs").json()["data"] == []


def parts(*given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(given)}]


def pictured(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_messages_that_cannot_be_read_say_why(api: httpx.Client) -> None:
    unread: list[list[dict[str, Any]]] = [
        [],
        [*ask("hello"), {"role": "assistant", "content": "there"}],
        ask(" "),
        ask("x" * 8001),
        ask("a\0b"),
        [{"role": "tool", "content": "x", "tool_call_id": "1"}],
        parts({"type": "input_audio", "input_audio": {}}),
        parts({"type": "text"}),
        parts(pictured("https://example.com/a.png")),
        parts(pictured("data:image/png;base64,%%%")),
    ]
    for messages in unread:
        answer = api.post("/v1/chat/completions", json={"model": "atelier", "messages": messages})
        assert answer.status_code == 422, answer.text
        assert answer.json()["error"]["param"].startswith("messages")
    nowhere = parts(pictured("/v1/assets/asset_01M85ECJK7N43RESFJG4SCSVPA/content"))
    answer = api.post("/v1/chat/completions", json={"model": "atelier", "messages": nowhere})
    assert answer.status_code == 404
    assert api.get("/v1/runs").json()["data"] == []


def test_a_picture_that_is_sent_is_an_asset_once_and_the_request_names_it(
    client: openai.OpenAI, hand: Hand, api: httpx.Client
) -> None:
    sent = [{"type": "text", "text": "other versions of this"}, pictured(PICTURE)]
    for _ in range(2):
        hand.meanwhile(lambda h: h.say("Here."))
        answer = asked(client, sent)
    (asset,) = api.get("/v1/assets").json()["data"]
    assert (asset["kind"], asset["recipe"]) == ("image", None)
    assert hand.desk.run(answer.atelier["run_id"], LOCAL)["request"] == f"other versions of this\n@{asset['id']}"


def test_a_picture_that_is_none_or_too_large_is_refused(api: httpx.Client) -> None:
    for content, status in ((b"MZ\x90\x00" * 9, 415), (b"just words", 415), (PIXELS + bytes(2 << 20), 413)):
        address = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        messages = parts(pictured(address))
        answer = api.post("/v1/chat/completions", json={"model": "atelier", "messages": messages})
        assert answer.status_code == status, answer.text
    assert api.get("/v1/assets").json()["data"] == []


def test_the_planner_reads_what_was_said_before_and_sees_what_was_made(
    client: openai.OpenAI, hand: Hand, save: Callable[..., str], context: Context
) -> None:
    made = save(PIXELS, caption="a cat", recipe=DRAWN)
    hand.meanwhile(lambda h: h.draw(made, reply="A cat."))
    first = asked(client, "a cat").choices[0].message.content
    hand.meanwhile(lambda h: h.say("Bluer."))
    messages = [{"role": "system", "content": "Be brief."}, *ask("a cat", first, "make it blue")]
    answer = client.chat.completions.create(model="atelier", messages=messages)
    with context.database.read() as connection:
        run = connection.execute(
            runs.select().where(runs.c.id == (answer.model_extra or {})["atelier"]["run_id"])
        ).one()
        seen = planner._context(connection, run)
        told = planner._history(connection, run, ())
        assert planner._has_read(connection, run, ())
    assert [asset.id for asset in seen] == [made]
    assert [(one.role, one.text, one.foreign) for one in told] == [
        ("user", "Be brief.", False),
        ("user", "a cat", False),
        ("assistant", f"A cat.\n\n@{made}", True),  # a client says so: nobody knows where its words come from
    ]


def test_an_idempotency_key_is_one_run_also_with_what_was_said_before(client: openai.OpenAI, hand: Hand) -> None:
    key = {"Idempotency-Key": "tuesday"}
    hand.meanwhile(lambda h: h.say("Hello."))
    answers = [asked(client, "hi", "hello", "again", extra_headers=key) for _ in range(2)]
    assert answers[0].id == answers[1].id
    with pytest.raises(openai.ConflictError):
        asked(client.with_options(max_retries=0), "something else", extra_headers=key)


def test_a_stream_is_the_same_answer_in_pieces(
    client: openai.OpenAI, hand: Hand, save: Callable[..., str], url: str
) -> None:
    poem = save(b"Roses are red.\n", kind="text", media_type="text/markdown", caption="Roses", recipe=WRITTEN)
    picture = save(PIXELS, caption="a cat", recipe=DRAWN)

    def work(h: Hand) -> None:
        claim = h.claim()
        steps = (h.desk.step("s1", tool="write_text"), h.desk.step("s2", tool="generate_image"))
        h.desk.save_plan(claim, *steps, reply="Both.")
        claims = {one.tool: one for one in (h.claim("image"), h.claim("image"))}
        for piece in ("\nRoses ", "are "):
            h.tell(claim.run_id, "text.delta", step="s1", text=piece)
        h.tell(claim.run_id, "step.progress", step="s2", percent=50, eta_s=1)
        h.desk.complete(claims["write_text"], [poem])
        h.desk.complete(claims["generate_image"], [picture])
        h.desk.reply(h.claim(), "Both.")

    hand.meanwhile(work)
    chunks = list(asked(client, "a poem and a cat", stream=True, stream_options={"include_usage": True}))
    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    links = f"[Roses]({url}/v1/assets/{poem}/content)\n![a cat]({url}/v1/assets/{picture}/content)"
    assert words == ["Roses ", "are ", "red.", "\n\nBoth.", f"\n\n{links}"]
    assert chunks[0].choices[0].delta.role == "assistant"
    *_, images, last, usage = chunks
    assert images.choices[0].delta.images[0]["image_url"]["url"] == PICTURE
    assert last.choices[0].finish_reason == "stop"
    assert [asset["id"] for asset in last.atelier["assets"]] == [poem, picture]
    assert (usage.choices, usage.usage.total_tokens) == ([], 0)
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_text_that_was_begun_again_is_said_whole(client: openai.OpenAI, hand: Hand, save: Callable[..., str]) -> None:
    poem = save(b"Violets are blue.", kind="text", media_type="text/markdown", caption="Violets", recipe=WRITTEN)

    def work(h: Hand) -> None:
        claim = h.claim()
        h.desk.save_plan(claim, h.desk.step("s1", tool="write_text"))
        step = h.claim("image")
        h.tell(claim.run_id, "text.delta", step="s1", text="Roses")
        h.desk.complete(step, [poem])
        h.desk.reply(h.claim(), "There.")

    hand.meanwhile(work)
    words = [c.choices[0].delta.content or "" for c in asked(client, "a poem", stream=True) if c.choices]
    assert "".join(words).startswith("Roses\n\nViolets are blue.\n\nThere.\n\n[Violets]")


def test_the_words_of_an_answer_come_as_they_are_said(client: openai.OpenAI, hand: Hand) -> None:
    def work(h: Hand) -> None:
        claim = h.claim()
        for piece in ("I can", "not bake"):
            h.tell(claim.run_id, "text.delta", text=piece)
        h.desk.save_plan(claim, reply="I cannot bake.")

    hand.meanwhile(work)
    words = [c.choices[0].delta.content for c in asked(client, "a pizza", stream=True) if c.choices[0].delta.content]
    assert words == ["I can", "not bake", "."]


def test_a_stream_of_a_run_that_fails_ends_in_the_error(client: openai.OpenAI, hand: Hand) -> None:
    hand.meanwhile(lambda h: h.fail("the ink is dry"))
    with pytest.raises(openai.APIError, match="the ink is dry"):
        list(asked(client, "a cat", stream=True))


@pytest.mark.parametrize("stream", [False, True])
def test_a_run_goes_on_when_its_client_leaves_unless_that_was_asked_for(
    client: openai.OpenAI, hand: Hand, *, stream: bool
) -> None:
    for cancels in (False, True):
        extra = {"atelier": {"cancel_on_disconnect": cancels}}
        if stream:
            answer = asked(client, "a cat", stream=True, extra_body=extra)
            next(iter(answer))
            answer.close()
        else:
            with pytest.raises(openai.APITimeoutError):
                asked(client.with_options(timeout=1.0, max_retries=0), "a cat", extra_body=extra)
    deadline = time.monotonic() + SOON_S
    while len(_runs(hand.desk, "cancelled")) != 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    left = hand.say("A cat.")
    assert _runs(hand.desk, "completed") == [left]


def _runs(desk: Desk, status: str) -> list[str]:
    with desk.database.read() as connection:
        return [row.id for row in connection.execute(runs.select().where(runs.c.status == status))]


def test_a_plan_that_waits_for_a_person_is_an_answer_that_says_so(client: openai.OpenAI, hand: Hand) -> None:
    hand.meanwhile(lambda h: h.ask_first("acme.send may send something"))
    answer = asked(client, "send it")
    hand.meanwhile(lambda h: h.ask_first("acme.send may send something"))
    chunks = list(asked(client, "send it", stream=True))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    for words, ours in ((answer.choices[0].message.content, answer.atelier), (streamed, chunks[-1].atelier)):
        assert words.startswith("This waits for a person: acme.send may send something.")
        assert f"/v1/runs/{ours['run_id']}/approve" in words
        assert ours["status"] == "waiting_approval"
