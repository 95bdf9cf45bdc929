"""Acme's brand server: colours and logo, for people and machines that make things in Acme's name.

python brand_server.py             # MCP on standard input and output
python brand_server.py --http 8601  # MCP by streamable HTTP, at http://127.0.0.1:8601/mcp
"""

from __future__ import annotations

import argparse
from typing import Annotated, Literal

from logo import Variant, draw
from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from palette import PALETTE, Colour, contrast, distance, rgb
from pydantic import BaseModel, Field

CLOSE = 0.06  # in OKLab: below it, most people see one colour when they do not look side by side
READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
SEASON = {"summer": ("lichen", "lake"), "winter": ("frost", "lake")}
LOGO_RULES = """\
Rules for the Acme logo

- Around it: free space as wide as the tent in the badge, on all sides.
- Smallest size: 24 pixels for the badge, 96 pixels for the wide logo.
- On sand or paper: the colours as they are. On pine, ink or a photograph: the one-colour logo, in paper.
- Never: tilted, stretched, outlined again, with a shadow, in a colour that is not in the palette, inside a sentence.
- The badge alone may stand where the name "Acme Outdoor" is written within sight.
"""

server = MCPServer("acme-brand", instructions="Colours and logo of Acme Outdoor.", log_level="WARNING")


class Checked(BaseModel):
    """What the palette says about one colour."""

    colour: str
    fits: bool = Field(description="it is a colour of the palette, or looks like one")
    nearest: str = Field(description="the name of the nearest colour that we use")
    use: str = Field(description="the hex code to use instead")
    contrast_on_paper: float = Field(description="WCAG 2 contrast ratio with paper, 1 to 21; text needs 4.5")
    readable: bool = Field(description="text in this colour can be read on paper")


def shown(say: str, args: dict[str, object]) -> dict[str, object]:
    """Give an example of a request and its arguments, where a studio looks for it."""
    return {"atelier/examples": [{"say": say, "args": args}]}


@server.tool(annotations=READS, meta=shown("which colours may I use for a winter poster?", {"theme": "winter"}))
def palette(
    theme: Annotated[Literal["everyday", "summer", "winter"], Field(description="the season of the page")] = "everyday",
) -> str:
    """Give Acme's colours with their hex codes and when to use them."""
    lines = [f"- {colour.name}, {colour.hex}: {colour.use}" for colour in PALETTE if _belongs(colour, theme)]
    return "\n".join([f"Acme's colours, {theme}", "", *lines]) + "\n"


@server.tool(
    annotations=READS, meta=shown("do #1E4C40 and #FF0000 fit our palette?", {"colours": ["#1E4C40", "#FF0000"]})
)
def check_colours(
    colours: Annotated[list[str], Field(min_length=1, max_length=32, description="hex codes: '#1F4D3F'")],
) -> list[Checked]:
    """Say which colours fit Acme's palette, what to use instead, and whether text in them can be read."""
    return [_checked(code) for code in colours]


@server.tool(annotations=READS, meta=shown("what are the rules for our logo?", {}))
def logo_rules() -> str:
    """Give the rules for Acme's logo."""
    return LOGO_RULES


@server.tool(annotations=READS, meta=shown("our logo, 512 pixels wide", {"variant": "wide", "size_px": 512}))
def logo(
    variant: Annotated[Variant, Field(description="badge alone, with the name, or in one colour")] = "badge",
    size_px: Annotated[int, Field(ge=24, le=1024, description="width in pixels")] = 256,
) -> Image:
    """Give Acme's logo as a PNG picture."""
    if variant == "wide" and size_px < 96:
        raise ToolError("the wide logo needs 96 pixels at least; below that, use the badge")
    return Image(data=draw(variant, size_px), format="png")


def _belongs(colour: Colour, theme: str) -> bool:
    return colour.part != "season" or colour.name in SEASON.get(theme, ())


def _checked(code: str) -> Checked:
    try:
        seen = rgb(code)
    except ValueError as error:
        raise ToolError(str(error)) from error
    nearest = min(PALETTE, key=lambda colour: distance(seen, colour.rgb))
    paper = next(colour for colour in PALETTE if colour.name == "paper")
    ratio = contrast(seen, paper.rgb)
    return Checked(
        colour=code,
        fits=distance(seen, nearest.rgb) < CLOSE,
        nearest=nearest.name,
        use=nearest.hex,
        contrast_on_paper=round(ratio, 2),
        readable=ratio >= 4.5,
    )


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Acme's brand server.")
    parser.add_argument("--http", type=int, metavar="PORT", help="streamable HTTP on this port instead of stdio")
    args = parser.parse_args()
    if args.http is None:
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=args.http)


if __name__ == "__main__":
    main()
