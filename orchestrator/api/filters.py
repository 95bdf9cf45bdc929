"""What a client can ask assets to be, in one form for lists, search and exports."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from orchestrator.api.context import Context
from orchestrator.api.texts import Text
from store import collections
from store.library import Filter
from tools.base import KINDS

LATEST = 1e11  # seconds since 1970: beyond the year 5000


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r}; there are {', '.join(KINDS)}")
    return kind


Kind = Annotated[Text, AfterValidator(_kind)]
Tag = Annotated[Text, Field(min_length=1, max_length=80)]
Time = Annotated[float, Field(ge=0, le=LATEST, allow_inf_nan=False)]
Number = Annotated[Time, Strict()]  # in a body: a text or a truth value is none


class Asked(BaseModel):
    """What assets must be; what is left out is not asked."""

    model_config = ConfigDict(extra="forbid")
    kind: Kind | None = Field(None, max_length=20, description="only image, video, audio, music or text")
    tags: list[Tag] = Field(default_factory=list, max_length=16, description="only what has all of these")
    model: Text | None = Field(None, max_length=80, description="only what this network drew, such as cgan or vae")
    tool: Text | None = Field(None, max_length=120, description="only what this tool made")
    collection: Text | None = Field(None, max_length=40, description="only what is in this collection, by its id")
    since: Number | None = Field(None, alias="from", description="made then or later, in seconds since 1970")
    until: Number | None = Field(None, alias="to", description="made before then, in seconds since 1970")

    def as_filter(self, here: Context, owner: str, **more: Any) -> Filter:
        """Give it as the library takes it.

        Args:
            more: what only some routes can ask.

        Raises:
            UnknownId: there is no such collection of this owner.
        """
        if self.collection is not None:
            with here.database.read() as connection:
                collections.require(connection, owner, self.collection)
        return Filter(
            kind=self.kind,
            tags=tuple(self.tags),
            tool=self.tool,
            model=self.model,
            model_tools=() if self.model is None else _always(here, owner, self.model),
            collection_id=self.collection,
            since=self.since,
            until=self.until,
            **more,
        )


def _said(name: str) -> str | None:
    return Asked.model_fields[name].description


def _asked(
    kind: Annotated[Kind | None, Query(max_length=20, description=_said("kind"))] = None,
    tag: Annotated[list[Tag], Query(max_length=16, description="only what has this tag; of several, all")] = [],  # noqa: B006
    model: Annotated[Text | None, Query(max_length=80, description=_said("model"))] = None,
    tool: Annotated[Text | None, Query(max_length=120, description=_said("tool"))] = None,
    collection: Annotated[Text | None, Query(max_length=40, description=_said("collection"))] = None,
    since: Annotated[Time | None, Query(alias="from", description=_said("since"))] = None,
    until: Annotated[Time | None, Query(alias="to", description=_said("until"))] = None,
) -> Asked:
    given = {"kind": kind, "tags": tag, "model": model, "tool": tool, "collection": collection}
    return Asked.model_validate({**given, "from": since, "to": until})


AskedInQuery = Annotated[Asked, Depends(_asked)]


def _always(here: Context, owner: str, model: str) -> tuple[str, ...]:
    """Give the tools that use a family whatever their arguments are, so that their recipes need not name it."""
    specs = here.tools(owner).values()
    return tuple(spec.name for spec in specs if model in spec.families and "model" not in spec.args.model_fields)
