"""What runs now and what waits, for whom, and until when."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from orchestrator.api.context import Here, Known, Owner
from orchestrator.api.shapes.queue import QueueAnswer
from store import keys
from store.open_work import open_work

router = APIRouter(prefix="/v1/queue", tags=["queue"])


@router.get("", response_model=QueueAnswer)
def get_queue(
    here: Here,
    owner: Owner,
    caller: Known,
    mine: Annotated[bool, Query(description="only one's own; an admin sees everybody's otherwise")] = False,
) -> dict[str, Any]:
    """Give what runs now and what waits, with what is expected of it; of others' work only how much there is."""
    sees_all = caller.may(keys.ADMIN) and not mine
    now = here.database.clock.now()
    with here.database.read() as connection:
        return open_work(connection, now, asks=owner, sees_all=sees_all)
