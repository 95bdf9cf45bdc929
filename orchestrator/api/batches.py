"""Batches: many requests in one file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from orchestrator.api import accepting, sheets, uploads
from orchestrator.api.context import Context, Here, Owner
from orchestrator.api.described import bytes_of, file_body
from orchestrator.api.lists import Before, Limit, page
from orchestrator.api.openai import batches as openai_batches
from orchestrator.api.shapes.batch import BatchPage, BatchRows, BatchShape, Standing
from orchestrator.errors import described
from store import batches
from workers.feeding import line_reader

router = APIRouter(prefix="/v1/batches", tags=["batches"])
MOST_LINES = 2**31 - 1
After = Annotated[str | None, Query(description="the same as `before`, as OpenAI's clients call it")]


@router.post(
    "",
    status_code=202,
    max_body_size=uploads.MOST_BYTES,
    response_model=BatchShape,
    responses=described(415),
    openapi_extra=file_body("requests, one a line", "application/jsonl", "text/csv", "application/octet-stream"),
)
async def submit(request: Request, here: Here, owner: Owner) -> dict[str, Any]:
    """Accept a file of requests, JSONL or CSV, as the body or as the field `file` of a form.

    A line of JSONL is `{"say": "…"}` or `{"tool": "…", "args": {…}}`. The first row of a CSV file names its columns:
    `say`, or `tool` and the names of its arguments.
    Or, as OpenAI's clients ask: JSON that names an uploaded file, `{"input_file_id", "endpoint", "completion_window"}`.
    """
    await to_thread.run_sync(accepting.refuse_limited, here)
    upload = await uploads.read(request, here.settings.max_batch_mb)
    wanted = openai_batches.asked(request.headers.get("content-type", ""), upload.content)
    if wanted is not None:
        return await to_thread.run_sync(lambda: _view(here, owner, openai_batches.submit(here, owner, wanted)))
    is_sheet = sheets.is_sheet(upload.content, upload.name, request.headers.get("content-type", ""))
    return await to_thread.run_sync(_submit, here, owner, upload.content, is_sheet)


def _submit(here: Context, owner: str, content: bytes, is_sheet: bool) -> dict[str, Any]:
    sha256 = here.blobs.put(sheets.to_lines(content, here.tools(owner)) if is_sheet else content)
    return _view(here, owner, here.commit(lambda t: batches.submit(t, owner, sha256)))


@router.get("", response_model=BatchPage)
def list_batches(
    here: Here, owner: Owner, before: Before = None, after: After = None, limit: Limit = 20
) -> dict[str, Any]:
    """List batches, newest first."""
    with here.database.read() as connection:
        found = page(lambda n: batches.list_(connection, owner, before=after or before, limit=n), limit)
    return openai_batches.shape_list(found)


@router.get("/{batch_id}", response_model=BatchShape)
def get_batch(batch_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give a batch with its counts."""
    return _view(here, owner, batch_id)


@router.post("/{batch_id}/cancel", status_code=202, response_model=BatchShape)
def cancel(batch_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Stop a batch: no more lines are begun, and its open runs are cancelled."""
    here.commit(lambda t: batches.cancel(t, owner, batch_id))
    return _view(here, owner, batch_id)


@router.post("/{batch_id}/resume", status_code=202, response_model=BatchShape)
def resume(batch_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Go on with a cancelled batch where it was stopped."""
    accepting.refuse_limited(here)
    read_line = line_reader(here.tools(owner), here.settings.max_attempts)
    here.commit(lambda t: batches.resume(t, owner, batch_id, read_line, here.blobs.open))
    return _view(here, owner, batch_id)


@router.get("/{batch_id}/rows", response_model=BatchRows)
def list_rows(
    batch_id: str,
    here: Here,
    owner: Owner,
    status: Annotated[
        list[Standing] | None, Query(description="only lines that stand so; may be given more than once")
    ] = None,
    after: Annotated[int, Query(ge=0, le=MOST_LINES, description="`next` of the page before this one")] = 0,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List the lines that were begun, in the order of the file, with what came of each."""
    with here.database.read() as connection:
        found = batches.rows(connection, owner, batch_id, status=status or (), after=after, limit=limit + 1)
    shown = found[:limit]
    has_more = len(found) > limit
    return {"data": shown, "has_more": has_more, "next": shown[-1]["line"] if has_more else None}


@router.get(
    "/{batch_id}/results",
    response_class=StreamingResponse,
    responses={200: bytes_of("A line of JSON for each.", "application/jsonl")},
)
def results(batch_id: str, here: Here, owner: Owner) -> StreamingResponse:
    """Stream a JSON object a line of the input that was begun, in order, with the line's number."""
    rows = batches.results(here.database, owner, batch_id)

    def lines() -> Iterator[str]:
        for row in rows:
            yield json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"

    return StreamingResponse(lines(), media_type="application/jsonl")


def _view(here: Context, owner: str, batch_id: str) -> dict[str, Any]:
    with here.database.read() as connection:
        return openai_batches.shape(batches.get(connection, owner, batch_id))
