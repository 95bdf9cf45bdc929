"""Makes a video from pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tools import clips, pictures
from tools.base import Input, InvalidInput, Job, Made, Results, ToolError, Workshop
from tools.inputs import latents_of, pixels_of
from tools.make_video import path
from tools.make_video.spec import SPEC, MakeVideo
from tools.make_video.sway import sway
from tools.recipes import args_of, by_content, recipe
from tools.words import tags, unique

SIZE = 256
CHUNK = 16  # frames decoded at a time
FADE_S = 0.5  # cross-fade of a slideshow
CAPTIONS = 6  # named in the video's own caption


def run(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Make one video for each job."""
    return [_run(job) for job in jobs]


def _run(job: Job) -> Results | ToolError:
    args: MakeVideo = job.args
    try:
        job.workshop.progress(0.0)
        images = _opened(job.workshop, args.images, ("image",), "images")
        sounds = _opened(job.workshop, (args.audio,), ("audio", "music"), "audio") if args.audio else []
        return [_made(job.workshop, args, images, sounds)]
    except ToolError as error:
        return error


def _opened(workshop: Workshop, references: Sequence[str], kinds: Sequence[str], name: str) -> list[Input]:
    given = workshop.inputs(references)
    for one in given:
        if one.kind not in kinds:
            raise InvalidInput(f"{name}: asset {one.asset_id!r} has the kind {one.kind}, not {' or '.join(kinds)}")
    return given


def _made(workshop: Workshop, args: MakeVideo, images: Sequence[Input], sounds: Sequence[Input]) -> Made:
    count = max(1, round(args.seconds * args.fps))
    seconds = count / args.fps
    named = args_of(args, images=[by_content(one) for one in images])
    if sounds:
        named["audio"] = by_content(sounds[0])
    sound = _sound(sounds[0], seconds) if sounds else None
    frames = _told(workshop, _frames(workshop, args, images, count), count)
    content = clips.encode(frames, args.fps, SIZE, recipe=recipe(SPEC, named), sound=sound)
    captions = unique(one.caption for one in images)
    return Made(
        kind="video",
        media_type="video/mp4",
        content=content,
        caption=f"{', '.join(captions[:CAPTIONS])} ({args.motion} video)",
        args=named,
        tags=tags(" ".join(captions), args.motion),
        parents=tuple(unique(one.asset_id for one in (*images, *sounds))),
        width=SIZE,
        height=SIZE,
        seconds=seconds,
        models=SPEC.models(args),
    )


def _sound(given: Input, seconds: float) -> np.ndarray:
    samples = round(seconds * clips.RATE_HZ)
    # A little more than is needed, so that a longer sound is known to be one and is faded out.
    return clips.fitted(clips.sound_of(given.content, seconds + clips.FADE_S), samples)


def _frames(workshop: Workshop, args: MakeVideo, images: Sequence[Input], count: int) -> Iterator[np.ndarray]:
    """Give the frames in chunks, each (N, SIZE, SIZE, 3) uint8."""
    if args.motion == "slideshow":
        shown = [pictures.fit(pixels_of(one), SIZE) for one in images]
        return _slides(shown, count, args.fps)
    return _morph(workshop, images, count, closed=args.motion == "loop")


def _morph(workshop: Workshop, images: Sequence[Input], count: int, *, closed: bool) -> Iterator[np.ndarray]:
    vae = workshop.model("vae")
    if len(images) == 1:
        (image,) = images
        pixels = pixels_of(image) if image.latents is None else vae.decode(image.latents[None], SIZE)[0]
        for start in range(0, count, CHUNK):
            yield sway(pictures.fit(pixels, SIZE), count, start, min(count, start + CHUNK))
        return
    points = path.between(np.stack([latents_of(one, vae) for one in images]), count, closed=closed)
    for start in range(0, count, CHUNK):
        yield vae.decode(points[start : start + CHUNK], SIZE)


def _slides(shown: Sequence[np.ndarray], count: int, fps: int) -> Iterator[np.ndarray]:
    """Show each picture for the same time, with short cross-fades in between."""
    per_picture = count / len(shown)
    half = min(FADE_S * fps, per_picture / 2) / 2  # frames of a fade before and after a change
    for start in range(0, count, CHUNK):
        yield np.stack([_slide(shown, at, per_picture, half) for at in range(start, min(count, start + CHUNK))])


def _slide(shown: Sequence[np.ndarray], frame: int, per_picture: float, half: float) -> np.ndarray:
    change = round(frame / per_picture)  # the nearest change, between pictures change - 1 and change
    number = min(int(frame / per_picture), len(shown) - 1)
    distance = frame - change * per_picture
    if not 0 < change < len(shown) or abs(distance) >= half:
        return shown[number]
    share = float(path.ease(np.array((distance + half) / (2 * half))))
    mixed = (1 - share) * shown[change - 1].astype(np.float32) + share * shown[change].astype(np.float32)
    return np.rint(mixed).astype(np.uint8)


def _told(workshop: Workshop, chunks: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Give the frames one by one, and tell after each chunk how far it is."""
    done = 0
    for chunk in chunks:
        yield from chunk
        done += len(chunk)
        workshop.progress(done / count, pictures.thumbnail(chunk[-1]))
