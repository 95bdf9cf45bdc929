"""Everything that the front of the studio refuses or cannot do: one tree, an HTTP status a class."""

from __future__ import annotations

from typing import Any, ClassVar


class StudioError(Exception):
    """Something that the caller can understand and act on; anything else is a bug.

    Attributes:
        status: the HTTP status that the API answers with.
        code: a stable word for programs.
        param: the name of the argument at fault, if there is one.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "studio_error"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def envelope(self) -> dict[str, dict[str, str | None]]:
        """Give the body of the HTTP answer."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"code": self.code, "message": self.message, "type": kind, "param": self.param}}


class SettingsError(StudioError):
    """A setting is unknown, has a value that does not fit, or is not safe."""

    code = "bad_settings"


class StudioHeld(StudioError):
    """Another process runs a studio on this data folder."""

    status = 409
    code = "studio_held"


class StudioNotReady(StudioError):
    """A part of the studio is not there yet, or no longer."""

    status = 503
    code = "not_ready"


class BadRequest(StudioError):
    """The request does not make sense as it was sent."""

    status = 400
    code = "bad_request"


class Unauthorized(StudioError):
    """The request needs a key, or one that is valid."""

    status = 401
    code = "unauthorized"


class Forbidden(StudioError):
    """The key does not go that far, or the request comes from a page or for a host that this studio does not serve."""

    status = 403
    code = "forbidden"


class NotFound(StudioError):
    """There is no such thing, or it belongs to somebody else."""

    status = 404
    code = "not_found"


class ModelNotFound(NotFound):
    """There is no model of this name."""

    code = "model_not_found"


class MethodNotAllowed(StudioError):
    """The route exists, and does something else."""

    status = 405
    code = "method_not_allowed"


class Conflict(StudioError):
    """The thing is in a state that does not allow this."""

    status = 409
    code = "conflict"


class TooLarge(StudioError):
    """What was sent is larger than this studio takes."""

    status = 413
    code = "too_large"


class Unsupported(StudioError):
    """What was sent is of a type that this studio does not take."""

    status = 415
    code = "unsupported_media_type"


class RangeNotSatisfiable(StudioError):
    """The range of bytes that was asked for lies outside the content."""

    status = 416
    code = "range_not_satisfiable"


class Invalid(StudioError):
    """The request was understood, and a value in it does not fit."""

    status = 422
    code = "invalid"


class TooManyRequests(StudioError):
    """Too much waits, or a limit of the key is reached; `Retry-After` says in how many seconds to ask again."""

    status = 429
    code = "too_many_requests"

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: float) -> None:
        super().__init__(message, param=param)
        self.retry_after_s = retry_after_s


class QuotaExceeded(TooManyRequests):
    """A limit of the key is reached."""

    code = "quota_exceeded"


class NotAnswered(StudioError):
    """A worker was asked and did not answer in time."""

    status = 504
    code = "not_answered"


class RunFailed(StudioError):
    """The request was accepted and carried out, and its run failed; the message says why and names the run."""

    status = 500
    code = "run_failed"


ERROR_REF = {"$ref": "#/components/schemas/ErrorAnswer"}  # orchestrator.api.described adds it


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Give what the description of a route says of its errors."""
    said = {kind.status: " ".join((kind.__doc__ or "").split()) for kind in StudioError.__subclasses__()}
    content = {"application/json": {"schema": ERROR_REF}}
    return {status: {"description": said[status], "content": content} for status in statuses}
