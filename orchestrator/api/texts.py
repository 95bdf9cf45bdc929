"""Texts that are kept: SQLite would take U+0000, PostgreSQL does not, and rows have to move from one to the other."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("the character U+0000 cannot be stored")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
