"""Draws the pictures of several jobs in shared calls; a job that ends early does not hurt the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from tools import pictures
from tools.base import Job, Made, Results, ToolError

CHUNK = 16  # pictures a call; each model pads to the shapes that it runs


class Wanted(Protocol):
    """One picture that a job asks for."""

    @property
    def job(self) -> int:
        """Place of the job in the batch."""


@dataclass(frozen=True)
class Drawn:
    """A picture, (H, W, 3) uint8, and the latents that it was decoded from."""

    pixels: np.ndarray
    latents: np.ndarray


W = TypeVar("W", bound=Wanted)


def draw(
    jobs: Sequence[Job],
    wanted: Sequence[W],
    latents: Callable[[Sequence[W]], np.ndarray],
    decoder: Any,
    size: int,
    finish: Callable[[W, Drawn], Made],
    ended: dict[int, ToolError] | None = None,
) -> list[Results | ToolError]:
    """Give each job what it asked for, or the error that it ended with.

    Args:
        latents: gives the latents of some wanted pictures, (N, …) float32.
        decoder: the VAE: `decode(latents, size)` gives (N, size, size, 3) uint8.
        finish: makes the result of one picture.
        ended: jobs that ended before.
    """
    errors = dict(ended or {})
    made: list[list[Made]] = [[] for _ in jobs]
    for start in range(0, len(wanted), CHUNK):
        some = [one for one in wanted[start : start + CHUNK] if one.job not in errors]
        if not some:
            continue
        drawn = latents(some)
        pixels = decoder.decode(drawn, size)
        for one, latent, picture in zip(some, drawn, pixels, strict=True):
            small = pictures.thumbnail(picture)
            made[one.job].append(replace(finish(one, Drawn(picture, latent)), thumbnail=small))
        for number in dict.fromkeys(one.job for one in some):
            try:
                job, things = jobs[number], made[number]
                job.workshop.progress(len(things) / job.args.count, things[-1].thumbnail)
            except ToolError as error:
                errors[number] = error
    return [errors.get(number, things) for number, things in enumerate(made)]
