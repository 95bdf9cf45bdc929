"""Batches, as clients see them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from orchestrator.api.shapes.base import EndedAt, Page, Shown, Trouble

Standing = Literal[
    "pending",
    "planning",
    "waiting_approval",
    "in_progress",
    "cancelling",
    "completed",
    "failed",
    "cancelled",
    "bad_line",
]


class BatchRow(Shown):
    """A line of a batch that was begun."""

    line: int = Field(description="its number in the file, from 1")
    status: Standing = Field(description="of its run; `bad_line`: it could not be read, and nothing was run")
    run: str | None = Field(description="its run, `run_…`; null for a line that could not be read")
    assets: list[str] = Field(description="ids of what it made")
    reply: str | None = Field(description="what was answered in words")
    error: Trouble | None = Field(description="why it failed; null where it did not")
    say: str | None = Field(description="what it asked for in words; null where it called a tool")
    tool: str | None = Field(description="the tool that it called; null where it was words, or could not be read")
    args: dict[str, Any] | None = Field(description="the arguments of that call")
    started_at: float | None = Field(description="when its run was begun, seconds since 1970; null before")
    ended_at: EndedAt


class BatchRows(Page[BatchRow]):
    """A part of the lines of a batch."""

    next: int | None = Field(description="give it as `after` for the page behind this one; null on the last")


class RequestCounts(Shown):
    """How many lines came to what, as OpenAI counts them."""

    total: int = Field(description="lines that were read")
    completed: int = Field(description="lines that were answered")
    failed: int = Field(description="lines that failed, were cancelled, or could not be read")


class BatchShape(Shown):
    """A batch, with OpenAI's fields beside ours."""

    id: str = Field(description="`batch_…`; ids sort by time")
    object: Literal["batch"] = Field(description="always `batch`")
    status: Literal["in_progress", "cancelling", "completed", "cancelled"] = Field(description="how far it is")
    lines: int = Field(description="how many lines were read")
    exhausted: bool = Field(description="whether the whole file was read")
    counts: dict[str, int] = Field(description="lines by the status of their runs, and `bad_line`")
    request_counts: RequestCounts = Field(description="the same as OpenAI counts them")
    input_file_id: str | None = Field(description="the file that it was given; null where the lines came with it")
    endpoint: str | None = Field(description="what its lines ask for; null where they are ours")
    completion_window: str = Field(description="always `24h`; it is done as soon as it can be")
    metadata: dict[str, Any] | None = Field(description="what the client noted on it")
    output_file_id: str | None = Field(description="the answers, once it has ended; null where it came without a file")
    error_file_id: str | None = Field(description="the lines that failed, once it has ended; null where none did")
    errors: None = Field(description="null: a line that cannot be read is in the file of errors")
    created_at: int | float = Field(description="when it was accepted, seconds since 1970")
    in_progress_at: int | None = Field(description="when it was begun, seconds since 1970")
    completed_at: int | None = Field(description="when all of it was done, seconds since 1970; null before")
    cancelled_at: int | None = Field(description="when it was stopped, seconds since 1970; null where it was not")
    ended_at: EndedAt


class BatchPage(Page[BatchShape]):
    """A part of the batches."""

    object: Literal["list"] = Field(description="always `list`")
    first_id: str | None = Field(description="id of the first of them; null where there is none")
    last_id: str | None = Field(description="id of the last of them; null where there is none")
