"""Turns every error into the one envelope; foreign errors are translated here and nowhere else."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from orchestrator import errors
from orchestrator.errors import StudioError
from store.assets import UnknownAsset
from store.blobs import BlobError
from store.runs import UnknownId, WrongState
from workers.messages import NoWorker

logger = logging.getLogger("atelier.api")

TRANSLATED: dict[type[Exception], type[StudioError]] = {
    UnknownId: errors.NotFound,
    UnknownAsset: errors.NotFound,
    WrongState: errors.Conflict,
    NoWorker: errors.NotAnswered,
    BlobError: errors.NotFound,
}
BY_STATUS: dict[int, type[StudioError]] = {
    kind.status: kind
    for kind in (errors.BadRequest, errors.Forbidden, errors.NotFound, errors.TooLarge, errors.Unsupported)
}


def install(app: FastAPI) -> None:
    """Give an application its handlers."""
    app.add_exception_handler(StudioError, _studio_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)
    for foreign in TRANSLATED:
        app.add_exception_handler(foreign, _translated)


def _answer(error: StudioError, headers: Any = None) -> JSONResponse:
    return JSONResponse(error.envelope(), error.status, headers=headers)


def _studio_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StudioError)  # noqa: S101  # by registration
    return _answer(error)


def _translated(_: Request, error: Exception) -> JSONResponse:
    kind = next(kind for foreign, kind in TRANSLATED.items() if isinstance(error, foreign))
    return _answer(kind(str(error)))


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in {"body", "query", "path", "header"}]
    param = ".".join(place) or None
    message = str(first["msg"]).removeprefix("Value error, ")
    return _answer(errors.Invalid(f"{param}: {message}" if param else message, param=param))


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    message = str(error.detail)
    if error.status_code == 404:
        message = f"there is no route {request.method} {request.url.path}"
    kind = BY_STATUS.get(error.status_code, errors.BadRequest)
    body = kind(message).envelope()
    return JSONResponse(body, error.status_code, headers=error.headers)


def _bug(request: Request, error: Exception) -> JSONResponse:
    logger.error("a bug in %s %s", request.method, request.url.path, exc_info=error)
    return _answer(StudioError("an error of the studio itself; its API log says more (logs/api.log)"))
