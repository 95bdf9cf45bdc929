"""Errors as an MCP client is told of them: the words of ours, and nothing of a bug's."""

from __future__ import annotations

import logging

from pydantic import ValidationError
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from orchestrator.api.faults import TRANSLATED
from orchestrator.errors import Invalid, StudioError, StudioNotReady
from store.database import is_away

logger = logging.getLogger("atelier.api")


def refusal(error: Exception) -> StudioError:
    """Say an error in words for the client; one that is a bug of ours is logged, and told without its words."""
    if isinstance(error, StudioError):
        return error
    for foreign, kind in TRANSLATED.items():
        if isinstance(error, foreign):
            return kind(str(error))
    if isinstance(error, ValidationError):
        return _invalid(error)
    if isinstance(error, (DataError, UnicodeEncodeError)):
        return Invalid("there is a character in it, or a number, that cannot be stored")
    if isinstance(error, (DBAPIError, PoolTimeout)) and is_away(error):
        return StudioNotReady("the database does not answer; ask again in a moment")
    logger.error("a bug in a call over MCP", exc_info=error)
    return StudioError("an error of the studio itself; its API log says more (logs/api.log)")


def _invalid(error: ValidationError) -> Invalid:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    message = str(first["msg"]).removeprefix("Value error, ")
    return Invalid(f"{place}: {message}" if place else message)
