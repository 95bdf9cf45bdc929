"""Draws pictures from words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools import drawing, pictures
from tools.base import Job, Made, Results, ToolError, child_seed
from tools.drawing import Drawn
from tools.generate_image.spec import FAMILY, SPEC, GenerateImage
from tools.recipes import args_of, recipe
from tools.words import tags


@dataclass(frozen=True)
class Wanted:
    """One picture of one job."""

    job: int
    args: GenerateImage
    seed: int
    vector: np.ndarray


def run(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Draw the pictures of all jobs together; picture i of a job has the seed that draws it alone."""
    first = jobs[0]
    family = FAMILY[first.args.model]
    net, decoder = first.workshop.model(family), first.workshop.model("vae")
    vectors = first.workshop.embed([job.args.prompt for job in jobs])
    wanted = [
        Wanted(number, job.args, child_seed(job.args.seed, i), vectors[number])
        for number, job in enumerate(jobs)
        for i in range(job.args.count)
    ]

    def latents(some: Sequence[Wanted]) -> np.ndarray:
        made: np.ndarray = net.sample(
            np.stack([one.vector for one in some]), [one.args.style for one in some], [one.seed for one in some]
        )
        return made

    return drawing.draw(jobs, wanted, latents, decoder, first.args.size, lambda one, drawn: _made(one, drawn, family))


def _made(wanted: Wanted, drawn: Drawn, family: str) -> Made:
    args = args_of(wanted.args, model=family, count=1, seed=wanted.seed)
    return Made(
        kind="image",
        media_type="image/png",
        content=pictures.encode(drawn.pixels, recipe(SPEC, args)),
        caption=wanted.args.prompt,
        args=args,
        seed=wanted.seed,
        tags=tags(wanted.args.prompt, wanted.args.style, family),
        width=wanted.args.size,
        height=wanted.args.size,
        models=SPEC.models(wanted.args),
        latents=drawn.latents,
    )
