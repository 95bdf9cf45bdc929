"""What `generate_image` accepts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tools.base import SEED_BITS, STYLE_NAME, Example, ToolArgs, ToolSpec

Size = Literal[64, 128, 256]
STYLES = ("noto", "twemoji", "fluent", "emojione")  # always there; others were trained here
Style = Annotated[str, StringConstraints(pattern=STYLE_NAME)]
Seed = Annotated[int, Field(ge=0, lt=1 << SEED_BITS)]
FAMILY = {"auto": "cgan", "cgan": "cgan", "vae": "vae"}


class GenerateImage(ToolArgs):
    """Arguments of `generate_image`."""

    prompt: str = Field(min_length=1, max_length=500, description="what it shows, in words: 'happy cat'")
    model: Literal["auto", "cgan", "vae"] = Field("auto", description="the family that draws")
    style: Style | None = Field(None, description="the drawing style; none mixes them")
    count: int = Field(1, ge=1, le=16, description="how many pictures")
    size: Size = Field(256, description="width and height in pixels")
    seed: Seed | None = Field(None, description="the same seed draws the same picture")


def trained(args: GenerateImage) -> str | None:
    """Give the name of the weights of a style that was trained here, None where the style is a shipped one."""
    return None if args.style is None or args.style in STYLES else f"style/{args.style}"


def models(args: GenerateImage) -> tuple[str, ...]:
    """Give the families whose weights the picture depends on."""
    upscaler = ("upscaler",) if args.size > 64 else ()
    own = trained(args)
    return (*dict.fromkeys((FAMILY[args.model], "vae")), "memory", *upscaler, *((own,) if own else ()))


def batch_key(args: GenerateImage) -> str:
    """Give what must be equal for pictures to be drawn in one call."""
    own = trained(args)
    return f"generate_image/{FAMILY[args.model]}/{args.size}" + (f"/{own}" if own else "")


SPEC = ToolSpec(
    name="generate_image",
    description="Draw pictures, stickers or icons of a thing from words.",
    args=GenerateImage,
    gives="image",
    queue="image",
    runner="tools.generate_image.run:run",
    draws=True,
    batch=16,
    batch_key=batch_key,
    models=models,
    families=("cgan", "vae"),
    choices={"style": "style"},
    always={"style": STYLES},
    examples=(
        Example("three happy cat stickers", {"prompt": "happy cat", "count": 3}),
        Example("a small red car in fluent style", {"prompt": "red car", "style": "fluent", "size": 64}),
    ),
)
