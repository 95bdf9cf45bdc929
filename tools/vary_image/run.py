"""Makes other versions of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools import drawing, pictures
from tools.base import Input, InvalidInput, Job, Made, Results, ToolError, child_seed
from tools.drawing import Drawn
from tools.inputs import latents_of
from tools.recipes import args_of, by_content, recipe
from tools.vary_image.spec import SPEC, VaryImage
from tools.words import tags

SIZE = 256


@dataclass(frozen=True)
class Wanted:
    """One version that a job asks for."""

    job: int
    args: VaryImage
    seed: int
    given: Input
    latents: np.ndarray
    vector: np.ndarray | None


def run(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Make the versions of all jobs together; version i of a job has the seed that makes it alone."""
    net, decoder = jobs[0].workshop.model("cgan"), jobs[0].workshop.model("vae")
    ended: dict[int, ToolError] = {}
    wanted: list[Wanted] = []
    for number, job in enumerate(jobs):
        try:
            wanted += _wanted(number, job, decoder)
        except ToolError as error:
            ended[number] = error

    def latents(some: Sequence[Wanted]) -> np.ndarray:
        return np.stack([net.vary(one.latents, one.vector, one.args.strength, one.seed) for one in some])

    return drawing.draw(jobs, wanted, latents, decoder, SIZE, _made, ended)


def _wanted(number: int, job: Job, encoder: object) -> list[Wanted]:
    args: VaryImage = job.args
    (given,) = job.workshop.inputs(args.image)
    if given.kind != "image":
        raise InvalidInput(f"image: asset {given.asset_id!r} has the kind {given.kind}, not image")
    latents = latents_of(given, encoder)
    vector = None if args.prompt is None else job.workshop.embed([args.prompt])[0]
    return [Wanted(number, args, child_seed(args.seed or 0, i), given, latents, vector) for i in range(args.count)]


def _made(wanted: Wanted, drawn: Drawn) -> Made:
    caption = wanted.args.prompt or wanted.given.caption
    args = args_of(wanted.args, image=by_content(wanted.given), count=1, seed=wanted.seed)
    return Made(
        kind="image",
        media_type="image/png",
        content=pictures.encode(drawn.pixels, recipe(SPEC, args)),
        caption=caption,
        args=args,
        seed=wanted.seed,
        tags=tags(caption, "variation"),
        parents=(wanted.given.asset_id,),
        width=SIZE,
        height=SIZE,
        models=SPEC.models(wanted.args),
        latents=drawn.latents,
    )
