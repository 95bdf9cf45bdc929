"""Calls a tool of a solution, and makes assets of what comes back."""

from __future__ import annotations

from collections.abc import Sequence

from tools.base import Input, Job, Results, ToolError
from tools.solutions import returned
from tools.solutions.arguments import asset_arguments
from tools.solutions.attached import attach


def run(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Call the tool of each job."""
    return [_run(job) for job in jobs]


def _run(job: Job) -> Results | ToolError:
    opened: list[Input] = []

    def inputs(references: Sequence[str]) -> list[Input]:
        found = job.workshop.inputs(references)
        opened.extend(found)
        return found

    try:
        plain = job.args.model_dump(mode="json", exclude_none=True)
        answer = job.workshop.ask(job.tool, attach(plain, asset_arguments(type(job.args)), inputs))
        job.workshop.progress(1.0)
        parents = tuple(dict.fromkeys(one.asset_id for one in opened))
        solution = job.tool.partition(".")[0]
        return returned.made(answer, tool=job.tool, args=job.args, solution=solution, parents=parents, inputs=opened)
    except ToolError as error:
        return error
