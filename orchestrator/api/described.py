"""The description of the API: what each operation is called, what it is for, and what it answers."""

from __future__ import annotations

import re
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from orchestrator.api.examples import EXAMPLES

ABOUT = """A self-hosted studio of generative models that you talk to.

What takes long answers 202 with an id at once; follow it at `GET /v1/runs/{run_id}/events`. A list is
`{data, has_more, next}`: give `next` as `before` for the page behind it. Every error is
`{"error": {"code", "message", "type", "param"}}`. Times are seconds since 1970. What is not there, and what belongs to
somebody else, is 404. A studio without keys listens on one machine and needs none; otherwise send
`Authorization: Bearer …`."""

TAGS = {
    "threads": "Conversations: messages, and the runs that they start.",
    "runs": "Requests and plans that are carried out: how far they are, and what came of them.",
    "plans": "Plans that are made and not carried out.",
    "assets": "The library: what was made or uploaded, its bytes, and where it came from.",
    "collections": "Assets that belong together, in an order of your own.",
    "search": "Finding assets by words, and by likeness.",
    "tools": "What a plan can call.",
    "models": "The networks of this studio.",
    "batches": "Many requests in one file.",
    "files": "Files that batches read and write.",
    "queue": "What runs now, for whom, and when it is expected to end.",
    "openai": "Chat and responses in OpenAI's shapes, for clients that speak them.",
    "images": "Pictures in OpenAI's shapes.",
    "audio": "Speech in OpenAI's shapes.",
    "embeddings": "Vectors of words, in OpenAI's shapes.",
    "webhooks": "Addresses that are told what happens, and what was delivered to them.",
    "usage": "What was made with which key, and what is left of its quota.",
    "keys": "Who may ask, as whom, and for what.",
    "solutions": "What a company plugged in: its services and documents.",
    "styles": "Looks that were learned here.",
    "index": "The search index, which can be built again at any time.",
    "workers": "The processes that do the work.",
    "health": "Whether the process lives, and whether the studio can work.",
}
PARAMETERS = {  # of paths
    "run_id": "id of a run, `run_…`",
    "thread_id": "id of a conversation, `thread_…`",
    "asset_id": "id of an asset, `asset_…`",
    "batch_id": "id of a batch, `batch_…`",
    "file_id": "id of a file, `file_…`",
    "collection_id": "id of a collection",
    "webhook_id": "id of a webhook",
    "delivery_id": "id of a delivery",
    "key_id": "id of a key, `key_…`",
    "document_id": "id of a document, `doc_…`",
    "model_id": "id of a model",
    "response_id": "id of a response",
    "step": "name of a step in its plan, `s1`",
    "name": "its name",
}
VERBS = {"GET": "get", "PUT": "replace", "PATCH": "change", "DELETE": "delete", "HEAD": "head"}
SINGULAR = {"batches": "batch", "queries": "query", "deliveries": "delivery"}
SAME = {"status", "results", "content", "events", "usage", "lineage", "metrics"}  # no plural of a thing that one makes


def operation_id(route: APIRoute) -> str:
    """Name an operation by what it does to what: `list_runs`, `get_run`, `cancel_run`, `list_run_events`."""
    method = min(route.methods or {"GET"})
    words = [part for part in route.path_format.strip("/").split("/") if part != "v1"]
    names = [_plain(word) for word in words if not word.startswith("{")]
    *around, last = names or ["page"]
    owners = [_singular(name) for name in around]
    if words and words[-1].startswith("{"):
        return "_".join([VERBS.get(method, "post"), *owners, _singular(last)])
    if method == "GET" and last.endswith("s") and last not in SAME:
        return "_".join(["list", *owners, last])
    if method != "POST":
        return "_".join([VERBS[method], *owners, last])
    is_verb = len(words) > 1 and words[-2].startswith("{") and not last.endswith("s")
    return "_".join([last, *owners]) if is_verb else "_".join(["create", *owners, _singular(last)])


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_")


def _singular(name: str) -> str:
    return SINGULAR.get(name, name if name in SAME else name.removesuffix("s"))


class ErrorBody(BaseModel):
    """What went wrong, for programs and for people."""

    code: str = Field(description="a stable word for programs")
    message: str = Field(description="what happened, and what to do")
    type: Literal["invalid_request_error", "server_error"] = Field(description="whose fault it is")
    param: str | None = Field(description="the argument, header or field at fault, if there is one")


class ErrorAnswer(BaseModel):
    """The body of every answer that is no success."""

    error: ErrorBody = Field(description="what went wrong")


class Described(FastAPI):
    """An application whose description is complete."""

    def openapi(self) -> dict[str, Any]:
        """Give the description, made once."""
        if self.openapi_schema is None:
            _complete(super().openapi())
        assert self.openapi_schema is not None  # noqa: S101  # it was just made
        return self.openapi_schema


def _complete(said: dict[str, Any]) -> None:
    schema = ErrorAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = said.setdefault("components", {}).setdefault("schemas", {})
    schemas |= schema.pop("$defs") | {"ErrorAnswer": schema}
    operations = [one for path in said["paths"].values() for one in path.values()]
    used = {tag for one in operations for tag in one.get("tags", ())}
    said["tags"] = [{"name": name, "description": TAGS[name]} for name in TAGS if name in used]
    for one in operations:
        for parameter in one.get("parameters", ()):
            if parameter["in"] == "path" and "description" not in parameter:
                parameter["description"] = PARAMETERS.get(parameter["name"], "")
        if one["operationId"] in EXAMPLES:
            shown = {name: {"value": body} for name, body in EXAMPLES[one["operationId"]].items()}
            one["requestBody"]["content"]["application/json"]["examples"] = shown
        first = re.split(r"[.;:]( |$)", one.get("description", ""), maxsplit=1)[0]
        one["summary"] = first or one.get("summary", "")


def bytes_of(description: str, *media_types: str) -> dict[str, Any]:
    """Describe an answer that is bytes of some type."""
    schema = {"type": "string", "contentMediaType": "application/octet-stream", "description": "the bytes"}
    return {"description": description, "content": {name: {"schema": schema} for name in media_types}}


def file_body(description: str, *media_types: str) -> dict[str, Any]:
    """Describe a body that is a file itself, or a form with the field `file`."""
    binary = {"type": "string", "format": "binary", "description": description}
    form = {"type": "object", "required": ["file"], "properties": {"file": binary}, "description": "a form"}
    content = {name: {"schema": binary} for name in media_types} | {"multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


EVENT = {
    "type": "object",
    "description": "one event; a comment line comes every 15 s where there is none",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "description": "its `sequence_number`, from 1; send it as `Last-Event-ID`"},
        "event": {"type": "string", "description": "its type, as in `step.completed`"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "`type`, `run_id`, `sequence_number`, `created_at`, and what belongs to the type",
        },
    },
}
DATA = {
    "type": "object",
    "description": "one event, as OpenAI streams it",
    "required": ["data"],
    "properties": {"data": {"type": "string", "description": "JSON, or `[DONE]` behind the last one"}},
}
STREAM: dict[str, Any] = {
    "description": "The answer; with `stream`, server-sent events.",
    "content": {"text/event-stream": {"schema": DATA}},
}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": EVENT}}}
}
