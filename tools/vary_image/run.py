"""Makes other versions of a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tools import drawing, pictures
from tools.base import Input, InvalidInput, Job, Made, Results, ToolError, child_seed
from tools.drawing import Drawn
from tools.inputs import encoded, latents_of
from tools.recipes import NONE, args_of, by_content, recipe
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
    """Make the versions of all jobs together; version i of a job has the seed that makes it alone.

    A picture in a look that was trained here keeps it, and is varied on its own.
    """
    net, decoder = jobs[0].workshop.model("cgan"), jobs[0].workshop.model("vae")
    ended: dict[int, ToolError] = {}
    wanted: list[Wanted] = []
    styled: dict[int, list[Wanted]] = {}
    for number, job in enumerate(jobs):
        try:
            asked = _wanted(number, job, decoder)
        except ToolError as error:
            ended[number] = error
        else:
            if asked[0].given.style is None:
                wanted += asked
            else:
                styled[number] = [replace(one, job=0) for one in asked]

    def latents(some: Sequence[Wanted]) -> np.ndarray:
        return np.stack([net.vary(one.latents, one.vector, one.args.strength, one.seed) for one in some])

    done = drawing.draw(jobs, wanted, latents, decoder, SIZE, _made, ended)
    for number, asked in styled.items():
        done[number] = _in_its_look(jobs[number], asked, net, decoder)
    return done


def _in_its_look(job: Job, wanted: Sequence[Wanted], net: Any, vae: Any) -> Results | ToolError:
    given, args = wanted[0].given, wanted[0].args
    name = str(given.style)
    style = job.workshop.model(name)
    words = job.workshop.embed([args.prompt or given.caption])[0]
    latent = encoded(given, vae)

    def latents(some: Sequence[Wanted]) -> np.ndarray:
        anew = args.prompt is not None
        return np.stack([style.vary(net, vae, latent, words, args.strength, one.seed, anew=anew) for one in some])

    def finish(one: Wanted, drawn: Drawn) -> Made:
        return replace(_made(one, drawn, {name: style.sha256}), latents=None)

    return drawing.draw([job], wanted, latents, style.decoder(vae), SIZE, finish)[0]


def _wanted(number: int, job: Job, encoder: object) -> list[Wanted]:
    args: VaryImage = job.args
    (given,) = job.workshop.inputs(args.image)
    if given.kind != "image":
        raise InvalidInput(f"image: asset {given.asset_id!r} has the kind {given.kind}, not image")
    latents = latents_of(given, encoder)
    vector = None if args.prompt is None else job.workshop.embed([args.prompt])[0]
    return [Wanted(number, args, child_seed(args.seed or 0, i), given, latents, vector) for i in range(args.count)]


def _made(wanted: Wanted, drawn: Drawn, weights: Mapping[str, str] = NONE) -> Made:
    caption = wanted.args.prompt or wanted.given.caption
    args = args_of(wanted.args, image=by_content(wanted.given), count=1, seed=wanted.seed)
    return Made(
        kind="image",
        media_type="image/png",
        content=pictures.encode(drawn.pixels, recipe(SPEC, args, weights)),
        caption=caption,
        args=args,
        seed=wanted.seed,
        tags=tags(caption, "variation"),
        parents=(wanted.given.asset_id,),
        width=SIZE,
        height=SIZE,
        models=(*SPEC.models(wanted.args), *weights),
        latents=drawn.latents,
    )
