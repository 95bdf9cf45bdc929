"""From the arguments of a call to the request that carries them."""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from tools.solutions.base import SolutionSaid
from tools.solutions.openapi_arguments import FORM, MULTIPART, TEXT, Argument
from tools.solutions.openapi_operations import Operation

MAX_URL = 16_000
Given = list[tuple[Argument, Any]]
JOINED = {"form": ",", "simple": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}


@dataclass(frozen=True)
class Request:
    """A request, without what proves who asks."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""


def request(operation: Operation, base: str, args: Mapping[str, Any]) -> Request:
    """Write a call as a request.

    Args:
        base: address of the service; the operation's path comes after it.
        args: by the names of the tool's arguments; None is left out where it may be.

    Raises:
        SolutionSaid: an argument is missing, unknown, or cannot stand where it belongs.
    """
    try:
        return _written(operation, base, _given(operation, args))
    except UnicodeEncodeError as error:
        raise SolutionSaid(f"an argument of {operation.tool.name!r} holds what is no text") from error


def _written(operation: Operation, base: str, given: Given) -> Request:
    path = _path(operation, given)
    query = "&".join(
        f"{name}={value}" for one, value in given if one.where == "query" for name, value in _query(one, value)
    )
    url = base.rstrip("/") + path + (f"?{query}" if query else "")
    if len(url) > MAX_URL:
        raise SolutionSaid(f"the arguments of {operation.tool.name!r} are too long for an address")
    headers = {one.own: _simple(one, value) for one, value in given if one.where == "header"}
    content_type, content = _body(operation, [pair for pair in given if pair[0].where == "body"])
    return Request(operation.method, url, headers | ({"Content-Type": content_type} if content_type else {}), content)


def _given(operation: Operation, args: Mapping[str, Any]) -> Given:
    known = {one.name: one for one in operation.arguments}
    for name in args:
        if name not in known:
            raise SolutionSaid(
                f"{operation.tool.name!r} has no argument {name!r}; it has: {', '.join(known) or 'none'}"
            )
    for one in operation.arguments:
        if one.required and (one.name not in args or (args[one.name] is None and one.where != "body")):
            raise SolutionSaid(f"{operation.tool.name!r} needs the argument {one.name!r}")
    return [(known[name], value) for name, value in args.items() if value is not None or known[name].required]


def _path(operation: Operation, given: Given) -> str:
    path = operation.path
    for one, value in given:
        if one.where == "path":
            path = path.replace(f"{{{one.own}}}", _segment(one, value))
    if any(segment in {".", ".."} for segment in path.split("/")):
        raise SolutionSaid(f"an argument of {operation.tool.name!r} would lead to another path")
    return path


def _segment(one: Argument, value: Any) -> str:
    """Write what stays within its part of a path, also at servers that unpack "%2F" before they look."""
    text = _joined(one, value)
    plain = _texts(value)
    if not text or any(sign in "/\\" or not sign.isprintable() for each in plain for sign in each):
        raise SolutionSaid(f"the argument {one.name!r} is one part of a path: not empty, without slashes")
    return text


def _query(one: Argument, value: Any) -> Iterator[tuple[str, str]]:
    name = quote(one.own, safe="")
    if isinstance(value, Mapping) and one.style == "deepObject":
        yield from ((f"{name}%5B{quote(key, safe='')}%5D", quote(_text(each), safe="")) for key, each in value.items())
    elif isinstance(value, Mapping) and one.style == "form" and one.explode:
        yield from ((quote(key, safe=""), quote(_text(each), safe="")) for key, each in value.items())
    elif isinstance(value, list | tuple) and one.explode and one.style != "json":
        yield from ((name, quote(_text(each), safe="")) for each in value)
    else:
        yield name, _joined(one, value)


def _joined(one: Argument, value: Any) -> str:
    """Write a value as one text, escaped."""
    if one.style == "json":
        return quote(_json(value), safe="")
    if isinstance(value, Mapping) and one.explode:
        return ",".join(f"{quote(key, safe='')}={quote(_text(each), safe='')}" for key, each in value.items())
    return JOINED.get(one.style, ",").join(quote(each, safe="") for each in _texts(value))


def _simple(one: Argument, value: Any) -> str:
    """Write a header's value; what no header can hold is refused where it is sent."""
    text = _json(value) if one.style == "json" else ",".join(_texts(value))
    if not text.isprintable():
        raise SolutionSaid(f"the argument {one.name!r} is a header: one line of text")
    return text


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for key, each in value.items() for text in (key, _text(each))]
    return [_text(each) for each in value] if isinstance(value, list | tuple) else [_text(value)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _body(operation: Operation, given: Given) -> tuple[str, bytes]:
    """Give the type and the bytes of the body; nothing where there is none."""
    body = operation.body
    if body is None or (not given and not body.required):
        return "", b""
    whole = [(one, value) for one, value in given if not one.own]
    if whole:
        one, value = whole[0]
        if one.is_raw:
            return body.media_type, _bytes(one, value)
        return body.media_type, (_text(value) if body.media_type == TEXT else _json(value)).encode()
    if body.media_type == MULTIPART:
        return _multipart(given)
    fields = {one.own: value for one, value in given}
    if body.media_type == FORM:
        pairs = [(name, text) for name, value in fields.items() for text in _form(value)]
        return FORM, urlencode(pairs).encode()
    return body.media_type, _json(fields).encode()


def _form(value: Any) -> list[str]:
    return [_text(each) for each in value] if isinstance(value, list | tuple) else [_text(value)]


def _multipart(given: Given) -> tuple[str, bytes]:
    parts: list[tuple[str, tuple[str | None, bytes, str | None]]] = []
    for one, value in given:
        for each in value if isinstance(value, list | tuple) else [value]:
            media_type = one.media_type if one.media_type and "*" not in one.media_type else None
            if one.is_raw:
                name = one.own[:64] + (mimetypes.guess_extension(media_type or "") or "")
                part = (name, _bytes(one, each), media_type or "application/octet-stream")
                parts.append((one.own, part))
            else:
                parts.append((one.own, (None, _text(each).encode(), media_type)))
    written = httpx.Request("POST", "http://body.invalid/", files=parts)
    return written.headers["Content-Type"], written.read()


def _bytes(one: Argument, value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise SolutionSaid(f"the argument {one.name!r} is a file; its content is given in base64") from error
