"""Draws pictures from words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tools import drawing, pictures
from tools.base import Job, Made, Results, ToolError, child_seed
from tools.drawing import Drawn
from tools.generate_image.spec import FAMILY, SPEC, GenerateImage, trained
from tools.recipes import NONE, args_of, recipe
from tools.words import tags


@dataclass(frozen=True)
class Wanted:
    """One picture of one job."""

    job: int
    args: GenerateImage
    seed: int
    vector: np.ndarray


def run(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Draw the pictures of all jobs together; picture i of a job has the seed that draws it alone.

    Jobs in a style that was trained here are drawn job by job: two owners may call two styles by one name.
    """
    if trained(jobs[0].args) is not None:
        return [_in_trained_style(job) for job in jobs]
    first = jobs[0]
    family = FAMILY[first.args.model]
    net, decoder = first.workshop.model(family), first.workshop.model("vae")

    def latents(some: Sequence[Wanted]) -> np.ndarray:
        made: np.ndarray = net.sample(*_asked(some))
        return made

    return drawing.draw(jobs, _wanted(jobs), latents, decoder, first.args.size, _made)


def _in_trained_style(job: Job) -> Results | ToolError:
    net, vae = job.workshop.model(FAMILY[job.args.model]), job.workshop.model("vae")
    name = str(trained(job.args))
    style = job.workshop.model(name)

    def latents(some: Sequence[Wanted]) -> np.ndarray:
        vectors, _, seeds = _asked(some)
        made: np.ndarray = style.sample(net, vae, vectors, seeds)
        return made

    def finish(one: Wanted, drawn: Drawn) -> Made:
        # Its latents are for the style's own decoder; other tools take the picture by its pixels.
        return replace(_made(one, drawn, {name: style.sha256}), latents=None)

    return drawing.draw([job], _wanted([job]), latents, style.decoder(vae), job.args.size, finish)[0]


def _wanted(jobs: Sequence[Job]) -> list[Wanted]:
    vectors = jobs[0].workshop.embed([job.args.prompt for job in jobs])
    return [
        Wanted(number, job.args, child_seed(job.args.seed, i), vectors[number])
        for number, job in enumerate(jobs)
        for i in range(job.args.count)
    ]


def _asked(some: Sequence[Wanted]) -> tuple[np.ndarray, list[str | None], list[int]]:
    return np.stack([one.vector for one in some]), [one.args.style for one in some], [one.seed for one in some]


def _made(wanted: Wanted, drawn: Drawn, weights: Mapping[str, str] = NONE) -> Made:
    family = FAMILY[wanted.args.model]
    args = args_of(wanted.args, model=family, count=1, seed=wanted.seed)
    return Made(
        kind="image",
        media_type="image/png",
        content=pictures.encode(drawn.pixels, recipe(SPEC, args, weights)),
        caption=wanted.args.prompt,
        args=args,
        seed=wanted.seed,
        tags=tags(wanted.args.prompt, wanted.args.style, family),
        width=wanted.args.size,
        height=wanted.args.size,
        models=SPEC.models(wanted.args),
        latents=drawn.latents,
    )
