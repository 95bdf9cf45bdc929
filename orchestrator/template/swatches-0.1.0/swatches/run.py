"""Draws a sheet of colours."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageColor, ImageDraw
from tools.base import InvalidInput, Job, Made, Results, ToolError
from tools.recipes import args_of

from swatches.spec import SheetArgs

GAP = 8  # pixels between fields and around them
GROUND = (255, 255, 255)


def run(jobs: Sequence[Job]) -> list[Results | ToolError]:
    """Draw one sheet for each job; a job that fails does not hurt the others."""
    return [_run(job) for job in jobs]


def _run(job: Job) -> Results | ToolError:
    args: SheetArgs = job.args
    try:
        colours = [_read(name) for name in args.colours]
        sheet = _empty(args, len(colours))
        for number, colour in enumerate(colours):
            _fill(sheet, args, number, colour)
            job.workshop.progress((number + 1) / len(colours))  # where a cancelled run ends
    except ToolError as error:
        return error
    return [_made(args, sheet)]


def _read(name: str) -> tuple[int, int, int]:
    try:
        red, green, blue, *_ = ImageColor.getrgb(name)
    except ValueError as error:
        raise InvalidInput(f"{name!r} is no colour; write it as '#1F4D3F' or by an English name") from error
    return red, green, blue


def _empty(args: SheetArgs, count: int) -> Image.Image:
    columns = min(args.columns, count)
    rows = -(-count // columns)
    step = args.field_px + GAP
    return Image.new("RGB", (columns * step + GAP, rows * step + GAP), GROUND)


def _fill(sheet: Image.Image, args: SheetArgs, number: int, colour: tuple[int, int, int]) -> None:
    row, column = divmod(number, args.columns)
    left, top = (GAP + place * (args.field_px + GAP) for place in (column, row))
    ImageDraw.Draw(sheet).rectangle((left, top, left + args.field_px - 1, top + args.field_px - 1), colour)


def _made(args: SheetArgs, sheet: Image.Image) -> Made:
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return Made(
        kind="image",
        media_type="image/png",
        content=file.getvalue(),
        caption="a sheet of the colours " + ", ".join(args.colours),
        args=args_of(args),
        tags=("colours", *dict.fromkeys(name.lower() for name in args.colours)),
        width=sheet.width,
        height=sheet.height,
    )
