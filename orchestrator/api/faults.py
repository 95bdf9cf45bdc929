"""Turns every error into the one envelope; foreign errors are translated here and nowhere else."""

from __future__ import annotations

import logging
import math

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator import errors
from orchestrator.api.context import identify
from orchestrator.errors import StudioError
from store.assets import UnknownAsset
from store.blobs import BlobError, BlobsDown
from store.database import is_away
from store.runs import UnknownId, WrongState
from workers.messages import NoWorker

logger = logging.getLogger("atelier.api")

TRANSLATED: dict[type[Exception], type[StudioError]] = {
    UnknownId: errors.NotFound,
    UnknownAsset: errors.NotFound,
    WrongState: errors.Conflict,
    NoWorker: errors.NotAnswered,
    BlobError: errors.NotFound,
    BlobsDown: errors.StudioNotReady,
}
BY_STATUS: dict[int, type[StudioError]] = {
    kind.status: kind
    for kind in (
        errors.BadRequest,
        errors.Forbidden,
        errors.NotFound,
        errors.MethodNotAllowed,
        errors.TooLarge,
        errors.Unsupported,
    )
}


def install(app: FastAPI) -> None:
    """Give an application its handlers."""
    app.add_middleware(_OneEnvelope)
    app.add_exception_handler(StudioError, _studio_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)
    for of_sql in (DBAPIError, PoolTimeout):
        app.add_exception_handler(of_sql, _database)
    for unstorable in (DataError, UnicodeEncodeError):
        app.add_exception_handler(unstorable, _unstorable)
    for foreign in TRANSLATED:
        app.add_exception_handler(foreign, _translated)


class _OneEnvelope:
    """Puts the envelope in the place of the plain text with which the framework refuses a body that is too large."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        error = errors.TooLarge("the body has more bytes than this route takes")
        self._body = JSONResponse(error.envelope()).body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, and its answer."""
        is_plain = False

        async def told(message: Message) -> None:
            nonlocal is_plain
            if message["type"] == "http.response.start" and message["status"] == errors.TooLarge.status:
                headers = MutableHeaders(scope=message)
                is_plain = headers.get("content-type", "").startswith("text/plain")
                if is_plain:
                    headers.update({"content-type": "application/json", "content-length": str(len(self._body))})
            elif is_plain and message["type"] == "http.response.body":
                message = {"type": "http.response.body", "body": self._body}
            await send(message)

        await self.app(scope, receive, told)


def _answer(error: StudioError) -> JSONResponse:
    headers = {"www-authenticate": "Bearer"} if isinstance(error, errors.Unauthorized) else None
    if isinstance(error, errors.TooManyRequests):
        headers = {"retry-after": str(math.ceil(error.retry_after_s))}
    return JSONResponse(error.envelope(), error.status, headers=headers)


def _studio_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StudioError)  # noqa: S101  # by registration
    return _answer(error)


def _translated(_: Request, error: Exception) -> JSONResponse:
    kind = next(kind for foreign, kind in TRANSLATED.items() if isinstance(error, foreign))
    return _answer(kind(str(error)))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first = error.errors()[0]
    if first["type"] == "json_invalid" and (unknown := await _unknown(request)) is not None:
        return unknown
    place = [str(part) for part in first["loc"] if part not in {"body", "query", "path", "header"}]
    param = ".".join(place) or None
    message = str(first["msg"]).removeprefix("Value error, ")
    return _answer(errors.Invalid(f"{param}: {message}" if param else message, param=param))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == 400 and (unknown := await _unknown(request)) is not None:
        return unknown
    message = str(error.detail)
    if error.status_code == 404:
        message = f"there is no route {request.method} {request.url.path}"
    kind = BY_STATUS.get(error.status_code, errors.BadRequest)
    body = kind(message).envelope()
    return JSONResponse(body, error.status_code, headers=error.headers)


async def _unknown(request: Request) -> JSONResponse | None:
    """Answer whoever shows no valid key with that: a body is parsed before anybody is asked who they are."""
    try:
        await identify(request, None)
    except errors.Unauthorized as error:
        return _answer(error)
    except (DBAPIError, PoolTimeout) as error:
        return _database(request, error)
    return None


def _unstorable(_: Request, error: Exception) -> JSONResponse:
    logger.warning("refused what cannot be stored: %s", type(error).__name__)
    return _answer(errors.Invalid("there is a character in it, or a number, that cannot be stored"))


def _database(request: Request, error: Exception) -> JSONResponse:
    if not is_away(error):
        logger.error("a bug in %s %r", request.method, request.url.path, exc_info=error)
        return _bug(request, error)
    return _answer(
        errors.StudioNotReady("the database does not answer; ask again in a moment, with the same Idempotency-Key")
    )


def _bug(_: Request, __: Exception) -> JSONResponse:
    return _answer(StudioError("an error of the studio itself; its API log says more (logs/api.log)"))
