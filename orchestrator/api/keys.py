"""Keys: who may ask, as whom, and for what."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.context import Admin, Here
from orchestrator.api.lists import Before, Limit, page
from orchestrator.api.shapes.base import Page
from orchestrator.api.shapes.house import KeyMade, KeyShape
from orchestrator.errors import NotFound
from store import keys, limits
from store.database import Database
from store.keys import Key

router = APIRouter(prefix="/v1/keys", tags=["keys"])
Count = Annotated[int, Field(ge=1, le=limits.MOST)]
OWNER = r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$"


class Limits(BaseModel):
    """How much may be asked with a key; a day is the last 24 hours at any moment. What is not named has no limit."""

    model_config = ConfigDict(extra="forbid")
    runs_per_day: Count | None = Field(None, description="runs accepted in a day")
    steps_per_day: Count | None = Field(
        None, description="steps of their plans; one request in words may go above it by its own plan"
    )
    open_runs: Count | None = Field(None, description="runs that wait or are worked on at once")
    bytes_per_day: Count | None = Field(
        None, description="bytes of assets that the runs of a day made; what is on its way may go above it"
    )

    def given(self) -> dict[str, int]:
        """Give those that there are."""
        return self.model_dump(exclude_none=True)


class NewKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$", description="for people")
    owner: str | None = Field(None, max_length=80, pattern=OWNER, description="whose things it opens; none: your own")
    scopes: list[Literal["read", "make", "admin"]] = Field(
        default=["read", "make"], min_length=1, max_length=3, description="what it is to be enough for"
    )
    expires_s: Annotated[float, Field(gt=0, le=100 * 366 * 86400)] | None = Field(
        None, description="seconds from now for which it is valid; none: until it is revoked"
    )
    limits: Limits = Field(default_factory=Limits, description="how much may be asked with it; none: any amount")


class Limited(BaseModel):
    """New limits of a key; they take the place of all that it had."""

    model_config = ConfigDict(extra="forbid")
    limits: Limits = Field(description="an empty object: any amount")


@router.post("", status_code=201, response_model=KeyMade)
def create(new: NewKey, here: Here, admin: Admin) -> dict[str, Any]:
    """Make a key; `key` is shown here and never again."""
    made = make(here.database, new, owner=new.owner or admin)
    here.keyring.lock()
    return made


@router.get("", response_model=Page[KeyShape])
def list_keys(here: Here, admin: Admin, before: Before = None, limit: Limit = 50) -> dict[str, Any]:
    """List everybody's keys, newest first, without the keys themselves."""
    with here.database.read() as connection:
        return page(lambda n: [view(key) for key in keys.list_(connection, before=before, limit=n)], limit)


@router.patch("/{key_id}", response_model=KeyShape)
def change(key_id: str, wanted: Limited, here: Here, admin: Admin) -> dict[str, Any]:
    """Change how much may be asked with a key that is in use."""
    return set_limits(here.database, key_id, wanted.limits)


@router.delete("/{key_id}", status_code=204)
def revoke(key_id: str, here: Here, admin: Admin) -> None:
    """Take a key out of use; within seconds no process takes it any more."""
    take_back(here.database, key_id)


def make(database: Database, new: NewKey, *, owner: str) -> dict[str, Any]:
    """Make a key, and give it as clients see it, with the key itself."""
    now = time.time()
    expires_at = None if new.expires_s is None else now + new.expires_s
    made, secret = database.transact(
        lambda c: keys.create(
            c,
            name=new.name,
            owner=owner,
            scopes=new.scopes,
            now=now,
            expires_at=expires_at,
            limits=new.limits.given(),
        ),
        durable=True,
    )
    return view(made) | {"key": secret}


def set_limits(database: Database, key_id: str, wanted: Limits) -> dict[str, Any]:
    """Replace the limits of a key, and give it as clients see it.

    Raises:
        NotFound: there is none of this id that is in use.
    """
    changed = database.transact(lambda c: keys.limit(c, key_id, wanted.given()), durable=True)
    if changed is None:
        raise NotFound(f"there is no key {key_id!r} that is in use")
    return view(changed)


def take_back(database: Database, key_id: str) -> None:
    """Revoke a key.

    Raises:
        NotFound: there is none of this id that is in use.
    """
    now = time.time()
    if not database.transact(lambda c: keys.revoke(c, key_id, now=now), durable=True):
        raise NotFound(f"there is no key {key_id!r} that is in use")


def view(key: Key) -> dict[str, Any]:
    """Give a key as clients see it."""
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "scopes": list(key.scopes),
        "hint": key.hint,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "used_at": key.used_at,
        "revoked_at": key.revoked_at,
        "limits": dict(key.limits or {}),
    }
