"""Lets the language model write."""

from __future__ import annotations

from collections.abc import Sequence

from tools.base import Input, Job, Made, Results, ToolError, ToolFailed
from tools.recipes import args_of, by_content
from tools.words import first_words, tags
from tools.write_text.spec import WriteText

SEED = 0  # nothing is drawn for the user; the model's own chance stays the same
ABOUT_CHARACTERS = 2000  # of a text that another is written about
GROUND_CHARACTERS = 6000  # of passages that another is grounded on


def run(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Write one text for each job."""
    return [_run(job) for job in jobs]


def _run(job: Job) -> Results | ToolError:
    args: WriteText = job.args
    try:
        given = job.workshop.inputs(args.about)
        job.workshop.progress(0.0)
        about = [_as_words(one) for one in given]
        text = job.workshop.write(args.prompt, about=about, max_words=args.max_words, seed=SEED).strip()
        if not text:
            raise ToolFailed("the language model wrote nothing; say more exactly what to write")
        job.workshop.progress(1.0)
    except ToolError as error:
        return error
    return [_made(args, given, text)]


def _as_words(given: Input) -> str:
    """Say what an asset is: its caption, or the text itself."""
    if given.kind == "text":
        most = GROUND_CHARACTERS if given.sources else ABOUT_CHARACTERS
        return given.content.decode("utf-8", errors="replace")[:most]
    return given.caption


def _made(args: WriteText, given: Sequence[Input], text: str) -> Made:
    return Made(
        kind="text",
        media_type="text/markdown",
        content=f"{text}\n".encode(),
        caption=first_words(text),
        args=args_of(args, about=[by_content(one) for one in given]),
        tags=tags(args.prompt),
        parents=tuple(one.asset_id for one in given),
        sources=tuple(dict.fromkeys(source for one in given for source in one.sources)),
    )
