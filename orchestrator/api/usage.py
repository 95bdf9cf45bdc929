"""Usage: what was asked for and made, with which key, on which day, by which tool."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from orchestrator.api.context import Here, Known, Reader
from orchestrator.api.shapes.base import Page, Shown
from orchestrator.errors import Forbidden, Invalid
from store import keys, usage
from store.usage import DAY_S

router = APIRouter(prefix="/v1/usage", tags=["usage"])
MONTH_S = 30 * DAY_S
LONGEST_S = 366 * DAY_S
ANYONE = "*"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Moment = Annotated[float | None, Query(ge=0, le=4e9)]


class Used(Shown):
    """How much was used."""

    runs: int = Field(description="runs that were accepted; by tool: those that have a step of it")
    steps: int = Field(description="steps of these runs, planning and answering too")
    busy_s: float = Field(
        description="seconds from the last begin to the end of these steps, summed; steps of one forward pass count "
        "each the whole of it"
    )
    assets: int = Field(description="assets that were made or uploaded, deleted ones too")
    bytes: int = Field(description="their sizes, summed")


class UsedBy(Used):
    """A row of usage."""

    key: str | None = Field(None, description="by key: its id; null: without a key, in a batch, or by upload")
    day: str | None = Field(None, description="by day: in UTC, `2026-11-23`")
    tool: str | None = Field(None, description="by tool: its name; null: uploads")
    owner: str | None = Field(None, description="by owner: who")


class Usage(Page[UsedBy]):
    """What was used in a time."""

    since: float = Field(description="`from`, or 30 days before the end; seconds since 1970")
    until: float = Field(description="`to`, or now; seconds since 1970")
    total: Used = Field(description="all of it")


@router.get("", response_model=Usage, response_model_exclude_unset=True)
def get_usage(
    here: Here,
    caller: Known,
    reader: Reader,
    since: Annotated[Moment, Query(alias="from", description="seconds since 1970; none: 30 days before `to`")] = None,
    until: Annotated[Moment, Query(alias="to", description="seconds since 1970, not included; none: now")] = None,
    group_by: Annotated[
        Literal["key", "day", "tool", "owner"] | None, Query(description="a row for each; none: the total alone")
    ] = None,
    owner: Annotated[
        str | None, Query(max_length=80, description="whose; none: your own; `*`: everybody's; others for admins only")
    ] = None,
) -> dict[str, Any]:
    """Count runs by when they were accepted, with their steps, and assets by when they were made or uploaded."""
    whose = owner or reader
    if whose != reader and not caller.may(keys.ADMIN):
        raise Forbidden("what others used is shown to a key with the scope 'admin'")
    until = time.time() if until is None else until
    since = max(0.0, until - MONTH_S) if since is None else since
    if not 0 <= until - since <= LONGEST_S:
        raise Invalid("from: it lies before `to`, and by 366 days at most", param="from")
    everybody = None if whose == ANYONE else whose
    with here.database.read() as connection:
        total = usage.used(connection, owner=everybody, since=since, until=until)
        rows = usage.used(connection, owner=everybody, since=since, until=until, group_by=group_by) if group_by else {}
    return {
        "since": since,
        "until": until,
        "total": total[None],
        "data": [_row(group_by, group, rows[group]) for group in sorted(rows, key=lambda one: (one is None, one))],
        "has_more": False,
        "next": None,
    }


def _row(group_by: str | None, group: Any, counted: dict[str, float]) -> dict[str, Any]:
    shown = (EPOCH + timedelta(days=group)).date().isoformat() if group_by == "day" else group
    return {str(group_by): shown, **counted}
