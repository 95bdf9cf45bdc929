"""Chat completions: the studio as the model `atelier`, a run behind each answer."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.api import accepting
from orchestrator.api.context import Context, Here, Owner
from orchestrator.api.described import STREAM
from orchestrator.api.openai import talk, waiting
from orchestrator.api.openai.answers import Answer, Behind, behind
from orchestrator.api.openai.asked import MOST_BYTES, STUDIO, KnownFirst, Ours, require_studio, without
from orchestrator.api.openai.telling import Drawn, End, Library, Piece, Sign, Telling, Waits, Words
from orchestrator.errors import described
from store.assets import Asset

router = APIRouter(prefix="/v1/chat/completions", tags=["openai"], route_class=KnownFirst)
HARMLESS = frozenset(
    {
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "user",
        "metadata",
        "store",
        "service_tier",
        "reasoning_effort",
        "verbosity",
        "parallel_tool_calls",
        "safety_identifier",
        "prediction",
        "moderation",
        "top_logprobs",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
    }
)
REFUSED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "stop": ([],),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "logprobs": (False,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "modalities": (["text"], ["image"], ["text", "image"], ["image", "text"]),
    "audio": (),
    "web_search_options": (),
}
PICTURES = 16  # that an answer holds the bytes of
PICTURE_BYTES = 8 << 20  # of each; a larger one is an address
Key = Annotated[str | None, Header(max_length=200, description="the same key gives the same run again")]


class ChatMessage(BaseModel):
    """Who says what."""

    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "developer", "user", "assistant"] = Field(
        description="system and developer: what holds for the answer; user: the person; assistant: the studio"
    )
    content: str | list[dict[str, Any]] | None = Field(
        None,
        description="text, or parts: `{type: text}` and `{type: image_url}` with a data: URL or an asset's address",
    )


class StreamOptions(BaseModel):
    """How to stream."""

    model_config = ConfigDict(extra="ignore")
    include_usage: bool = Field(default=False, description="end with a chunk of `usage`; nothing is counted: zeros")


class ChatRequest(BaseModel):
    """A conversation whose last message is to be answered."""

    model_config = ConfigDict(extra="forbid")
    model: str = Field(max_length=200, description="`atelier`")
    messages: list[ChatMessage] = Field(
        min_length=1, max_length=2000, description="oldest first, the last one is the user's, at most 8000 characters"
    )
    stream: bool | None = Field(None, description="answer as server-sent events, as the answer comes")
    stream_options: StreamOptions | None = Field(None, description="only with `stream`")
    atelier: Ours = Field(default_factory=Ours, description="ours")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: Any) -> Any:
        return without(given, HARMLESS, REFUSED)


class Spoken(Answer):
    """The studio's message."""

    role: Literal["assistant"] = Field("assistant", description="always `assistant`")
    content: str = Field(description="what it says, with a link in Markdown to each asset")
    refusal: None = Field(None, description="always null")
    images: list[dict[str, Any]] = Field(
        default_factory=list, description="ours: pictures that were made, `{type: image_url}` with a data: URL"
    )


class Choice(Answer):
    """The one answer."""

    index: Literal[0] = Field(0, description="always 0")
    message: Spoken = Field(description="what is answered")
    finish_reason: Literal["stop"] = Field("stop", description="always `stop`")
    logprobs: None = Field(None, description="always null")


class ChatCompletion(Answer):
    """An answer."""

    id: str = Field(description="`chatcmpl-` and the end of the run's id")
    object: Literal["chat.completion"] = Field("chat.completion", description="always `chat.completion`")
    created: int = Field(description="when the request was accepted, seconds since 1970")
    model: Literal["atelier"] = Field("atelier", description="always `atelier`")
    choices: list[Choice] = Field(description="one")
    usage: None = Field(None, description="null: tokens are not counted")
    atelier: Behind = Field(description="ours: the run and its assets")


@dataclass(frozen=True)
class Turn:
    """One request that was accepted."""

    here: Context
    owner: str
    run: dict[str, Any]
    telling: Telling

    @property
    def run_id(self) -> str:
        """The run behind it."""
        return str(self.run["id"])

    @property
    def head(self) -> dict[str, Any]:
        """What every part of the answer begins with."""
        number = self.run_id.removeprefix("run_")
        return {"id": f"chatcmpl-{number}", "created": int(self.run["created_at"]), "model": STUDIO}

    def pieces(self) -> AsyncIterator[Piece | None]:
        """Give what the run says."""
        return waiting.pieces(self.here, self.owner, self.run_id, self.telling)

    def behind(self, status: str) -> Behind:
        """Give what stands behind the answer."""
        return behind(self.telling.library, self.run_id, status, self.telling.shown)


@router.post(
    "",
    response_model=ChatCompletion,
    max_body_size=MOST_BYTES,
    responses={**described(409, 415, 500, 504), 200: STREAM},
)
async def complete(
    asked: ChatRequest, request: Request, here: Here, owner: Owner, idempotency_key: Key = None
) -> Response | ChatCompletion:
    """Answer a conversation: its last message becomes a run, and the answer is what comes of it.

    The run goes on when the client leaves, unless `atelier.cancel_on_disconnect` is set.
    """
    require_studio(asked.model)
    library = Library(here, owner, str(request.base_url))
    run = await to_thread.run_sync(_accept, here, owner, asked, idempotency_key)
    turn = Turn(here, owner, run, Telling(library))

    async def leave() -> None:
        await waiting.cancel(here, owner, turn.run_id)

    on_leave = leave if asked.atelier.cancel_on_disconnect else None
    if asked.stream:
        usage = asked.stream_options is not None and asked.stream_options.include_usage
        return waiting.Told(request, _lines(turn, usage=usage), on_leave)
    last = await waiting.with_patience(request, _last(turn), here.settings.answer_wait_s)
    if last is None and on_leave is not None and await request.is_disconnected():
        await on_leave()
    if last is None:
        return waiting.refused(waiting.too_slow(turn.run_id, here.settings.answer_wait_s))
    if isinstance(last, End) and last.status != "completed":
        return waiting.refused(waiting.failure(turn.run_id, last))
    return await to_thread.run_sync(_completion, turn, last)


def _accept(here: Context, owner: str, asked: ChatRequest, idempotency_key: str | None) -> dict[str, Any]:
    messages = [
        talk.message(said.role, said.content, f"messages.{number}") for number, said in enumerate(asked.messages)
    ]
    said = talk.read(here, owner, messages)
    return accepting.accept(here, owner, request=said.request, before=said.before(), idempotency_key=idempotency_key)


async def _last(turn: Turn) -> End | Waits:
    async for piece in turn.pieces():
        if isinstance(piece, End | Waits):
            return piece
    return End("cancelled", None, 0.0)  # the run was deleted while it was followed


def _completion(turn: Turn, last: End | Waits) -> ChatCompletion:
    words = turn.telling.text
    if isinstance(last, Waits):
        words = f"{words}\n\n{_waits(turn, last)}".strip()
    status = last.status if isinstance(last, End) else "waiting_approval"
    message = Spoken(content=words, images=_images(turn.telling.library, turn.telling.shown))
    return ChatCompletion(**turn.head, choices=[Choice(message=message)], atelier=turn.behind(status))


def _waits(turn: Turn, last: Waits) -> str:
    return f"This waits for a person: {last.why}. To go on: POST /v1/runs/{turn.run_id}/approve"


def _images(library: Library, shown: Sequence[Asset]) -> list[dict[str, Any]]:
    """Give pictures as OpenRouter and those after it do: beside the text, as data: URLs."""
    pictures = [asset for asset in shown if asset.kind == "image"][:PICTURES]
    return [
        {"type": "image_url", "index": number, "image_url": {"url": _address(library, asset)}}
        for number, asset in enumerate(pictures)
    ]


def _address(library: Library, asset: Asset) -> str:
    if asset.size_bytes > PICTURE_BYTES:
        return library.url(asset)
    return f"data:{asset.media_type};base64,{base64.b64encode(library.content(asset)).decode()}"


async def _lines(turn: Turn, *, usage: bool) -> AsyncIterator[str]:
    """Write the answer as chunks."""
    yield _chunk(turn, {"role": "assistant", "content": ""})
    status = "waiting_approval"
    async for piece in turn.pieces():
        if piece is None:
            yield ": still here\n\n"
        elif isinstance(piece, Words):
            yield _chunk(turn, {"content": piece.text})
        elif isinstance(piece, Drawn | Sign):
            yield f": {piece.text if isinstance(piece, Sign) else piece.asset.id}\n\n"
        elif isinstance(piece, Waits):
            yield _chunk(turn, {"content": ("\n\n" if turn.telling.text else "") + _waits(turn, piece)})
            break
        elif piece.status != "completed":
            yield f"data: {json.dumps(waiting.failure(turn.run_id, piece).envelope())}\n\n"
            return
        else:
            status = piece.status
    if images := await to_thread.run_sync(_images, turn.telling.library, turn.telling.shown):
        yield _chunk(turn, {"images": images})
    yield _chunk(turn, {}, finish_reason="stop", atelier=turn.behind(status).model_dump())
    if usage:
        yield _chunk(turn, None, usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
    yield "data: [DONE]\n\n"


def _chunk(turn: Turn, delta: dict[str, Any] | None, finish_reason: str | None = None, **more: Any) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    said = {**turn.head, "object": "chat.completion.chunk", "choices": choices, **more}
    return f"data: {json.dumps(said, ensure_ascii=False, separators=(',', ':'))}\n\n"
