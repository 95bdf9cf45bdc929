"""What the tool accepts."""

from __future__ import annotations

from pydantic import Field
from tools.base import Example, ToolArgs, ToolSpec


class SheetArgs(ToolArgs):
    """Arguments of the tool."""

    colours: tuple[str, ...] = Field(min_length=1, max_length=48, description="hex codes or names: '#1F4D3F', 'navy'")
    columns: int = Field(4, ge=1, le=12, description="fields in a row")
    field_px: int = Field(64, ge=16, le=256, description="width and height of a field in pixels")


SPEC = ToolSpec(
    name="swatches",
    description="Draw a sheet of colours, a field for each.",
    args=SheetArgs,
    gives="image",
    queue="image",
    runner="swatches.run:run",
    cost=lambda _: 0,  # of the pictures that a request may ask of the nets
    examples=(
        Example("a sheet of the colours #1F4D3F, #F26B21 and sand", {"colours": ["#1F4D3F", "#F26B21", "#E8D5AC"]}),
        Example("show red and navy side by side, large", {"colours": ["red", "navy"], "columns": 2, "field_px": 256}),
    ),
)
