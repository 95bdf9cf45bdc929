"""Finds what documents say, as one text of numbered passages with their sources."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tools.base import Job, Made, Passage, Results, Source, ToolError
from tools.consult.spec import Consult
from tools.recipes import args_of
from tools.words import first_words

BETWEEN = " › "


def run(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Look up each job's question; an answer without results means that the documents say nothing."""
    return [_run(job) for job in jobs]


def _run(job: Job) -> Results | ToolError:
    args: Consult = job.args
    try:
        job.workshop.progress(0.0)
        found = job.workshop.consult(args.question, solution=args.solution, limit=args.limit)
    except ToolError as error:
        return error
    return [_made(args, found)] if found else []


def _made(args: Consult, found: Sequence[Passage]) -> Made:
    solutions = list(dict.fromkeys(passage.source.solution for passage in found))
    text = "\n\n".join(_numbered(number, passage) for number, passage in enumerate(found, 1))
    return Made(
        kind="text",
        media_type="text/markdown",
        content=f"{text}\n".encode(),
        caption=f"What the documents of {' and '.join(solutions)} say about {first_words(args.question)}",
        args=args_of(args),
        tags=("consult", *solutions),
        sources=tuple(dict.fromkeys(passage.source for passage in found)),
    )


def _numbered(number: int, passage: Passage) -> str:
    """Give a passage under its number and source; no line of it can look like the next one's head."""
    text = re.sub(r"^(?=\[\d+\] )", " ", passage.text, flags=re.MULTILINE)
    return f"[{number}] {said(passage.source)}\n{text}"


def said(source: Source) -> str:
    """Give a source on one line: "brand.md › Tone of voice"."""
    names = (source.document, source.place)
    return BETWEEN.join(re.sub(r"\s+", " ", name) for name in names if name)
