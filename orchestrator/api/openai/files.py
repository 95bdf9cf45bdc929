"""Files in the shape of OpenAI: uploaded to be used later, or what a batch gave."""

from __future__ import annotations

import time
from pathlib import PurePath
from typing import Annotated, Literal, cast

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile

from orchestrator.api import bytes_range, uploads
from orchestrator.api.context import Context, Here, Owner
from orchestrator.api.openai import batches
from orchestrator.errors import BadRequest, Conflict, Invalid, TooLarge
from store import files
from store.files import File
from store.ids import new_id

router = APIRouter(prefix="/v1/files", tags=["files"])
PURPOSES = ("batch", "vision", "user_data")
NAME_CHARACTERS = 200
Purpose = Literal["batch", "vision", "user_data", "batch_output"]


class FileObject(BaseModel):
    """A file."""

    id: str = Field(description="its id; those of what a batch gave begin with `output_` or `errors_`")
    object: Literal["file"] = Field("file", description="always `file`")
    bytes: int = Field(description="its length in bytes")
    created_at: int = Field(description="seconds since 1970, UTC")
    filename: str = Field(description="the name that it was uploaded with, 200 characters at most")
    purpose: Purpose = Field(description="what it is for; `batch_output` is what a batch gave")
    status: Literal["processed"] = Field("processed", description="always `processed`: a file can be used at once")
    expires_at: int | None = Field(None, description="always null: files stay until they are deleted")


class FileList(BaseModel):
    """A page of files."""

    object: Literal["list"] = Field("list", description="always `list`")
    data: list[FileObject] = Field(description="the files of this page")
    has_more: bool = Field(description="whether there is another page")
    first_id: str | None = Field(description="the id of the first file of this page")
    last_id: str | None = Field(description="the id of the last one: `after` of the next page")
    next: str | None = Field(description="`after` of the next page, null where there is none")


class FileDeleted(BaseModel):
    """That a file is gone."""

    id: str = Field(description="the id that it had")
    object: Literal["file"] = Field("file", description="always `file`")
    deleted: Literal[True] = Field(default=True, description="always true")


FORM = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "the bytes, with a name"},
        "purpose": {
            "type": "string",
            "enum": list(PURPOSES),
            "description": "what it is for; `max_batch_mb` limits files for batches, `max_upload_mb` the others",
        },
    },
    "additionalProperties": False,
}


@router.post(
    "",
    max_body_size=uploads.MOST_BYTES,
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}},
)
async def upload(request: Request, here: Here, owner: Owner) -> FileObject:
    """Keep a file: a form with the fields `file` and `purpose` (batch, vision or user_data)."""
    content, name, purpose = await _read(request, here)
    return shape(await to_thread.run_sync(_keep, here, owner, content, name, purpose))


async def _read(request: Request, here: Context) -> tuple[bytes, str, str]:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadRequest("send a form (multipart/form-data) with the fields `file` and `purpose`", param="file")
    limit_mb = max(here.settings.max_batch_mb, here.settings.max_upload_mb)
    if int(request.headers.get("content-length") or 0) > (limit_mb << 20) + 65536:
        raise _too_large(limit_mb)
    async with request.form(max_files=1, max_fields=8) as form:
        file, purpose = form.get("file"), form.get("purpose")
        if not isinstance(file, UploadFile):
            raise BadRequest("the form has no field `file` with a file in it", param="file")
        if not isinstance(purpose, str) or purpose not in PURPOSES:
            raise Invalid(f"purpose: give one of {', '.join(PURPOSES)}", param="purpose")
        if form.keys() - {"file", "purpose"}:
            unknown = ", ".join(sorted(form.keys() - {"file", "purpose"}))
            raise Invalid(f"files take `file` and `purpose`, not {unknown}; a file stays until it is deleted")
        limit_mb = here.settings.max_batch_mb if purpose == "batch" else here.settings.max_upload_mb
        content = await file.read((limit_mb << 20) + 1)
        if len(content) > limit_mb << 20:
            raise _too_large(limit_mb)
        name = PurePath((file.filename or "file").replace("\0", "")).name
        return content, name[:NAME_CHARACTERS] or "file", purpose


def _too_large(limit_mb: int) -> TooLarge:
    return TooLarge(f"the file is larger than {limit_mb} MB; the settings say what is allowed", param="file")


def _keep(here: Context, owner: str, content: bytes, name: str, purpose: str) -> File:
    if not content:
        raise BadRequest("the file is empty", param="file")
    name.encode()  # what cannot be encoded cannot be stored
    file = File(new_id("file"), name, purpose, here.blobs.put(content), len(content), time.time())
    here.database.transact(lambda c: files.add(c, owner, file), durable=True)
    return file


@router.get("")
def list_files(
    here: Here,
    owner: Owner,
    purpose: Annotated[str | None, Query(description="only files for this")] = None,
    after: Annotated[str | None, Query(description="`last_id` of the page before this one")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="how many at most")] = 100,
    order: Annotated[files.Order, Query(description="by the time of upload")] = "desc",
) -> FileList:
    """List uploaded files, newest first; what batches gave is named by the batches."""
    with here.database.read() as connection:
        found = files.list_(connection, owner, purpose=purpose, after=after, order=order, limit=limit + 1)
    shown = [shape(file) for file in found[:limit]]
    last = shown[-1].id if shown else None
    has_more = len(found) > limit
    return FileList(
        data=shown,
        has_more=has_more,
        first_id=shown[0].id if shown else None,
        last_id=last,
        next=last if has_more else None,
    )


@router.get("/{file_id}")
def get_file(file_id: str, request: Request, here: Here, owner: Owner) -> FileObject:
    """Give what is known of a file; of what a batch gave the length is counted now, as far as the batch is."""
    if (given := batches.given(here, owner, file_id, str(request.base_url))) is not None:
        return FileObject(
            id=file_id,
            bytes=sum(map(len, given.lines())),
            created_at=given.created_at,
            filename=given.name,
            purpose="batch_output",
        )
    return shape(_find(here, owner, file_id))


@router.get("/{file_id}/content", response_class=Response, responses=bytes_range.ANSWERS)
def content(file_id: str, request: Request, here: Here, owner: Owner) -> Response:
    """Give the bytes of a file, whole or a range of them; of what a batch gave the lines that there are."""
    if (given := batches.given(here, owner, file_id, str(request.base_url))) is not None:
        headers = {
            "content-disposition": f'attachment; filename="{given.name}"',
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
        }
        return StreamingResponse(given.lines(), media_type="application/jsonl", headers=headers)
    file = _find(here, owner, file_id)
    return bytes_range.send_blob(request, here, file.sha256, file.size_bytes, "application/octet-stream", file.id)


@router.delete("/{file_id}")
def delete_file(file_id: str, request: Request, here: Here, owner: Owner) -> FileDeleted:
    """Forget a file; a batch that was made of it goes on."""
    if batches.given(here, owner, file_id, str(request.base_url)) is not None:
        raise Conflict(f"{file_id!r} is what a batch gave and stays with it")
    here.database.transact(lambda c: files.remove(c, owner, file_id))
    return FileDeleted(id=file_id)


def _find(here: Context, owner: str, file_id: str) -> File:
    with here.database.read() as connection:
        return files.get(connection, owner, file_id)


def shape(file: File) -> FileObject:
    """Give a file as clients see it."""
    return FileObject(
        id=file.id,
        bytes=file.size_bytes,
        created_at=int(file.created_at),
        filename=file.name,
        purpose=cast(Purpose, file.purpose),
    )
