"""Requests in the shape of OpenAI as plans and words of ours: what routes and the lines of batches share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from store.conversations import Before, Turn
from store.runs import NewRun
from tools.base import SEED_BITS, InvalidInput, ToolSpec
from workers.planned import new_steps

IMAGES, CHAT = "/v1/images/generations", "/v1/chat/completions"
BATCHED = (IMAGES, CHAT)  # what a line of a batch can ask
STUDIO = "atelier"  # the studio as a model: it chooses
MOST_WORDS = 500  # characters of a prompt for a picture
MOST_SAID = 4000  # characters of a request in words
CUSTOM_ID = 512


class Misfit(ValueError):
    """A request cannot be done here; the message says what can.

    Attributes:
        param: the name of the field at fault.
    """

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


class PictureRequest(BaseModel):
    """What all requests for pictures share."""

    model_config = ConfigDict(extra="forbid")
    model: str | None = Field(None, max_length=80, description="`atelier` or `auto`: the studio chooses; or a family")
    n: int | None = Field(None, ge=1, le=16, description="how many pictures; 1 if it is left out")
    size: str | None = Field(None, max_length=20, description='"256x256", in pixels; `auto`: the largest')
    response_format: Literal["b64_json", "url"] | None = Field(
        None, description="b64_json: the bytes in the answer (also if it is left out); url: an address of this studio"
    )
    output_format: str | None = Field(None, description="png; there is no other")
    quality: Literal["auto", "standard"] | None = Field(None, description="there is one quality")
    background: Literal["auto", "opaque"] | None = Field(None, description="pictures are opaque")
    seed: int | None = Field(None, ge=0, lt=1 << SEED_BITS, description="ours: the same seed draws the same pictures")
    user: str | None = Field(None, max_length=512, description="taken and not used")
    stream: bool | None = Field(None, description="pictures come whole: false, or left out")
    partial_images: int | None = Field(None, description="pictures come whole: 0, or left out")

    @field_validator("output_format")
    @classmethod
    def _png(cls, value: str | None) -> str | None:
        if value not in {None, "png"}:
            raise ValueError(f"there is png, not {value!r}; convert the picture where you use it")
        return value

    @field_validator("stream", "partial_images")
    @classmethod
    def _whole(cls, value: int | None) -> int | None:
        if value:
            raise ValueError(
                "pictures are not streamed here; leave it out, or follow GET /v1/runs/{id}/events of a run"
            )
        return value


class ImageRequest(PictureRequest):
    """Pictures from words (`POST /v1/images/generations`)."""

    prompt: str = Field(min_length=1, max_length=MOST_WORDS, description="what it shows, in words: 'happy cat'")
    style: str | None = Field(
        None, max_length=40, description="ours: a drawing style, noto or one that was trained here; none mixes them"
    )
    moderation: Literal["auto", "low"] | None = Field(None, description="taken and not used")


def image_plan(wanted: ImageRequest, specs: Mapping[str, ToolSpec]) -> dict[str, Any]:
    """Give the plan that draws what was asked for.

    Raises:
        Misfit: the tool has no such size or model.
    """
    spec = specs["generate_image"]
    args: dict[str, Any] = {"prompt": wanted.prompt, "count": wanted.n or 1}
    if wanted.model not in {None, STUDIO}:
        args["model"] = _one_of("model", wanted.model, [STUDIO, *choices(spec, "model")])
    if wanted.size not in {None, "auto"}:
        sizes = {f"{side}x{side}": side for side in choices(spec, "size")}
        args["size"] = sizes[_one_of("size", wanted.size, [*sizes, "auto"])]
    args |= {name: value for name, value in (("style", wanted.style), ("seed", wanted.seed)) if value is not None}
    return plan_of("generate_image", args)


def plan_of(tool: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Give the plan of one step."""
    return {"steps": [{"id": "s1", "tool": tool, "args": dict(args)}], "reply": ""}


def choices(spec: ToolSpec, argument: str) -> list[Any]:
    """Give the values that an argument of a tool can have, as its schema names them."""
    return list(spec.args.model_json_schema()["properties"].get(argument, {}).get("enum", ()))


def _one_of(name: str, value: str | None, there: list[str]) -> str:
    if value not in there:
        raise Misfit(f"{name}: there is no {value!r}; there are {', '.join(there)}", name)
    return value


class Line(BaseModel):
    """A line of a batch in the shape of OpenAI."""

    model_config = ConfigDict(extra="forbid")
    custom_id: str = Field(min_length=1, max_length=CUSTOM_ID)
    method: Literal["POST"]
    url: Literal["/v1/images/generations", "/v1/chat/completions"]
    body: dict[str, Any]


def is_line(line: Mapping[str, Any]) -> bool:
    """Say whether a line of a batch is meant in the shape of OpenAI."""
    return bool({"custom_id", "url", "body"} & set(line))


def read_line(line: Mapping[str, Any], specs: Mapping[str, ToolSpec], max_attempts: int) -> NewRun:
    """Give the run of a line of OpenAI's; whose it is, is said later.

    Raises:
        ValueError: it does not fit; the message says what would.
    """
    try:
        asked = Line.model_validate(line)
        if asked.url == CHAT:
            return _talk(ChatRequest.model_validate(asked.body), max_attempts)
        plan = image_plan(ImageRequest.model_validate(asked.body), specs)
        return NewRun(owner="", plan=plan, steps=new_steps(plan, specs, max_attempts))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise ValueError(f"{where}: {str(fault['msg']).removeprefix('Value error, ')}") from error
    except InvalidInput as error:
        raise ValueError(str(error)) from error


class Part(BaseModel):
    """Words in a message."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """What somebody said."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]

    @property
    def words(self) -> str:
        """All words of it."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class ChatRequest(BaseModel):
    """What a line of a batch may say; what else it holds changes nothing here and is passed over."""

    messages: list[Message] = Field(min_length=1, max_length=100)
    model: Literal["atelier"]
    n: Literal[1] | None = None
    stream: Literal[False] | None = None
    tools: None = None
    response_format: None = None


def _talk(wanted: ChatRequest, max_attempts: int) -> NewRun:
    *earlier, last = wanted.messages
    words = last.words
    if last.role != "user" or not words.strip() or len(words) > MOST_SAID:
        raise ValueError(f"messages: the last one has to be the user's, with 1 to {MOST_SAID} characters")
    rules = "\n\n".join(one.words for one in earlier if one.role in {"system", "developer"})
    turns = [Turn(one.role, one.words) for one in earlier if one.role in {"user", "assistant"}]
    before = Before(turns, rules) if turns or rules else None
    return NewRun(owner="", request=words, before=before, max_attempts=max_attempts)
