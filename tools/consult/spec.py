"""What `consult` accepts."""

from __future__ import annotations

from pydantic import Field

from tools.base import Example, ToolArgs, ToolSpec
from tools.solutions.base import Name


class Consult(ToolArgs):
    """Arguments of `consult`."""

    question: str = Field(min_length=1, max_length=500, description="what to look up: 'which blue may we use?'")
    solution: Name | None = Field(None, description="only the documents of this solution; none: all of them")
    limit: int = Field(5, ge=1, le=20, description="how many passages at most")


SPEC = ToolSpec(
    name="consult",
    description="Look something up in the company's own documents: guidelines, brand voice, colours, products, rules.",
    args=Consult,
    gives="text",
    queue="planner",
    runner="tools.consult.run:run",
    exact=False,
    cost=lambda _: 0,
    reads=True,
    choices={"solution": "knowledge"},
    examples=(
        Example("what do our guidelines say about colours?", {"question": "what do our guidelines say about colours"}),
        Example("how do we write numbers in our brand voice?", {"question": "brand voice: how numbers are written"}),
        Example("look up how long our warranty is", {"question": "how long the warranty is"}),
    ),
)
