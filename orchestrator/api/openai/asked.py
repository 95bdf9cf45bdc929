"""What OpenAI's clients may ask, what is passed over, and what is refused because it would be answered wrongly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.context import identify
from orchestrator.errors import Invalid, ModelNotFound

STUDIO = "atelier"  # the studio's name among models
MOST_BYTES = 128 << 20  # of a request with pictures in it; the settings say what one of them may have


class KnownFirst(APIRoute):
    """A route that asks who is there before it reads a body, because bodies with pictures are large."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the handler."""
        handle = super().get_route_handler()

        async def known(request: Request) -> Response:
            await identify(request, None)
            return await handle(request)

        return known


class Ours(BaseModel):
    """What this studio adds to a request of OpenAI's; the official client sends it with `extra_body`."""

    model_config = ConfigDict(extra="forbid")
    cancel_on_disconnect: bool = Field(
        default=False, description="cancel the run when the client leaves before the end; else it goes on"
    )


def without(given: Any, harmless: Collection[str], refused: Mapping[str, tuple[Any, ...]]) -> Any:
    """Give a body without what changes nothing here.

    Args:
        given: the body as it came.
        harmless: names that are passed over.
        refused: names that would change the answer, and the values of them that do not.

    Raises:
        Invalid: a parameter asks for what this studio does not do.
    """
    if not isinstance(given, Mapping):
        return given
    for name, same in refused.items():
        if name in given and given[name] is not None and given[name] not in same:
            allowed = " or ".join(repr(value) for value in same)
            instead = f"; leave it out, or send {allowed}" if same else "; leave it out"
            raise Invalid(f"{name}: this studio does not do that{instead}", param=name)
    return {name: value for name, value in given.items() if name not in harmless and name not in refused}


def require_studio(model: str) -> None:
    """Check that the studio is asked.

    Raises:
        ModelNotFound: another model is named.
    """
    if model != STUDIO:
        raise ModelNotFound(f"there is no model {model!r} to talk to; this studio answers as {STUDIO!r}", param="model")
