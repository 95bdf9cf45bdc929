"""What a response is asked with, and what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.api.openai import talk
from orchestrator.api.openai.answers import Answer, Behind, behind
from orchestrator.api.openai.asked import Ours, without
from orchestrator.api.openai.talk import Message, Sent
from orchestrator.api.openai.telling import End, Telling
from orchestrator.errors import Invalid
from store.conversations import Before

HARMLESS = frozenset(
    {"temperature", "top_p", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls", "reasoning"}
    | {"safety_identifier", "service_tier", "stream_options", "top_logprobs", "truncation", "user", "include"}
    | {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "moderation", "context_management"}
)
DRAWING = {"type": "image_generation"}
REFUSED: dict[str, tuple[Any, ...]] = {
    "conversation": (),
    "prompt": (),
    "tool_choice": ("auto", "required", DRAWING),
}
STATUSES = {"pending": "queued", "completed": "completed", "failed": "failed", "cancelled": "cancelled"}
ROLES = frozenset({"system", "developer", "user", "assistant"})


class ResponseRequest(BaseModel):
    """What is asked."""

    model_config = ConfigDict(extra="forbid")
    model: str = Field(max_length=200, description="`atelier`")
    input: str | list[dict[str, Any]] = Field(
        description="words, or items, oldest first: messages with `input_text` and `input_image` (a data: URL, an "
        "asset's address, or `file_id` with the id of an asset or a file), and items of earlier outputs; the last one "
        "is the user's message, at most 8000 characters"
    )
    instructions: str | None = Field(None, max_length=20_000, description="what holds for this response alone")
    previous_response_id: str | None = Field(
        None, max_length=40, description="the conversation of that response goes on; it has to have ended"
    )
    background: bool | None = Field(None, description="answer at once; the response is then fetched or followed")
    stream: bool | None = Field(None, description="answer as server-sent events, as the answer comes")
    store: bool | None = Field(None, description="runs are always kept; false changes that only in name")
    tools: list[dict[str, Any]] = Field(
        default_factory=list, max_length=16, description="only `image_generation`, which the studio does without it too"
    )
    text: dict[str, Any] | None = Field(None, description="only the format `text`")
    atelier: Ours = Field(default_factory=Ours, description="ours")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: Any) -> Any:
        return without(given, HARMLESS, REFUSED)

    @model_validator(mode="after")
    def _only_what_is_done(self) -> ResponseRequest:
        if any(tool.get("type") != DRAWING["type"] for tool in self.tools):
            raise Invalid("tools: the studio plans its own tools; only 'image_generation' can be named", param="tools")
        form = (self.text or {}).get("format") or {"type": "text"}
        if not isinstance(form, Mapping) or form.get("type") != "text":
            raise Invalid("text: the studio answers in plain words; leave `format` out", param="text")
        return self

    def messages(self) -> list[Message]:
        """Give the input as messages.

        Raises:
            Invalid: there is an item in it that this studio cannot read.
        """
        if isinstance(self.input, str):
            return [talk.message("user", self.input, "input")]
        read = (_item(item, f"input.{number}") for number, item in enumerate(self.input))
        return [message for message in read if message is not None]


def _item(item: Mapping[str, Any], param: str) -> Message | None:
    kind = item.get("type", "message")
    if kind == "message":
        role, content = item.get("role"), item.get("content")
        if role not in ROLES or not isinstance(content, str | list):
            raise Invalid(f"{param}: a message has a role ({', '.join(sorted(ROLES))}) and a content", param=param)
        if isinstance(content, list) and not all(isinstance(part, Mapping) for part in content):
            raise Invalid(f"{param}: the parts of a content are objects", param=param)
        return talk.message(str(role), content, param)
    if kind == "reasoning":
        return None
    if kind in {"image_generation_call", "item_reference"} and str(item.get("id")).startswith("ig_"):
        return Message("assistant", [Sent(param, id=f"asset_{str(item['id']).removeprefix('ig_')}")])
    raise Invalid(f"{param}: an item of type {kind!r} is not read here", param=param)


class ResponseShape(Answer):
    """A response: a run, with what it said and showed."""

    id: str = Field(description="`resp_` and the end of the run's id")
    object: Literal["response"] = Field("response", description="always `response`")
    created_at: float = Field(description="when the request was accepted, seconds since 1970")
    completed_at: float | None = Field(description="when it ended, seconds since 1970; null before")
    status: Literal["queued", "in_progress", "completed", "failed", "cancelled"] = Field(
        description="in_progress also while it waits for a person's approval: see `atelier.status`"
    )
    background: bool | None = Field(description="as it was asked; null where it is fetched")
    error: dict[str, Any] | None = Field(description="why it failed: `code` and `message`")
    incomplete_details: None = Field(None, description="always null")
    instructions: str | None = Field(description="what held for it")
    model: Literal["atelier"] = Field("atelier", description="always `atelier`")
    output: list[dict[str, Any]] = Field(
        description="in the order in which it came: a `message` with `output_text`, which ends with a link to each "
        "asset, and an `image_generation_call` with the bytes in base64 for each picture that was made"
    )
    previous_response_id: str | None = Field(description="what it followed")
    parallel_tool_calls: bool = Field(default=True, description="always true: steps run side by side")
    store: bool = Field(default=True, description="always true: runs are kept")
    tool_choice: Literal["auto"] = Field("auto", description="always `auto`")
    tools: list[dict[str, Any]] = Field(default_factory=list, description="always empty: see /v1/tools")
    metadata: dict[str, str] = Field(default_factory=dict, description="always empty: it is not kept")
    usage: None = Field(None, description="null: tokens are not counted")
    atelier: Behind = Field(description="ours: the run and its assets")


def shape(
    run: Mapping[str, Any],
    before: Before,
    telling: Telling,
    output: Sequence[dict[str, Any]],
    status: str,
    end: End | None,
    background: bool | None,
) -> ResponseShape:
    """Give a run as a response.

    Args:
        run: as `accepting.view` gives it.
        before: its instructions, and the run that it followed.
        telling: what it said and showed until now.
        output: the same as items.
        status: the run's status in our words.
        end: how it ended, if it has.
        background: as it was asked, where that is known.
    """
    error = None if end is None or end.status != "failed" else (end.error or {"message": "the run failed"})
    return ResponseShape(
        id=response_id(run["id"]),
        created_at=int(run["created_at"]),
        completed_at=None if end is None else int(end.at),
        status=STATUSES.get(status, "in_progress"),
        background=background,
        error=None if error is None else {"code": _code(error), "message": error["message"]},
        instructions=before.instructions or None,
        previous_response_id=None if before.follows is None else response_id(before.follows),
        output=list(output),
        atelier=behind(telling.library, run["id"], status, telling.shown),
    )


def response_id(run_id: str) -> str:
    """Give the id of a run as a response."""
    return f"resp_{run_id.removeprefix('run_')}"


def _code(error: Mapping[str, Any]) -> str:
    return "invalid_prompt" if error.get("code") == "invalid_input" else "server_error"
