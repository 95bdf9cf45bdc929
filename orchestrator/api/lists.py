"""The shape of every list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import Query

Limit = Annotated[int, Query(ge=1, le=200, description="how many at most")]
Before = Annotated[str | None, Query(description="`next` of the page before this one")]


def page(fetch: Callable[[int], Sequence[dict[str, Any]]], limit: int) -> dict[str, Any]:
    """Give a page; `fetch` is asked for one row more, which says whether there is another page."""
    rows = fetch(limit + 1)
    has_more = len(rows) > limit
    shown = list(rows[:limit])
    return {"data": shown, "has_more": has_more, "next": shown[-1]["id"] if has_more else None}
