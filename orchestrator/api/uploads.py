"""Files that come from outside."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from anyio import to_thread
from fastapi import Request
from starlette.datastructures import UploadFile

from orchestrator import parts
from orchestrator.api.context import Context
from orchestrator.api.sniff import sniff
from orchestrator.errors import BadRequest, TooLarge
from store import assets
from store.assets import Asset, NewAsset
from store.ids import new_id

MOST_BYTES = 16 << 30  # what a route can be set to at most; the setting says what this studio takes


@dataclass(frozen=True)
class Upload:
    """The bytes of a request, and the name that came with them."""

    content: bytes
    name: str | None


async def read(request: Request, limit_mb: int) -> Upload:
    """Read the body, or the field `file` of a form.

    Raises:
        BadRequest: the form has no such field, or there are no bytes.
        TooLarge: there are more bytes than the setting allows.
    """
    if int(request.headers.get("content-length") or 0) > (limit_mb << 20) + 65536:
        raise TooLarge(f"the upload is larger than {limit_mb} MB; the settings say what is allowed")
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=1, max_fields=8) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise BadRequest("the form has no field `file` with a file in it", param="file")
            upload = Upload(await file.read((limit_mb << 20) + 1), file.filename)
    else:
        upload = Upload(await _body(request, limit_mb), None)
    if len(upload.content) > limit_mb << 20:
        raise TooLarge(f"the upload is larger than {limit_mb} MB; the settings say what is allowed")
    if not upload.content:
        raise BadRequest("there are no bytes in the request")
    return upload


async def _body(request: Request, limit_mb: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_mb << 20:
            raise TooLarge(f"the upload is larger than {limit_mb} MB; the settings say what is allowed")
    return bytes(body)


async def take(request: Request, here: Context, owner: str, caption: str | None, tags: str) -> Asset:
    """Put an uploaded file into the library."""
    upload = await read(request, here.settings.max_upload_mb)
    named = caption or (PurePath(upload.name.replace("\0", "")).stem[:500] if upload.name else "") or "upload"
    return await to_thread.run_sync(save, here, owner, upload.content, named, tuple(tags.split(",")))


def save(here: Context, owner: str, content: bytes, caption: str, tags: tuple[str, ...]) -> Asset:
    """Store bytes and a row that names them; what they are is read from the bytes themselves."""
    found = sniff(content)
    vector = np.asarray(here.messenger.vector(caption), np.float32)
    new = NewAsset(
        id=new_id("asset"),
        kind=found.kind,
        media_type=found.media_type,
        sha256=here.blobs.put(content),
        size_bytes=len(content),
        caption=caption,
        tags=tags,
        width=found.width,
        height=found.height,
        vectors={parts.text_space(here.settings): vector},
    )
    here.database.transact(lambda c: assets.insert(c, owner, [new], now=time.time()), durable=True)
    with here.database.read() as connection:
        saved = assets.get(connection, owner, new.id)
    assert saved is not None  # noqa: S101  # it was just committed
    return saved
