"""Responses: a run as OpenAI's newer clients ask for it, followed, resumed and cancelled."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from orchestrator.api import accepting
from orchestrator.api.context import Context, Here, Owner
from orchestrator.api.described import STREAM
from orchestrator.api.openai import talk, waiting
from orchestrator.api.openai.asked import MOST_BYTES, KnownFirst, require_studio
from orchestrator.api.openai.chat import Key
from orchestrator.api.openai.response_shapes import ResponseRequest, ResponseShape, shape
from orchestrator.api.openai.telling import End, Library, Sign, Telling, Waits
from orchestrator.api.openai.writing import Writing
from orchestrator.errors import Invalid, NotFound, described
from store import conversations, events, steering

router = APIRouter(prefix="/v1/responses", tags=["openai"], route_class=KnownFirst)
STREAMS: dict[int | str, dict[str, Any]] = {200: STREAM}
PAGE = 500
MOST = 999_999_999


class Turn:
    """A run as a response, told from its first event."""

    def __init__(self, here: Context, owner: str, run: dict[str, Any], base_url: str, background: bool | None) -> None:
        self.here, self.owner, self.run, self._background = here, owner, run, background
        with here.database.read() as connection:
            self._before = conversations.before(connection, run["id"], run["thread_id"])
        library = Library(here, owner, base_url)
        self.telling = Telling(library)
        number = run["id"].removeprefix("run_")
        self.writing = Writing(library, f"msg_{number}", self._whole)

    def _whole(self, output: list[dict[str, Any]], status: str, end: End | None) -> dict[str, Any]:
        return shape(self.run, self._before, self.telling, output, status, end, self._background).model_dump()

    def now(self) -> ResponseShape:
        """Give the response as it is now."""
        last = 0
        with self.here.database.read() as connection:
            while found := events.after(connection, self.run["id"], last, PAGE):
                for event in found:
                    for piece in self.telling.take(event):
                        self.writing.take(piece)
                last = found[-1].sequence_number
        run, writing = self.run, self.writing
        return shape(run, self._before, self.telling, writing.output, run["status"], writing.end, self._background)

    async def last(self) -> End | Waits:
        """Wait until the run has ended, or waits for a person."""
        following = waiting.pieces(self.here, self.owner, self.run["id"], Telling(self.telling.library))
        async for piece in following:
            if isinstance(piece, End | Waits):
                return piece
        return End("cancelled", None, 0.0)  # the run was deleted while it was followed

    async def lines(self, after: int) -> AsyncIterator[str]:
        """Write the events behind a number as server-sent events."""
        for event in self.writing.begin():
            yield _line(event, after)
        async for piece in waiting.pieces(self.here, self.owner, self.run["id"], self.telling):
            if piece is None or isinstance(piece, Sign):
                yield f": {'still here' if piece is None else piece.text}\n\n"
                continue
            for event in await to_thread.run_sync(self.writing.take, piece):
                yield _line(event, after)


def _line(event: dict[str, Any], after: int) -> str:
    if event["sequence_number"] <= after:
        return ""
    said = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event['type']}\ndata: {said}\n\n"


@router.post(
    "",
    response_model=ResponseShape,
    max_body_size=MOST_BYTES,
    responses={**described(409, 415, 504), **STREAMS},
)
async def create(
    asked: ResponseRequest, request: Request, here: Here, owner: Owner, idempotency_key: Key = None
) -> Response | ResponseShape:
    """Make a run of the input and answer with what comes of it: at once with `background`, in pieces with `stream`.

    A run that fails is a response with the status `failed`. It goes on when the client leaves, unless
    `atelier.cancel_on_disconnect` is set.
    """
    require_studio(asked.model)
    run = await to_thread.run_sync(_accept, here, owner, asked, idempotency_key)
    turn = await to_thread.run_sync(Turn, here, owner, run, str(request.base_url), bool(asked.background))

    async def leave() -> None:
        await waiting.cancel(here, owner, run["id"])

    on_leave = leave if asked.atelier.cancel_on_disconnect and not asked.background else None
    if asked.stream:
        return waiting.Told(request, turn.lines(-1), on_leave)
    if not asked.background:
        last = await waiting.with_patience(request, turn.last(), here.settings.answer_wait_s)
        if last is None and on_leave is not None and await request.is_disconnected():
            await on_leave()
        if last is None:
            return waiting.refused(waiting.too_slow(run["id"], here.settings.answer_wait_s))
    return await to_thread.run_sync(_view, here, owner, run["id"], str(request.base_url), bool(asked.background))


@router.get("/{response_id}", response_model=ResponseShape, responses=STREAMS)
def get_response(
    response_id: str,
    request: Request,
    here: Here,
    owner: Owner,
    stream: Annotated[bool, Query(description="follow it as server-sent events until it has ended")] = False,
    starting_after: Annotated[
        int | None, Query(ge=0, le=MOST, description="with `stream`: only events behind this `sequence_number`")
    ] = None,
) -> Response | ResponseShape:
    """Give a response, or follow it from any point; each run is a response, however it was asked for."""
    run_id = _run_id(response_id)
    if not stream:
        return _view(here, owner, run_id, str(request.base_url), None)
    turn = Turn(here, owner, accepting.view(here, owner, run_id), str(request.base_url), None)
    return waiting.Told(request, turn.lines(-1 if starting_after is None else starting_after), None)


@router.post("/{response_id}/cancel", response_model=ResponseShape)
def cancel(response_id: str, request: Request, here: Here, owner: Owner) -> ResponseShape:
    """Stop a response; one that has ended stays as it is."""
    run_id = _run_id(response_id)
    here.commit(lambda t: steering.cancel(t, owner, run_id))
    return _view(here, owner, run_id, str(request.base_url), None)


def _run_id(response_id: str) -> str:
    if not re.fullmatch(r"resp_[0-9A-HJKMNP-TV-Z]{26}", response_id):
        raise NotFound(f"there is no response {response_id!r}")
    return f"run_{response_id.removeprefix('resp_')}"


def _view(here: Context, owner: str, run_id: str, base_url: str, background: bool | None) -> ResponseShape:
    return Turn(here, owner, accepting.view(here, owner, run_id), base_url, background).now()


def _accept(here: Context, owner: str, asked: ResponseRequest, idempotency_key: str | None) -> dict[str, Any]:
    follows = None if asked.previous_response_id is None else _run_id(asked.previous_response_id)
    if follows is not None:
        accepting.view(here, owner, follows)
    if asked.background and asked.store is False:
        raise Invalid("store: what goes on in the background has to be stored; leave it out", param="store")
    said = talk.read(here, owner, asked.messages(), asked.instructions or "", "input")
    before = said.before(follows, always=True)
    return accepting.accept(here, owner, request=said.request, before=before, idempotency_key=idempotency_key)
