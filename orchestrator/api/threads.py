"""Conversations: messages and the runs that they start."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api import accepting
from orchestrator.api.context import Here, Owner
from orchestrator.api.lists import Before, Limit, page
from orchestrator.api.shapes.base import Page
from orchestrator.api.shapes.work import Conversation, Message, Run, Thread
from orchestrator.api.texts import Text
from store import runs, views

router = APIRouter(prefix="/v1/threads", tags=["threads"])
HIDDEN = ("owner", "thread_id")


class NewThread(BaseModel):
    """A conversation to begin."""

    model_config = ConfigDict(extra="forbid")
    title: Text = Field("", max_length=200, description="for people")


class Said(BaseModel):
    """What is said in a conversation."""

    model_config = ConfigDict(extra="forbid")
    say: str = Field(min_length=1, max_length=8000, description="what is wanted, in words")
    needs_approval: bool = Field(default=False, description="show the plan and wait for a yes before it is carried out")


@router.post("", status_code=201, response_model=Conversation)
def begin(here: Here, owner: Owner, new: NewThread | None = None) -> dict[str, Any]:
    """Begin a conversation."""
    thread_id = here.commit(lambda t: runs.new_thread(t, owner, new.title if new else ""))
    return get_thread(thread_id, here, owner)


@router.get("", response_model=Page[Thread])
def list_threads(here: Here, owner: Owner, before: Before = None, limit: Limit = 20) -> dict[str, Any]:
    """List conversations, newest first."""
    with here.database.read() as connection:
        listed = page(lambda n: views.threads_of(connection, owner, before=before, limit=n), limit)
    return listed | {"data": [_shown(row) for row in listed["data"]]}


@router.get("/{thread_id}", response_model=Conversation)
def get_thread(thread_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give a conversation with its messages."""
    with here.database.read() as connection:
        found = views.thread(connection, owner, thread_id)
    return _shown(found) | {"messages": [_shown(message) for message in found["messages"]]}


@router.get("/{thread_id}/messages", response_model=Page[Message])
def list_messages(thread_id: str, here: Here, owner: Owner) -> dict[str, Any]:
    """List what was said, oldest first."""
    return {"data": get_thread(thread_id, here, owner)["messages"], "has_more": False, "next": None}


@router.post("/{thread_id}/runs", status_code=202, response_model=Run)
def say(
    thread_id: str,
    said: Said,
    here: Here,
    owner: Owner,
    idempotency_key: Annotated[
        str | None, Header(max_length=200, description="the same key gives the same run again")
    ] = None,
) -> dict[str, Any]:
    """Say something; the answer is the run that works on it."""
    return accepting.accept(
        here,
        owner,
        request=said.say,
        thread_id=thread_id,
        needs_approval=said.needs_approval,
        idempotency_key=idempotency_key,
    )


@router.get("/{thread_id}/runs", response_model=Page[Run])
def list_runs(thread_id: str, here: Here, owner: Owner, before: Before = None, limit: Limit = 20) -> dict[str, Any]:
    """List the runs of a conversation, newest first."""
    with here.database.read() as connection:
        views.thread(connection, owner, thread_id)
        return page(lambda n: views.list_(connection, owner, thread_id=thread_id, before=before, limit=n), limit)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in HIDDEN}
