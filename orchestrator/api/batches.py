"""Batches: many requests in one file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from orchestrator.api import uploads
from orchestrator.api.context import Context, Here, Owner
from orchestrator.api.lists import Before, Limit, page
from store import batches
from workers.feeding import line_reader

router = APIRouter(prefix="/v1/batches", tags=["batches"])


@router.post("", status_code=202, max_body_size=uploads.MOST_BYTES)
async def submit(request: Request, here: Here, owner: Owner) -> dict[str, Any]:
    """Accept a JSONL file of requests, as the body or as the field `file` of a form."""
    upload = await uploads.read(request, here.settings.max_batch_mb)
    return await to_thread.run_sync(_submit, here, owner, upload.content)


def _submit(here: Context, owner: str, content: bytes) -> dict[str, Any]:
    sha256 = here.blobs.put(content)
    return _view(here, owner, here.commit(lambda t: batches.submit(t, owner, sha256)))


@router.get("")
def list_batches(here: Here, owner: Owner, before: Before = None, limit: Limit = 20) -> dict[str, Any]:
    """List batches, newest first."""
    with here.database.read() as connection:
        return page(lambda n: batches.list_(connection, owner, before=before, limit=n), limit)


@router.get("/{batch_id}")
def get_batch(batch_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give a batch with its counts."""
    return _view(here, owner, batch_id)


@router.post("/{batch_id}/cancel", status_code=202)
def cancel(batch_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Stop a batch: no more lines are begun, and its open runs are cancelled."""
    here.commit(lambda t: batches.cancel(t, owner, batch_id))
    return _view(here, owner, batch_id)


@router.post("/{batch_id}/resume", status_code=202)
def resume(batch_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Go on with a cancelled batch where it was stopped."""
    read_line = line_reader(here.tools(owner), here.settings.max_attempts)
    here.commit(lambda t: batches.resume(t, owner, batch_id, read_line, here.blobs.open))
    return _view(here, owner, batch_id)


@router.get("/{batch_id}/results")
def results(batch_id: str, here: Here, owner: Owner) -> StreamingResponse:
    """Stream a JSON object a line of the input that was begun, in order, with the line's number."""
    rows = batches.results(here.database, owner, batch_id)

    def lines() -> Iterator[str]:
        for row in rows:
            yield json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"

    return StreamingResponse(lines(), media_type="application/jsonl")


def _view(here: Context, owner: str, batch_id: str) -> dict[str, Any]:
    with here.database.read() as connection:
        return batches.get(connection, owner, batch_id)
