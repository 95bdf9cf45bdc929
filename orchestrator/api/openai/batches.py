"""Batches in the shape of OpenAI: made of an uploaded file, their results as files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.api.context import Context
from orchestrator.api.openai import pictures
from orchestrator.api.texts import Text
from orchestrator.errors import Invalid, NotFound
from store import assets, batches, files
from workers.openai_requests import BATCHED, CHAT, IMAGES, STUDIO

FILE = re.compile(r"(output|errors)_([0-9A-HJKMNP-TV-Z]{26})")
MOST_BYTES = 1 << 16  # of a request that names a file; more are lines
MARKS = {"input_file_id", "endpoint", "completion_window"}
ENDED = ("completed", "cancelled")
Side = Literal["output", "errors"]


class BatchRequest(BaseModel):
    """A batch of an uploaded file."""

    model_config = ConfigDict(extra="forbid")
    input_file_id: str = Field(description="a file that was uploaded with the purpose `batch`")
    endpoint: Literal["/v1/images/generations", "/v1/chat/completions"] = Field(description="what the lines ask")
    completion_window: Literal["24h"] = Field(description="24h; a batch is done as soon as there is room for it")
    metadata: dict[Annotated[Text, Field(max_length=64)], Annotated[Text, Field(max_length=512)]] | None = Field(
        None, max_length=16, description="up to 16 words of your own"
    )


def asked(media_type: str, content: bytes) -> BatchRequest | None:
    """Give the request if a body names an uploaded file; None if it is lines.

    Raises:
        Invalid: it does, and something in it does not fit.
    """
    if media_type.partition(";")[0].strip() != "application/json" or len(content) > MOST_BYTES:
        return None
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or not MARKS & said.keys():
        return None
    try:
        return BatchRequest.model_validate(said)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        param = ".".join(map(str, fault["loc"]))
        raise Invalid(f"{param}: {fault['msg']}; a batch can ask {' or '.join(BATCHED)}", param=param) from error


def submit(here: Context, owner: str, wanted: BatchRequest) -> str:
    """Make a batch of an uploaded file and give its id.

    Raises:
        UnknownId: there is no such file.
        Invalid: it was uploaded for something else.
    """
    with here.database.read() as connection:
        file = files.get(connection, owner, wanted.input_file_id)
    if file.purpose != "batch":
        message = f"input_file_id: file {file.id!r} was uploaded for {file.purpose!r}; upload it with purpose `batch`"
        raise Invalid(message, param="input_file_id")
    return here.commit(
        lambda t: batches.submit(
            t, owner, file.sha256, input_file_id=file.id, endpoint=wanted.endpoint, labels=wanted.metadata
        )
    )


def shape(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Give a batch with the fields of OpenAI beside ours; results are files only where the input was one."""
    counts, status = batch["counts"], batch["status"]
    done = counts.get("completed", 0)
    failed = sum(counts.get(name, 0) for name in ("failed", "cancelled", "bad_line"))
    has_files = batch["input_file_id"] is not None and status in ENDED
    ended_at = None if batch["ended_at"] is None else int(batch["ended_at"])
    return {
        **batch,
        "object": "batch",
        "created_at": int(batch["created_at"]) if batch["input_file_id"] is not None else batch["created_at"],
        "completion_window": "24h",
        "request_counts": {"total": sum(counts.values()), "completed": done, "failed": failed},
        "output_file_id": file_id(batch["id"], "output") if has_files and done else None,
        "error_file_id": file_id(batch["id"], "errors") if has_files and failed else None,
        "errors": None,
        "in_progress_at": int(batch["created_at"]),
        "completed_at": ended_at if status == "completed" else None,
        "cancelled_at": ended_at if status == "cancelled" else None,
    }


def shape_list(found: Mapping[str, Any]) -> dict[str, Any]:
    """Give a page of batches in the same way."""
    shown = [shape(batch) for batch in found["data"]]
    ids = [batch["id"] for batch in shown] or [None]
    return {**found, "object": "list", "data": shown, "first_id": ids[0], "last_id": ids[-1]}


def file_id(batch_id: str, side: Side) -> str:
    """Give the id of the file of what succeeded ("output") or did not ("errors")."""
    return f"{side}_{batch_id.removeprefix('batch_')}"


@dataclass(frozen=True)
class Given:
    """What a batch gave, as a file that is written when it is read."""

    here: Context
    owner: str
    batch_id: str
    side: Side
    created_at: int
    base_url: str

    @property
    def name(self) -> str:
        """The name of the file."""
        return f"{self.batch_id}_{self.side}.jsonl"

    def lines(self) -> Iterator[bytes]:
        """Give the lines that there are: in `output` one for each that succeeded, in `errors` for each other."""
        inputs = batches.read_input(self.here.database, self.owner, self.batch_id, self.here.blobs.open)
        for row in batches.results(self.here.database, self.owner, self.batch_id):
            raw = next(raw for number, raw in inputs if number == row["line"])
            side = SIDES.get(row["status"])
            if side == self.side:
                said = self._line(row, _parsed(raw))
                yield json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def _line(self, row: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        named = asked.get("custom_id", asked.get("id"))
        said = {"id": row["run"] or f"{self.batch_id}_{row['line']}", "custom_id": named, "line": row["line"]}
        if self.side == "errors":
            error = row["error"] or {"code": row["status"], "message": f"the run was {row['status']}"}
            return {**said, "response": None, "error": {"code": error.get("code"), "message": error.get("message")}}
        response = {"status_code": 200, "request_id": row["run"], "body": self._body(row, asked)}
        return {**said, "response": response, "error": None}

    def _body(self, row: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked.get("url") == IMAGES:
            form: pictures.Form = "url" if asked["body"].get("response_format") == "url" else "b64_json"
            made = pictures.shown(
                self.here,
                self.owner,
                row["run"],
                row["assets"],
                created=self.created_at,
                form=form,
                base_url=self.base_url,
            )
            return made.model_dump()
        links = self._links(row["assets"])
        if asked.get("url") == CHAT:
            return _completion(row, links, self.created_at)
        return {"run_id": row["run"], "reply": row["reply"], "assets": links}

    def _links(self, ids: list[str]) -> list[dict[str, Any]]:
        with self.here.database.read() as connection:
            found = assets.get_many(connection, self.owner, ids)
        base = self.base_url.rstrip("/")
        return [
            {"id": one.id, "kind": one.kind, "caption": one.caption, "url": f"{base}/v1/assets/{one.id}/content"}
            for one in found
        ]


SIDES: dict[str, Side] = {"completed": "output", "failed": "errors", "cancelled": "errors", "bad_line": "errors"}


def given(here: Context, owner: str, file_id: str, base_url: str) -> Given | None:
    """Give what a batch gave if an id names that; None if it is the id of an uploaded file.

    Raises:
        NotFound: it names a batch that the owner does not have, or that was not made of a file.
    """
    match = FILE.fullmatch(file_id)
    if match is None:
        return None
    side: Side = "output" if match[1] == "output" else "errors"
    batch_id = f"batch_{match[2]}"
    with here.database.read() as connection:
        if batches.owner_of(connection, batch_id) == owner:
            batch = batches.get(connection, owner, batch_id)
            if batch["input_file_id"] is not None:
                return Given(here, owner, batch_id, side, int(batch["created_at"]), base_url)
    raise NotFound(f"there is no file {file_id!r}")


def _parsed(raw: bytes) -> Mapping[str, Any]:
    """Give a line of the input, empty where it is no object."""
    with suppress(ValueError, RecursionError):
        said = json.loads(raw)
        if isinstance(said, dict):
            return said
    return {}


def _completion(row: Mapping[str, Any], links: list[dict[str, Any]], created: int) -> dict[str, Any]:
    words = "\n".join([row["reply"] or "", *(f"![{one['caption']}]({one['url']})" for one in links)]).strip()
    return {
        "id": f"chatcmpl-{row['run']}",
        "object": "chat.completion",
        "created": created,
        "model": STUDIO,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}],
        "assets": links,
    }
