"""The log of every process: lines for people, or an object a line for a collector; no secret, no prompt unasked.

What work a line belongs to comes from `workers.about`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

from orchestrator.settings import Settings
from tools.solutions.base import Secret, SolutionError
from workers.about import current

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
ACCESS = "atelier.access"
CHATTY = (  # loggers that tell each request or each message
    "httpx",
    "httpcore",
    "urllib3",
    "botocore",
    "aiobotocore",
    "fsspec",
    "chromadb",
)
CUT = "***"
SHORTEST = 6  # a secret of fewer letters would cut ordinary words to pieces
HELD_BACK = "…"
NAMES_OF_CHOICES = {"model", "kind", "style", "mode", "format"}  # arguments that say nothing private
SECRET_NAME = re.compile(
    r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|API_?KEY|ACCESS_KEY|ADMIN_KEY|_HEADERS$", re.IGNORECASE
)
# What looks like a secret wherever it comes from: in a header, in a URL, in a foreign message.
SHAPES = tuple(
    re.compile(before + what, re.IGNORECASE)
    for before, what in (
        (r"(://[^\s/:@]*:)", r"[^\s/@]+(?=@)"),
        (r"(\b(?:bearer|basic)\s+)", r"[\w.~+/=-]{6,}"),
        (r"((?:x-amz-(?:signature|credential|security-token)|signature|awsaccesskeyid)=)", r"[^&\s'\"]+"),
        (
            r"((?:api[_-]?key|password|passwd|client_secret|access_token|x-[\w-]*key)[\"']?\s*[:=]\s*[\"']?)",
            r"[^\s\"'&,}]+",
        ),
    )
)
INPUT = re.compile(r"input_value=.*?, input_type=", re.DOTALL)  # pydantic quotes what it was given


def configure(settings: Settings, part: str) -> None:
    """Send every logger of this process, the libraries' too, to one handler on standard error.

    Args:
        part: which process this is: api, worker, studio.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(settings, part))
    handler.addFilter(_is_news)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # a receiver that is away is told once, not each try
    logging.getLogger(ACCESS).setLevel(logging.INFO if settings.log_format == "json" else logging.WARNING)
    logging.captureWarnings(capture=True)


def formatter(settings: Settings, part: str, line: str = LINE) -> logging.Formatter:
    """Give what writes the lines of a process; `line` is their form for people."""
    cleaner = Cleaner(secrets(settings), show_private=settings.log_prompts)
    return Objects(cleaner, part) if settings.log_format == "json" else Lines(cleaner, line)


def _is_news(record: logging.LogRecord) -> bool:
    """Say whether it was not told already: the server repeats an exception that the application has logged."""
    return not (record.name == "uvicorn.error" and str(record.msg).startswith("Exception in ASGI application"))


def secrets(settings: Settings) -> list[str]:
    """Give every secret that this process can know of: settings, passwords in URLs, the environment, solutions."""
    found = {value for name, value in os.environ.items() if SECRET_NAME.search(name)}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            found.add(value.get_secret_value())
        elif isinstance(value, str) and "://" in value and (password := urlsplit(value).password):
            found |= {password, unquote(password)}
    found.update(_declared(settings.solutions))
    lines = {line for value in found for line in (value, *value.splitlines())}
    return sorted((line for line in lines if len(line) >= SHORTEST), key=len, reverse=True)


def _declared(value: Any) -> Iterator[str]:
    """Give the secrets that declarations of solutions name, where they can be read here."""
    if isinstance(value, Secret):
        try:
            yield value.read()
        except SolutionError:
            return
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _declared(getattr(value, name))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _declared(one)


class Cleaner:
    """Cuts secrets out of what is written, and texts that are private to whoever asked."""

    def __init__(self, secrets: Sequence[str], *, show_private: bool) -> None:
        self._known = re.compile("|".join(map(re.escape, secrets))) if secrets else None
        self._show_private = show_private

    def __call__(self, text: str) -> str:
        """Give a text without them."""
        if self._known is not None:
            text = self._known.sub(CUT, text)
        for shape in SHAPES:
            text = shape.sub(rf"\1{CUT}", text)
        if not self._show_private:
            text = INPUT.sub(f"input_value={HELD_BACK}, input_type=", text)
            for private in sorted(set(_texts(current().private)), key=len, reverse=True):
                text = text.replace(private, HELD_BACK)
        return text


def _texts(value: Any) -> Iterator[str]:
    """Give the texts in arguments, also as a message or a traceback would quote them."""
    if isinstance(value, str):
        if len(value) > 2 and value[0] not in "@$":
            yield from (value, repr(value)[1:-1], json.dumps(value)[1:-1])
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if name not in NAMES_OF_CHOICES:
                yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


class Lines(logging.Formatter):
    """A line for people."""

    def __init__(self, cleaner: Cleaner, line: str) -> None:
        super().__init__(line)
        self._cleaner = cleaner

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        about = current().fields
        where = " ".join(f"{name}={about[name]}" for name in ("request", "run", "step") if name in about)
        return self._cleaner(super().format(record) + (f" [{where}]" if where else ""))


class Objects(logging.Formatter):
    """An object a line: time, level, logger, message, process, exception, and the ids of the work."""

    def __init__(self, cleaner: Cleaner, part: str) -> None:
        super().__init__()
        self._cleaner = cleaner
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        """Give the object in JSON."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._cleaner(record.getMessage()),
            "process": self._part,
            "pid": record.process,
            **current().fields,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            said["exception"] = self._cleaner(self.formatException(record.exc_info))
        return json.dumps(said, default=str)
