"""Styles: looks that were trained here from an owner's pictures."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from models.style.pictures import LEAST, MOST
from orchestrator.api import accepting
from orchestrator.api.context import Context, Here, Owner
from orchestrator.api.shapes.base import Page
from orchestrator.api.shapes.house import StyleShape
from orchestrator.api.shapes.work import Run
from orchestrator.api.texts import Text
from orchestrator.errors import Invalid, NotFound
from store import assets, versions
from store.versions import STYLE, Version
from tools.base import STYLE_NAME
from tools.generate_image.spec import STYLES
from workers import training

router = APIRouter(prefix="/v1/styles", tags=["styles"])


class Picture(BaseModel):
    """A picture of the library, and what it shows."""

    model_config = ConfigDict(extra="forbid")
    asset_id: str = Field(max_length=40, description="its id in the library")
    caption: Text = Field(min_length=1, max_length=500, description="what it shows, in words")


class NewStyle(BaseModel):
    """What a look is to be learned from."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=STYLE_NAME, description="small letters, digits and dashes; how requests will call it")
    pictures: list[Picture] = Field(min_length=LEAST, max_length=MOST, description="all in the look")
    minutes: Annotated[float, Field(gt=0, le=240, description="how long it may learn, at most")] = training.MINUTES
    licence: Text | None = Field(None, min_length=1, max_length=200, description="of the pictures")


@router.post("", status_code=202, response_model=Run)
def train(new: NewStyle, here: Here, owner: Owner) -> dict[str, Any]:
    """Learn a look from pictures; the run says how it goes, and the look can be used when it has ended."""
    if new.name in STYLES:
        raise Invalid(f"name: {new.name!r} is a style that is always there; choose another name", param="name")
    _check_pictures(here, owner, new)
    given = [{"asset_id": one.asset_id, "caption": one.caption} for one in new.pictures]
    run = training.new_run(owner, new.name, given, minutes=new.minutes, licence=new.licence)
    return accepting.submit(here, run)


@router.get("", response_model=Page[StyleShape])
def list_styles(here: Here, owner: Owner) -> dict[str, Any]:
    """List the looks that were trained, by name; those that are always there are not among them."""
    with here.database.read() as connection:
        found = versions.list_(connection, owner)
    return {"data": [_view(version) for version in found], "has_more": False, "next": None}


@router.get("/{name}", response_model=StyleShape)
def get_style(name: str, here: Here, owner: Owner) -> dict[str, Any]:
    """Give a look with its card: what it was learned from, and how well."""
    with here.database.read() as connection:
        version = versions.newest(connection, owner, STYLE, name)
    if version is None:
        raise _unknown(name)
    return _view(version)


@router.delete("/{name}", status_code=204)
def remove(name: str, here: Here, owner: Owner) -> None:
    """Take a look out of use; what was drawn in it stays."""
    if not here.database.transact(lambda c: versions.retire(c, owner, STYLE, name, now=time.time())):
        raise _unknown(name)


def _unknown(name: str) -> NotFound:
    return NotFound(f"there is no style {name!r} that was trained here; `atelier styles list` shows them")


def _check_pictures(here: Context, owner: str, new: NewStyle) -> None:
    wanted = [one.asset_id for one in new.pictures]
    with here.database.read() as connection:
        found = {asset.id for asset in assets.get_many(connection, owner, wanted) if asset.kind == "image"}
    missing = [asset_id for asset_id in wanted if asset_id not in found]
    if missing:
        raise Invalid(f"pictures: there is no picture {missing[0]!r} in the library", param="pictures")


def _view(version: Version) -> dict[str, Any]:
    return {
        "name": version.name,
        "created_at": version.created_at,
        "weights": version.sha256,
        "licence": version.licence,
        "run_id": version.run_id,
        "shared": version.owner is None,
        "card": version.card,
    }
