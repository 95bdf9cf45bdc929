"""What `write_text` accepts."""

from __future__ import annotations

from pydantic import Field, field_validator

from tools.base import AnyRef, Example, ToolArgs, ToolSpec


class WriteText(ToolArgs):
    """Arguments of `write_text`."""

    prompt: str = Field(min_length=1, max_length=2000, description="what to write: 'a short poem about a happy cat'")
    about: tuple[AnyRef, ...] = Field((), max_length=16, description="assets that the text is about")
    max_words: int = Field(200, ge=1, le=1000, description="the most words")

    @field_validator("about", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


SPEC = ToolSpec(
    name="write_text",
    description="Write a short text: a caption, a poem, a description, a story.",
    args=WriteText,
    gives="text",
    queue="planner",
    runner="tools.write_text.run:run",
    exact=False,
    draws=False,
    cost=lambda _: 0,
    examples=(
        Example("a two line poem about the cat", {"prompt": "a two line poem about the cat", "about": ["$s1"]}),
        Example(
            "a caption for these pictures",
            {"prompt": "a caption for these pictures", "about": ["$s1"], "max_words": 30},
        ),
    ),
)
