"""The arguments of an operation, on one level: parameters, and the properties of its body."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tools.solutions.base import SolutionFault
from tools.solutions.openapi_document import WORDS, Document, Schemas
from tools.solutions.openapi_nodes import BodyNode, EncodingNode, MediaNode, OperationNode, ParameterNode

Where = Literal["path", "query", "header", "body"]
PLACES: tuple[Where, ...] = ("path", "query", "header")
STYLES: Mapping[str, Collection[str]] = {
    "path": {"simple"},
    "query": {"form", "spaceDelimited", "pipeDelimited", "deepObject"},
    "header": {"simple"},
}
JSON = "application/json"
MULTIPART = "multipart/form-data"
FORM = "application/x-www-form-urlencoded"
TEXT = "text/plain"
# How a body is written, best first. "*/*" is a service that does not say, and means JSON.
BODIES = (JSON, MULTIPART, FORM, "*/*", TEXT)
BINARY = ("image/", "audio/", "video/", "application/octet-stream")


@dataclass(frozen=True)
class Argument:
    """Where an argument of a tool goes in the request.

    Attributes:
        name: what the tool calls it.
        own: what the service calls it; empty where it is the whole body.
        style, explode: how lists and objects are written (OpenAPI's words); "json" for a parameter that holds JSON.
        is_raw: its value is base64 and goes as the bytes that it stands for.
        media_type: of its bytes, where the document says it.
    """

    name: str
    own: str
    where: Where
    required: bool
    schema: Mapping[str, Any]
    style: str = "simple"
    explode: bool = False
    is_raw: bool = False
    media_type: str = ""


@dataclass(frozen=True)
class Body:
    """How a request's body is written; `required` is sent also where no argument goes into it."""

    media_type: str
    required: bool
    arguments: tuple[Argument, ...]


def parameters(
    document: Document, schemas: Schemas, nodes: Sequence[OperationNode], hidden: Collection[str]
) -> Iterator[Argument]:
    """Give the arguments that go into path, query and headers; a later node's parameters replace an earlier one's.

    Args:
        hidden: headers, in lower case, that no argument may set.
    """
    found: dict[tuple[str, str], ParameterNode] = {}
    for node in nodes:
        for reference in node.parameters:
            one = ParameterNode.model_validate(document.follow(reference)[0])
            found[one.place, one.name] = one
    for where in PLACES:
        for one in found.values():
            if one.place == where and not (where == "header" and one.name.lower() in hidden):
                yield _parameter(schemas, where, one)
    for one in found.values():
        if one.place not in PLACES and one.required:
            raise SolutionFault(f"it needs {one.name!r} in {one.place[:40]!r}, which is not supported")


def _parameter(schemas: Schemas, where: Where, node: ParameterNode) -> Argument:
    style = node.style or ("form" if where == "query" else "simple")
    described = node.described
    if node.content:
        style, described = "json", next(iter(node.content.values())).described
    elif style not in STYLES[where]:
        raise SolutionFault(f"the style {style[:40]!r} of the parameter {node.name!r} is not supported")
    return Argument(
        "",
        node.name,
        where,
        where == "path" or node.required,
        _described(schemas.write(described), node.description),
        style,
        style == "form" if node.explode is None else node.explode,
    )


def body(document: Document, schemas: Schemas, node: OperationNode) -> Body | None:
    """Give how the body is written, and the arguments that go into it; None where there is none.

    Raises:
        SolutionFault: it is in a form that we do not write.
    """
    if node.body is None:
        return None
    described = BodyNode.model_validate(document.follow(node.body)[0])
    said, media_type = _chosen(described.content)
    if media_type.startswith(BINARY):
        schema = _described(_raw({}, media_type), described.description)
        whole = Argument("", "", "body", described.required, schema, is_raw=True, media_type=media_type)
        return Body(media_type, described.required, (whole,))
    media = described.content[said]
    schema = schemas.write(media.described)
    properties, needed = _properties(schema)
    if properties and media_type != TEXT:
        return Body(media_type, described.required, tuple(_fields(properties, needed, media, media_type, described)))
    if media_type in {MULTIPART, FORM}:
        raise SolutionFault("its form has no fields that are described")
    whole = Argument("", "", "body", described.required, _described(schema, described.description))
    return Body(media_type, described.required, (whole,))


def _chosen(content: Mapping[str, MediaNode]) -> tuple[str, str]:
    """Choose how the body is written: what the document calls it, and its media type."""
    plain = {said: said.split(";", maxsplit=1)[0].strip().lower() for said in content}
    for wanted in BODIES:
        for said, media_type in plain.items():
            if media_type == wanted or (wanted == JSON and media_type.endswith("+json")):
                return said, JSON if media_type == "*/*" else media_type
    for said, media_type in plain.items():
        if media_type.startswith(BINARY):
            return said, media_type
    raise SolutionFault(f"its body is {', '.join(content)[:80] or 'not described'}, which is not supported")


def _properties(schema: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Give the properties of an object, also of one that is put together from several."""
    properties, required = dict(schema.get("properties", {})), set(schema.get("required", ()))
    for part in schema.get("allOf", ()):
        more, needed = _properties(part)
        properties, required = more | properties, required | needed
    return properties, required


def _fields(
    properties: Mapping[str, Any], needed: Collection[str], media: MediaNode, media_type: str, described: BodyNode
) -> Iterator[Argument]:
    for name, schema in properties.items():
        argument = Argument("", name, "body", described.required and name in needed, schema)
        yield _part(argument, media.encoding.get(name)) if media_type == MULTIPART else argument


def _part(argument: Argument, encoding: EncodingNode | None) -> Argument:
    """Give a field of a multipart form; a file's bytes go as they are."""
    schema, is_many = argument.schema, argument.schema.get("type") == "array"
    item = schema.get("items", {}) if is_many else schema
    said = (encoding.content_type if encoding else None) or item.get("contentMediaType")
    media_type = said.split(",")[0].split(";")[0].strip() if isinstance(said, str) else ""
    is_file = item.get("format") == "binary" or "contentMediaType" in item
    if not is_file or "contentEncoding" in item:
        return replace(argument, media_type=media_type)
    raw = _raw(item, media_type)
    return replace(argument, media_type=media_type, schema={**schema, "items": raw} if is_many else raw, is_raw=True)


def _raw(schema: Mapping[str, Any], media_type: str) -> dict[str, Any]:
    """Describe bytes that travel as they are: within the studio they are base64."""
    known = {"type": "string", "contentEncoding": "base64"} | ({"contentMediaType": media_type} if media_type else {})
    return known | {key: schema[key] for key in ("description",) if key in schema}


def _described(schema: dict[str, Any], words: str | None) -> dict[str, Any]:
    return schema | {"description": words[:WORDS]} if words else schema


def named(arguments: Sequence[Argument]) -> tuple[Argument, ...]:
    """Give each argument a name of its own: the service's, as an identifier, with its place where two would be one.

    Raises:
        SolutionFault: two are one also with their place.
    """
    found: dict[str, Argument] = {}
    for one in arguments:
        name = _identifier(one.own or "body")
        name = f"{name}_{one.where}" if name in found else name
        if name in found:
            raise SolutionFault(f"it has several arguments that would be called {name!r}")
        found[name] = replace(one, name=name)
    return tuple(found.values())


def _identifier(own: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9]+", "_", own).strip("_")[:56]
    return plain if plain[:1].isalpha() else f"arg_{plain}".rstrip("_")
