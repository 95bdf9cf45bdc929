"""How a run gets the conversation that it belongs to, where its client tells it or names the run that it follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from store.ids import new_id
from store.runs import OPEN_RUN, WrongState, new_thread, require
from store.tables import messages, runs
from store.transition import Transition

APART_S = 0.001  # between messages that are stored at once, so that they keep their order
TITLE = 80  # characters


@dataclass(frozen=True)
class Turn:
    """Something that was said before: by "user" or "assistant"."""

    role: str
    text: str


@dataclass(frozen=True)
class Before:
    """What comes before a run.

    Attributes:
        turns: what was said, oldest first; no run stands behind it.
        instructions: what holds for this run alone.
        follows: the run whose conversation goes on; None begins another one.
    """

    turns: Sequence[Turn] = ()
    instructions: str = ""
    follows: str | None = None

    def open(self, t: Transition, owner: str, run_id: str, request: str) -> str:
        """Give the thread of a new run, with all that comes before it.

        Raises:
            UnknownId: there is no such run to follow.
            WrongState: that run has not ended.
        """
        if self.follows is None:
            thread_id = new_thread(t, owner, " ".join(request.split())[:TITLE])
        else:
            thread_id = _after(t, owner, self.follows)
        told: list[tuple[str, str, str | None]] = [(turn.role, turn.text, None) for turn in self.turns]
        if self.instructions:
            told.append(("system", self.instructions, run_id))
        _store(t, thread_id, told)
        return thread_id


def _store(t: Transition, thread_id: str, told: Sequence[tuple[str, str, str | None]]) -> None:
    """Store messages (role, text, run) just before now."""
    rows = [
        {"id": new_id("message"), "thread_id": thread_id, "run_id": of_run, "role": role, "content": text}
        | {"created_at": t.now - APART_S * (len(told) - number)}
        for number, (role, text, of_run) in enumerate(told)
    ]
    if rows:
        t.connection.execute(insert(messages), rows)


def _after(t: Transition, owner: str, run_id: str) -> str:
    """Give the thread in which a run is the last: its own, or a branch where that went on without us."""
    t.lock_run(run_id)  # two that follow one run: the second branches
    run = require(t.connection, owner, run_id)
    if run.status in OPEN_RUN:
        raise WrongState(f"run {run_id!r} is {run.status}; only an ended one can be followed")
    if run.thread_id is None:
        thread_id = new_thread(t, owner, " ".join((run.request or "").split())[:TITLE])
        said = [("user", run.request), ("assistant", run.reply or (run.error or {}).get("message"))]
        _store(t, thread_id, [(role, text, run_id) for role, text in said if text])
        return thread_id
    newest = t.connection.execute(select(func.max(runs.c.id)).where(runs.c.thread_id == run.thread_id)).scalar()
    return str(run.thread_id) if newest == run_id else _branch(t, owner, str(run.thread_id), run_id)


def _branch(t: Transition, owner: str, thread_id: str, run_id: str) -> str:
    """Begin a thread with what was said in another until a run had ended."""
    last = select(func.max(messages.c.created_at)).where(messages.c.run_id == run_id).scalar_subquery()
    rows = t.connection.execute(
        select(messages)
        .where(
            messages.c.thread_id == thread_id,
            messages.c.created_at <= last,
            messages.c.role != "system",
            func.coalesce(messages.c.run_id, "") <= run_id,
        )
        .order_by(messages.c.created_at, messages.c.id)
    ).all()
    branch = new_thread(t, owner, next((row.content for row in rows if row.role == "user"), "")[:TITLE])
    t.connection.execute(
        insert(messages), [{**row._asdict(), "id": new_id("message"), "thread_id": branch} for row in rows]
    )
    return branch


def before(connection: Connection, run_id: str, thread_id: str | None) -> Before:
    """Give what a run was told of: its instructions, and the run before it in its thread."""
    here = messages.c.thread_id == thread_id
    rules = select(messages.c.content).where(here, messages.c.role == "system", messages.c.run_id == run_id)
    earlier = (
        select(messages.c.run_id)
        .where(here, messages.c.role != "system", messages.c.run_id < run_id)
        .order_by(messages.c.created_at.desc(), messages.c.id.desc())
        .limit(1)
    )
    return Before((), connection.execute(rules).scalar() or "", connection.execute(earlier).scalar())
