"""What `vary_image` accepts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.base import SEED_BITS, Example, ImageRef, ToolArgs, ToolSpec

Seed = Annotated[int, Field(ge=0, lt=1 << SEED_BITS)]
Prompt = Annotated[str, Field(min_length=1, max_length=500)]


class VaryImage(ToolArgs):
    """Arguments of `vary_image`."""

    image: ImageRef = Field(description="the picture to start from")
    prompt: Prompt | None = Field(None, description="move it towards these words")
    strength: float = Field(0.5, ge=0, le=1, description="0 nearly the same, 1 another picture")
    count: int = Field(1, ge=1, le=16, description="how many versions")
    seed: Seed | None = Field(None, description="the same seed makes the same version")


SPEC = ToolSpec(
    name="vary_image",
    description="Make other versions of a given picture, also moved towards words.",
    args=VaryImage,
    gives="image",
    queue="image",
    runner="tools.vary_image.run:run",
    draws=True,
    batch=16,
    batch_key=lambda _: "vary_image",
    models=lambda _: ("cgan", "vae", "memory", "upscaler"),
    families=("cgan", "vae"),
    keeps="image",
    examples=(
        Example("the same cat, but sleepy", {"image": "$s1[0]", "prompt": "sleepy cat"}),
        Example("two slightly different versions of it", {"image": "$s1[0]", "strength": 0.2, "count": 2}),
    ),
)
