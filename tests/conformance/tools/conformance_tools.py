"""Tools without nets, as a package would bring them: one draws, one is slow, one fails until it is allowed to work."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from pydantic import Field

from tools.base import AnyRef, Job, Made, ToolArgs, ToolError, ToolFailed, ToolSpec

SLOW_S = 60
TICK_S = 0.02


class DotsArgs(ToolArgs):
    """What the picture shows, and what it is made from."""

    what: str = "dots"
    seed: int | None = None
    about: tuple[AnyRef, ...] = ()


class WaitArgs(ToolArgs):
    """What it waits for."""

    until: str = Field("", description="a file; without one it takes a minute")


def dots(jobs: Sequence[Job]) -> list[list[Made] | ToolError]:
    """Draw coloured dots from the seed."""
    return [[_drawn(job)] for job in jobs]


def _drawn(job: Job) -> Made:
    parents = job.workshop.inputs(job.args.about) if job.args.about else []
    drawn = random.Random(f"{job.args.what} {job.args.seed}")
    image = Image.new("RGB", (16, 16))
    image.putdata([tuple(drawn.randbytes(3)) for _ in range(256)])
    content = io.BytesIO()
    image.save(content, "PNG")
    args = job.args.model_dump(exclude={"about"}) | {"about": [f"sha256:{parent.sha256}" for parent in parents]}
    return Made(
        "image",
        "image/png",
        content.getvalue(),
        f"a picture of {job.args.what}",
        args,
        seed=job.args.seed,
        parents=tuple(parent.asset_id for parent in parents),
        width=16,
        height=16,
    )


def wait(jobs: Sequence[Job]) -> list[list[Made] | ToolError]:
    """Take a minute that can be cancelled; or fail as long as a file is not there."""
    return [_waited(job) for job in jobs]


def _waited(job: Job) -> list[Made] | ToolError:
    if job.args.until:
        if not Path(job.args.until).exists():
            return ToolFailed(f"{job.args.until} is not there")
    else:
        for tick in range(int(SLOW_S / TICK_S)):
            job.workshop.progress(tick * TICK_S / SLOW_S)
            time.sleep(TICK_S)
    return [Made("text", "text/plain", b"It is there.", "it is there", job.args.model_dump())]


RUNNER = "conformance_tools"
DOTS = ToolSpec(
    "dots",
    "Draws coloured dots.",
    DotsArgs,
    gives="image",
    queue="image",
    runner=f"{RUNNER}:dots",
    draws=True,
    batch=4,
    batch_key=lambda _: "dots",
)
WAIT = ToolSpec("wait", "Waits.", WaitArgs, gives="text", queue="image", runner=f"{RUNNER}:wait")
