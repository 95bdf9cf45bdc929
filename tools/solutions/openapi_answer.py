"""What a service answered: a part, or what it says went wrong."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from tools.fetch import Fetched
from tools.solutions.base import Part, Returned, SolutionAway, SolutionFault, SolutionSaid

MESSAGE = 500
# It would perhaps answer later: too early, too many requests, and what stands before the service.
LATER = frozenset({408, 425, 429})
# Where services put their words, best first.
_WORDS = ("detail", "message", "error_description", "error", "title", "msg", "errors")


def returned(answer: Fetched, secrets: Collection[str]) -> Returned:
    """Give the parts of an answer.

    Args:
        secrets: what no message may hold, also where the service sends it back.

    Raises:
        SolutionSaid: it refused (4xx). SolutionAway: it does not work just now. SolutionFault: it is no answer, or it
            does not take our key.
    """
    status = answer.status
    if status in LATER or status >= 500:
        raise SolutionAway(f"it answered {_named(status)}{_wait(answer)}")
    if status == 401:
        raise SolutionFault(f"it answered {_named(status)}: the key that the declaration names is missing or not valid")
    if status >= 400:
        words = _message(answer, secrets)
        raise SolutionSaid(f"{_named(status)}: {words}" if words else _named(status))
    if not 200 <= status < 300:
        raise SolutionFault(f"it answered {_named(status)}, which is neither an answer nor an error")
    if not answer.content:
        return Returned((Part("text/plain", f"It answered {_named(status)}, without content.".encode()),))
    return Returned((Part(answer.media_type, _utf8(answer)),))


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _wait(answer: Fetched) -> str:
    after = answer.headers.get("retry-after", "")
    return f" and asks to wait {after} s" if after.isdecimal() and len(after) < 6 else ""


def _message(answer: Fetched, secrets: Collection[str]) -> str:
    """Give the service's own words on one line, without secrets, cut: after that a part of one is not recognised."""
    if answer.media_type == "text/html":
        return ""
    text = answer.content.decode(errors="replace")
    if answer.media_type == "application/json" or answer.media_type.endswith("+json"):
        with contextlib.suppress(ValueError, RecursionError):
            text = _words(json.loads(answer.content)) or text
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    text = text[: 20 * MESSAGE]
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= MESSAGE else line[: MESSAGE - 1] + "…"


def _words(said: Any) -> str:
    """Find the sentence in what JSON says about an error."""
    if isinstance(said, dict):
        found = next((said[key] for key in _WORDS if said.get(key)), None)
        where = said.get("loc")
        place = f"{'.'.join(map(str, where))}: " if isinstance(where, list) and where else ""
        return f"{place}{_words(found)}" if found is not None else ""
    if isinstance(said, list):
        return "; ".join(filter(None, map(_words, said[:5])))
    return said if isinstance(said, str) else ""


def _utf8(answer: Fetched) -> bytes:
    """Give a text of another alphabet in UTF-8, and all else as it is."""
    _, _, parameters = answer.headers.get("content-type", "").lower().partition("charset=")
    charset = parameters.split(";")[0].strip(" \"'")
    if not answer.media_type.startswith("text/") or charset in {"", "utf-8", "utf8"}:
        return answer.content
    try:
        return answer.content.decode(charset).encode()
    except (LookupError, ValueError):
        return answer.content
