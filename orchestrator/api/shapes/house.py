"""What a studio has and who may use it, as clients see it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from orchestrator.api.shapes.base import CreatedAt, Shown, Trouble


class Health(Shown):
    """That a process answers."""

    ok: bool = Field(description="true")
    version: str = Field(description="the release that answers")


class PartState(Shown):
    """Whether a part is there."""

    ok: bool = Field(description="whether the studio can work as far as this part goes")
    detail: str = Field(description="what is missing, or what to know, in words")


class Readiness(Shown):
    """Whether a studio can work."""

    ok: bool = Field(description="whether every part that is needed is there")
    parts: dict[str, PartState] = Field(description="each part by its name")


class IndexState(Shown):
    """Whether the search index can be trusted."""

    ok: bool = Field(description="whether it agrees with SQL; search is right either way, and slower without it")
    detail: str = Field(description="what is wrong with it, or that nothing is")


class Rebuilt(Shown):
    """What a rebuilt index holds."""

    vectors: int = Field(description="how many vectors it was filled with")


class KeyShape(Shown):
    """A key without its secret."""

    id: str = Field(description="`key_…`; ids sort by time")
    name: str = Field(description="for people")
    owner: str = Field(description="whose things it opens")
    scopes: list[str] = Field(description="what it is enough for: `read`, `make`, `admin`")
    limits: dict[str, int] = Field(description="how much may be asked with it, by name; empty: any amount")
    hint: str = Field(description="how the secret ends, to tell keys apart")
    created_at: CreatedAt
    expires_at: float | None = Field(description="seconds since 1970; null: never")
    used_at: float | None = Field(description="when it was last used, to about a minute; null: never")
    revoked_at: float | None = Field(description="when it was taken out of use; null while it is in use")


class KeyMade(KeyShape):
    """A new key, with its secret, which is shown this once."""

    key: str = Field(description="the secret: send it as `Authorization: Bearer …`; it is shown here and never again")


class ExampleShape(Shown):
    """A request that a tool answers."""

    say: str = Field(description="the request in words")
    args: dict[str, Any] = Field(description="the arguments that answer it")


class ToolShape(Shown):
    """Something that a plan can call."""

    id: str = Field(description="how plans call it")
    description: str = Field(description="what it does, in a sentence")
    args: dict[str, Any] = Field(description="JSON Schema of its arguments, with units and limits")
    gives: str | None = Field(description="the kind of asset that it makes; null where it finds any kind")
    exact: bool = Field(description="the same recipe makes the same bytes again")
    sends: bool = Field(description="it sends, changes or deletes something outside of the studio")
    batch: int = Field(description="the most jobs that one forward pass of it takes")
    version: int = Field(description="raised when the same arguments no longer make the same bytes")
    examples: list[ExampleShape] = Field(description="requests that it answers")


class ModelShape(Shown):
    """A network, in OpenAI's shape with fields of our own."""

    id: str = Field(description="its name")
    object: Literal["model"] = Field(description="always `model`")
    created: int = Field(description="when its weights were written, seconds since 1970; 0 where they are not here")
    owned_by: str = Field(description="who serves it")
    kind: str | None = Field(None, description="what it is for: `image`, `embedding`, `language`, …")
    size_bytes: int | None = Field(None, description="of its weights; null where they are not here")
    weights: str | None = Field(None, description="sha256 of its weights, in hex")
    licence: str | None = Field(None, description="of its weights")
    fault: str | None = Field(None, description="why it cannot be used, and what to do; null where it can")


class ModelsPage(Shown):
    """The networks of a studio."""

    object: Literal["list"] = Field(description="always `list`")
    data: list[ModelShape] = Field(description="all of them")
    has_more: bool = Field(description="false: they are all here")
    next: None = Field(description="null: they are all here")


class DocumentShape(Shown):
    """A document that answers rest on."""

    id: str = Field(description="`doc_…`")
    origin: str | None = Field(description="the folder that it lies in, or `upload`; a folder is shown to admins only")
    path: str = Field(description="below its folder, or the name of the upload")
    sha256: str = Field(description="of its bytes, in hex; empty where they could not be read")
    size_bytes: int = Field(description="how many bytes it has")
    modified_at: float = Field(description="when it was last changed, seconds since 1970")
    title: str = Field(description="its title; empty where it has none, or was not read yet")
    error: str | None = Field(description="why it could not be read; null where it could")
    passages: int = Field(description="how many passages it was split into")


class StyleShape(Shown):
    """A look that was learned here."""

    name: str = Field(description="how requests call it")
    created_at: float = Field(description="when it was learned, seconds since 1970")
    weights: str = Field(description="sha256 of its weights, in hex")
    licence: str | None = Field(description="of the pictures that it was learned from; null where none was said")
    run_id: str | None = Field(description="the run that learned it")
    shared: bool = Field(description="whether everyone of this studio may use it")
    card: dict[str, Any] = Field(description="what it was learned from, and how well")


class Device(Shown):
    """What a worker computes on."""

    kind: str = Field(description="`cpu` or `cuda`")


class WorkerShape(Shown):
    """A worker that answers; what one of the release before does not say is null."""

    id: str = Field(description="its name; to admins with its machine")
    queues: list[str] = Field(description="the queues that it takes work from")
    tools: list[str] | None = Field(description="the tools that it runs; null: all of its queues")
    may_load: list[str] | None = Field(description="the networks that it may load; null: all")
    loaded: dict[str, int] = Field(description="the networks that it holds, and how often each was loaded")
    device: Device | None = Field(description="what it computes on")
    slots: int | None = Field(description="how many steps it works on at once")
    busy: int | None = Field(description="how many steps it works on now")
    draining: bool = Field(description="it ends what it has and takes nothing new")
    version: str | None = Field(description="its release")
    started_at: float = Field(description="seconds since 1970")
    seen_at: float = Field(description="when it was last heard of, seconds since 1970")
    host: str | None = Field(None, description="its machine; for admins only")
    pid: int | None = Field(None, description="its process there; for admins only")


class Offered(Shown):
    """A tool that a solution offers."""

    name: str = Field(description="how the solution calls it; plans say SOLUTION.NAME")
    description: str = Field(description="the solution's own words")
    sends: bool = Field(description="it may send, change or delete something outside of the studio")
    parameters: dict[str, Any] | None = Field(None, description="JSON Schema of its arguments")
    examples: list[dict[str, Any]] | None = Field(None, description="requests that it answers, with their arguments")


class LastTrouble(Trouble):
    """What went wrong last."""

    at: float | None = Field(None, description="when, seconds since 1970")


class SolutionShape(Shown):
    """Something that a company plugged in, or an installed package that brings tools."""

    id: str = Field(description="its name")
    kind: str = Field(description="`mcp`, `openapi`, `knowledge`, `style`, or `package`")
    description: str = Field(description="what it is for")
    owner: str | None = Field(description="whose it is; null: everyone's")
    source: str = Field(description="where it was declared: `file`, `api` or `package`")
    state: str = Field(description="`new`, `approved`, `changed` or `failing`; plans can use the second and the last")
    error: LastTrouble | None = Field(description="what went wrong last; null where nothing did")
    offered: list[Offered] | None = Field(description="what it offers now; null before it was looked at")
    approved: list[Offered] | None = Field(description="what plans can use; null where nothing was approved")
    limits: dict[str, Any] | None = Field(None, description="seconds and bytes of a call, and calls a minute")
    declaration: dict[str, Any] | None = Field(None, description="how it is reached; for admins only")
    offered_digest: str | None = Field(None, description="what an approval names: sha256 of what is offered, in hex")
    created_at: float | None = Field(None, description="when it was declared, seconds since 1970")
    checked_at: float | None = Field(None, description="when it was last looked at, seconds since 1970")
    version: str | None = Field(None, description="the release of a package")
    check: str | None = Field(None, description="id of the run that looks at it now, where it was just declared")


class CallShape(Shown):
    """Something that was asked of a solution."""

    id: int = Field(description="counts up")
    solution: str = Field(description="its name")
    tool: str = Field(description="which of its tools")
    owner: str = Field(description="who asked")
    run_id: str | None = Field(description="the run that asked")
    step_id: str | None = Field(description="the step that asked")
    started_at: float = Field(description="seconds since 1970")
    ended_at: float | None = Field(description="seconds since 1970; null while it is waited for")
    size_bytes: int | None = Field(description="how large the answer was")
    error: str | None = Field(description="why it failed; null where it did not")
