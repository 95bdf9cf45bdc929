"""Pictures in the shape of OpenAI: from words, and from other pictures. No language model takes part."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import PurePath
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import UploadFile

from orchestrator.api import accepting, uploads
from orchestrator.api.context import Context, Here, Owner
from orchestrator.api.openai import ending, pictures
from orchestrator.api.openai.ending import NotYet
from orchestrator.api.openai.pictures import Pictures
from orchestrator.api.runs import Key
from orchestrator.api.sniff import sniff
from orchestrator.errors import BadRequest, Invalid, ModelNotFound, RunFailed, TooLarge, described
from store import assets
from tools.base import sha256_hex
from workers.openai_requests import (
    MOST_WORDS,
    STUDIO,
    ImageRequest,
    Misfit,
    PictureRequest,
    image_plan,
    plan_of,
)

router = APIRouter(prefix="/v1/images", tags=["images"], responses=described(415, 500, 504))
EDITED = "256x256"  # the size of what vary_image makes
OURS = (None, STUDIO, "auto")


class VariationRequest(PictureRequest):
    """Other versions of a picture (`POST /v1/images/variations`); `image` comes beside it in the form."""

    strength: float = Field(0.5, ge=0, le=1, description="ours: 0 nearly the same, 1 another picture")


class EditRequest(VariationRequest):
    """A picture moved towards words (`POST /v1/images/edits`); `image` comes beside it in the form."""

    prompt: str = Field(min_length=1, max_length=MOST_WORDS, description="what it is to show")


FILE = {"type": "string", "format": "binary", "description": "a PNG, JPEG, WebP or GIF file; it joins the library"}


def _form(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a form of a model's fields and a picture."""
    schema = model.model_json_schema()
    schema["properties"] = {"image": FILE, **schema["properties"]}
    schema["required"] = ["image", *schema.get("required", [])]
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


@router.post("/generations", response_model=Pictures)
async def generate(
    wanted: ImageRequest, request: Request, here: Here, owner: Owner, idempotency_key: Key = None
) -> Pictures | JSONResponse:
    """Draw pictures from words and answer when they are there; after `answer_wait_s` a 504 names the run."""
    try:
        plan = await to_thread.run_sync(lambda: image_plan(wanted, here.tools(owner)))
    except Misfit as error:
        raise (ModelNotFound if error.param == "model" else Invalid)(str(error), param=error.param) from error
    return await _made(request, here, owner, plan, wanted, idempotency_key)


@router.post("/edits", response_model=Pictures, openapi_extra=_form(EditRequest), max_body_size=uploads.MOST_BYTES)
async def edit(request: Request, here: Here, owner: Owner, idempotency_key: Key = None) -> Pictures | JSONResponse:
    """Move a picture towards words: a form with `image`, `prompt` and perhaps `strength`; the whole of it changes."""
    return await _vary(request, here, owner, EditRequest, idempotency_key)


@router.post(
    "/variations", response_model=Pictures, openapi_extra=_form(VariationRequest), max_body_size=uploads.MOST_BYTES
)
async def vary(request: Request, here: Here, owner: Owner, idempotency_key: Key = None) -> Pictures | JSONResponse:
    """Make other versions of a picture: a form with `image` and perhaps `strength`."""
    return await _vary(request, here, owner, VariationRequest, idempotency_key)


async def _vary(
    request: Request, here: Context, owner: str, kind: type[VariationRequest], key: str | None
) -> Pictures | JSONResponse:
    fields, content, name = await _read(request, here.settings.max_upload_mb)
    try:
        wanted = kind.model_validate(fields)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    if wanted.model not in OURS:
        raise ModelNotFound(f"model: pictures are varied by {STUDIO!r}, not {wanted.model!r}", param="model")
    if wanted.size not in {None, "auto", EDITED}:
        raise Invalid(f"size: what is made of a picture is {EDITED}, not {wanted.size!r}", param="size")
    asset_id = await to_thread.run_sync(_keep, here, owner, content, name)
    args: dict[str, Any] = {"image": f"@{asset_id}", "strength": wanted.strength, "count": wanted.n or 1}
    args |= {"seed": wanted.seed} if wanted.seed is not None else {}
    args |= {"prompt": wanted.prompt} if isinstance(wanted, EditRequest) else {}
    return await _made(request, here, owner, plan_of("vary_image", args), wanted, key)


async def _read(request: Request, limit_mb: int) -> tuple[dict[str, str], bytes, str]:
    """Read the fields of a form, and its picture with the name that it came with."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadRequest("send a form (multipart/form-data) with a picture in the field `image`", param="image")
    if int(request.headers.get("content-length") or 0) > (limit_mb << 20) + 65536:
        raise _too_large(limit_mb)
    async with request.form(max_files=17, max_fields=32) as form:
        files = [(field, value) for field, value in form.multi_items() if isinstance(value, UploadFile)]
        if any(field == "mask" for field, _ in files):
            raise Invalid("mask: a part of a picture cannot be painted anew here; leave the mask out", param="mask")
        if len(files) != 1 or files[0][0] not in {"image", "image[]"}:
            raise Invalid("image: give one picture, as a file in the field `image`", param="image")
        image = files[0][1]
        content = await image.read((limit_mb << 20) + 1)
        if len(content) > limit_mb << 20:
            raise _too_large(limit_mb)
        fields = {field: value for field, value in form.multi_items() if isinstance(value, str)}
        return fields, content, image.filename or ""


def _too_large(limit_mb: int) -> TooLarge:
    return TooLarge(f"the picture is larger than {limit_mb} MB; the settings say what is allowed", param="image")


def _keep(here: Context, owner: str, content: bytes, name: str) -> str:
    """Put a picture into the library, unless it is there, and give its id.

    Raises:
        Invalid: it is no picture.
    """
    if sniff(content).kind != "image":
        raise Invalid("image: that is no PNG, JPEG, WebP or GIF", param="image")
    with here.database.read() as connection:
        there = assets.by_sha256(connection, owner, sha256_hex(content))
    if there is not None and there.deleted_at is None and there.kind == "image":
        return there.id
    caption = PurePath(name.replace("\0", "")).stem[:500] or "a picture that was sent"
    return uploads.save(here, owner, content, caption, ()).id


async def _made(
    request: Request, here: Context, owner: str, plan: Mapping[str, Any], wanted: PictureRequest, key: str | None
) -> Pictures | JSONResponse:
    accept = partial(accepting.accept, here, owner, plan=plan, idempotency_key=key)
    run = await to_thread.run_sync(accept)
    try:
        run = await ending.wait(request, here, owner, run["id"])
    except (RunFailed, NotYet) as error:
        return ending.refused(error)
    show = partial(
        pictures.shown,
        here,
        owner,
        run["id"],
        run["assets"],
        created=run["created_at"],
        form=wanted.response_format or "b64_json",
        base_url=str(request.base_url),
    )
    return await to_thread.run_sync(show)
