"""Speech in the shape of OpenAI, by the studio's tool for sounds where it has one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from orchestrator import media
from orchestrator.api import accepting
from orchestrator.api.context import Context, Here, Owner
from orchestrator.api.openai import ending
from orchestrator.api.openai.ending import NotYet
from orchestrator.api.runs import Key
from orchestrator.errors import BadRequest, Invalid, ModelNotFound, RunFailed, described
from store import assets
from tools.base import ToolSpec
from workers.openai_requests import STUDIO, plan_of

router = APIRouter(prefix="/v1/audio", tags=["audio"], responses=described(500, 504))
TOOL = "generate_audio"
WORDS = ("text", "prompt")  # what such a tool calls the words that are said
MOST_CHARACTERS = 4096
Format = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]


class NoVoice(BadRequest):
    """Nothing in this studio can say words."""

    code = "no_voice"


class SpeechRequest(BaseModel):
    """Words to be said."""

    model_config = ConfigDict(extra="forbid")
    input: str = Field(min_length=1, max_length=MOST_CHARACTERS, description="the words; 4,096 characters at most")
    model: str = Field(max_length=200, description="`atelier`; the studio chooses")
    voice: str = Field(max_length=80, description="one of the voices of the studio's tool for sounds")
    response_format: Format | None = Field(None, description="as the tool makes it, if it is left out")
    speed: float = Field(1.0, ge=0.25, le=4, description="1: as fast as the voice speaks by itself")
    instructions: str | None = Field(None, max_length=MOST_CHARACTERS, description="how it is to be said")


@router.post(
    "/speech",
    response_class=Response,
    responses={200: {"content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def speak(
    wanted: SpeechRequest, request: Request, here: Here, owner: Owner, idempotency_key: Key = None
) -> Response:
    """Say words and answer with the sound; without a voice in the studio: 400 with the code `no_voice`."""
    tools = await to_thread.run_sync(here.tools, owner)
    spec = voice(tools)
    if wanted.model not in {STUDIO, "auto", spec.name}:
        raise ModelNotFound(f"model: there is no {wanted.model!r}; there are {STUDIO}, {spec.name}", param="model")
    accept = partial(accepting.accept, here, owner, plan=_plan(wanted, spec), idempotency_key=idempotency_key)
    run = await to_thread.run_sync(accept)
    try:
        run = await ending.wait(request, here, owner, run["id"])
        return await to_thread.run_sync(_sound, here, owner, run, wanted.response_format)
    except (RunFailed, NotYet) as error:
        return ending.refused(error)


def voice(tools: Mapping[str, ToolSpec]) -> ToolSpec:
    """Give the tool that says words.

    Raises:
        NoVoice: there is none.
    """
    spec = tools.get(TOOL)
    if spec is not None and spec.gives == "audio" and _words_of(spec) is not None:
        return spec
    sounds = ", ".join(sorted(name for name, one in tools.items() if one.gives in {"audio", "music"}))
    raise NoVoice(
        f"this studio has no voice: no tool {TOOL!r} makes sound of words. "
        + (f"What makes sound here: {sounds}. " if sounds else f"Its tools are {', '.join(sorted(tools))}. ")
        + "Add a package that brings such a tool, or a solution that speaks (docs/solutions.md)",
        param="voice",
    )


def _words_of(spec: ToolSpec) -> str | None:
    return next((name for name in WORDS if name in spec.args.model_fields), None)


def _plan(wanted: SpeechRequest, spec: ToolSpec) -> dict[str, Any]:
    """Give the plan that says it; what was asked for and the tool cannot do is refused, not left out.

    Raises:
        Invalid: the tool takes no speed, or no instructions.
    """
    takes = spec.args.model_fields
    args: dict[str, Any] = {str(_words_of(spec)): wanted.input}
    if "voice" in takes:
        args["voice"] = wanted.voice
    for name, value, is_asked in (
        ("speed", wanted.speed, wanted.speed != 1),
        ("instructions", wanted.instructions, wanted.instructions is not None),
    ):
        if is_asked and name not in takes:
            raise Invalid(f"{name}: {spec.name} takes none; leave it out", param=name)
        args |= {name: value} if is_asked else {}
    return plan_of(spec.name, args)


def _sound(here: Context, owner: str, run: Mapping[str, Any], wanted: str | None) -> Response:
    with here.database.read() as connection:
        found = next((one for one in assets.get_many(connection, owner, run["assets"]) if one.kind == "audio"), None)
    if found is None:
        raise RunFailed(f"run {run['id']!r} made no sound")
    made = media.ending(found.media_type)
    if wanted not in {None, made}:
        raise Invalid(
            f"response_format: the sound is {made}, not {wanted}; it is asset {found.id!r}", param="response_format"
        )
    return Response(here.blobs.get(found.sha256), media_type=found.media_type, headers={"x-run-id": run["id"]})
