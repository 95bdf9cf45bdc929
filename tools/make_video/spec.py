"""What `make_video` accepts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tools.base import AudioRef, Example, ImageRef, ToolArgs, ToolSpec


class MakeVideo(ToolArgs):
    """Arguments of `make_video`."""

    images: tuple[ImageRef, ...] = Field(min_length=1, max_length=64, description="the pictures, in order")
    motion: Literal["morph", "loop", "slideshow"] = Field(
        "morph", description="morph from the first to the last, loop back to the first, or show one after the other"
    )
    seconds: float = Field(4, ge=0.5, le=60, description="length in seconds")
    fps: int = Field(24, ge=1, le=60, description="frames a second")
    audio: AudioRef | None = Field(None, description="the sound under it")

    @field_validator("images", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


SPEC = ToolSpec(
    name="make_video",
    description="Make a video from pictures: a morph between them, a loop, or a slideshow.",
    args=MakeVideo,
    gives="video",
    queue="image",
    runner="tools.make_video.run:run",
    version=2,
    models=lambda _: ("vae", "upscaler"),
    families=("vae",),
    cost=lambda _: 0,
    examples=(
        Example("a 3 second video that morphs between them", {"images": ["$s1"], "seconds": 3}),
        Example("a looping clip of these", {"images": ["$s1"], "motion": "loop"}),
    ),
)
