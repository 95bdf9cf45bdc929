"""Stopping the run of a call whose client no longer wants it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from orchestrator.api.context import Context
from orchestrator.api.mcp.turn import Turn
from store import keys, steering, tables


def of_call(context: Context, turn: Turn, params: Any) -> None:
    """Cancel the run that a call of this session made; a call that made none, or is unknown, changes nothing."""
    request_id = params.get("requestId") if isinstance(params, dict) else None
    key = turn.call_key(request_id)
    if request_id is None or key is None or not turn.caller.may(keys.MAKE):
        return
    with context.database.read() as connection:
        run_id = connection.execute(
            select(tables.runs.c.id).where(
                tables.runs.c.owner == turn.owner,
                tables.runs.c.idempotency_key == key,
            )
        ).scalar()
    if run_id is not None:
        of_run(context, turn.owner, str(run_id))


def of_run(context: Context, owner: str, run_id: str) -> None:
    """Cancel a run; one that has ended stays as it is.

    Raises:
        UnknownId: there is no such run of this owner.
    """
    context.commit(lambda t: steering.cancel(t, owner, run_id))
