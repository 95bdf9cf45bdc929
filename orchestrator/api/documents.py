"""Documents of a solution that answers from them: those of its folders, and uploads."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import PurePath
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request

from orchestrator.api import uploads
from orchestrator.api.context import Admin, Context, Here, Known, Owner
from orchestrator.api.described import file_body
from orchestrator.api.keyring import Caller
from orchestrator.api.shapes.base import Page
from orchestrator.api.shapes.house import DocumentShape
from orchestrator.errors import Conflict, NotFound, Unsupported, described
from store import keys, passages, solutions
from store.passages import UPLOAD, Document
from tools.knowledge.read import FORMATS

router = APIRouter(prefix="/v1/solutions/{name}/documents", tags=["solutions"])
HIDDEN = ("solution", "read_at", "space")


@router.get("", response_model=Page[DocumentShape])
def list_documents(name: str, here: Here, owner: Owner, caller: Known) -> dict[str, Any]:
    """List the documents of a solution, with why those that could not be read were not."""
    _knowledge(here, name, owner)
    with here.database.read() as connection:
        found = passages.listing(connection, name)
    return {"data": [_shown(one, caller) for one in found], "has_more": False, "next": None}


@router.post(
    "",
    status_code=202,
    max_body_size=uploads.MOST_BYTES,
    response_model=DocumentShape,
    responses=described(415),
    openapi_extra=file_body("a document that a worker can read", "application/octet-stream"),
)
async def upload(
    name: str,
    request: Request,
    here: Here,
    admin: Admin,
    filename: Annotated[str | None, Query(max_length=200, description="where the body is the file itself")] = None,
) -> dict[str, Any]:
    """Add a document, or put it in the place of the upload of the same name; a worker reads it within seconds."""
    given = await uploads.read(request, here.settings.max_upload_mb)
    return await to_thread.run_sync(_save, here, admin, name, given.name or filename or "", given.content)


@router.delete("/{document_id}", status_code=204)
def remove(name: str, document_id: str, here: Here, admin: Admin) -> None:
    """Take an uploaded document away, with its passages."""
    _knowledge(here, name, admin)
    document = _find(here, name, document_id)
    if document.origin != UPLOAD:
        raise Conflict(f"document {document.path!r} lies in the folder {document.origin!r}; remove it there")
    here.database.transact(lambda c: passages.remove(c, name, [document_id]))


def view(document: Document) -> dict[str, Any]:
    """Give a document as clients see it."""
    return {key: value for key, value in asdict(document).items() if key not in HIDDEN}


def _shown(document: Document, caller: Caller) -> dict[str, Any]:
    """Give a document without the folder of the host that it lies in, to who is no admin."""
    shown = view(document)
    is_open = document.origin == UPLOAD or caller.may(keys.ADMIN)
    return shown if is_open else {**shown, "origin": None}


def _save(here: Context, owner: str, name: str, filename: str, content: bytes) -> dict[str, Any]:
    _knowledge(here, name, owner)
    path = PurePath("".join(sign for sign in filename.replace("\\", "/") if sign.isprintable())).name
    if PurePath(path).suffix.lower() not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise Unsupported(f"the document {path!r} has to be called by its type ({known}); see `filename`")
    sha256, now = here.blobs.put(content), time.time()
    id_ = here.database.transact(lambda c: passages.add_upload(c, name, path, sha256, len(content), now), durable=True)
    return view(_find(here, name, id_))


def _find(here: Context, name: str, document_id: str) -> Document:
    with here.database.read() as connection:
        found = next((one for one in passages.listing(connection, name) if one.id == document_id), None)
    if found is None:
        raise NotFound(f"solution {name!r} has no document {document_id!r}")
    return found


def _knowledge(here: Context, name: str, owner: str) -> None:
    with here.database.read() as connection:
        solution = solutions.require(connection, name, owner)
    if solution.kind != "knowledge":
        raise Conflict(f"solution {name!r} is of kind {solution.kind!r}; only those of kind 'knowledge' hold documents")
