"""Finds assets of the library."""

from __future__ import annotations

from collections.abc import Sequence

from tools.base import Found, Job, Results, ToolError
from tools.search_assets.spec import SearchAssets


def run(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Give each job what it looks for, best first."""
    return [_run(job) for job in jobs]


def _run(job: Job) -> Results | ToolError:
    args: SearchAssets = job.args
    try:
        job.workshop.progress(0.0)
        found: list[Found] = job.workshop.search(
            query=args.query, like=args.like, kind=args.kind, tags=args.tags, limit=args.limit
        )
    except ToolError as error:
        return error
    return found
