"""Operations of an OpenAPI document as tools."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tools.solutions.base import OfferedTool, SolutionFault
from tools.solutions.openapi_arguments import Argument, Body, body, named, parameters
from tools.solutions.openapi_document import WORDS, Document, Schemas
from tools.solutions.openapi_nodes import OperationNode

MAX_TOOLS = 128
MAX_PATH = 300
DESCRIPTION = 500
EXAMPLES = 8
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
READING = frozenset({"get", "head"})


@dataclass(frozen=True)
class Operation:
    """An operation that can be called; `path` is its template, without the server's own path."""

    method: str
    path: str
    tool: OfferedTool
    arguments: tuple[Argument, ...]
    body: Body | None


def operations(
    document: Document, chosen: Sequence[str] | None, prefix: str, hidden: Collection[str]
) -> dict[str, Operation]:
    """Give the operations that are offered, by the name of their tool.

    Args:
        chosen: operationIds or names of tools; None takes all that only read (GET and HEAD) and can be used.
        prefix: the path of the server, for descriptions.
        hidden: headers, in lower case, that no argument may set.

    Raises:
        SolutionFault: a chosen one is missing or cannot be used, two have one name, or there are too many.
    """
    wanted = list(_wanted(document, chosen))
    if len(wanted) > MAX_TOOLS:
        raise SolutionFault(f"{len(wanted)} operations would be offered, at most {MAX_TOOLS} can be; choose in `tools`")
    found: dict[str, Operation] = {}
    for each in wanted:
        try:
            operation = _operation(document, each, prefix, hidden)
        except (SolutionFault, ValidationError) as fault:
            if chosen is None:
                continue
            raise SolutionFault(f"the operation {each.id[:64]!r} cannot be used: {_said(fault)}") from fault
        name = operation.tool.name
        if name in found:
            raise SolutionFault(
                f"{each.id[:64]!r} and another operation are both called {name!r}; choose one in `tools`"
            )
        found[name] = operation
    if not found:
        raise SolutionFault("it has no operation that only reads and can be used; choose others in `tools`")
    return found


def tool_name(operation_id: str) -> str:
    """Make a name of words in lower case: `getProductById` becomes `get_product_by_id`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", operation_id[:256])
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return (name if name[:1].isalpha() else f"op_{name}")[:64].rstrip("_")


@dataclass(frozen=True)
class _Found:
    """An operation as it stands in the document."""

    id: str
    method: str
    path: str
    item: Mapping[str, Any]
    node: Mapping[str, Any]


def _wanted(document: Document, chosen: Sequence[str] | None) -> Iterator[_Found]:
    every = list(_every(document))
    if chosen is None:
        yield from (each for each in every if each.method in READING and each.node.get("deprecated") is not True)
        return
    for name in dict.fromkeys(chosen):
        fitting = [each for each in every if each.id == name] or [each for each in every if tool_name(each.id) == name]
        if not fitting:
            known = ", ".join(each.id[:64] for each in every[:20]) or "none"
            raise SolutionFault(f"`tools` names {name!r}, and there is no such operation; there are: {known}")
        if len(fitting) > 1:
            ids = ", ".join(f"{each.id[:64]} ({each.method.upper()} {each.path})" for each in fitting[:4])
            raise SolutionFault(f"`tools` names {name!r}, which several operations are called: {ids}")
        yield fitting[0]


def _every(document: Document) -> Iterator[_Found]:
    paths = document.root.get("paths")
    for path, reference in paths.items() if isinstance(paths, Mapping) else ():
        if not path.startswith("/") or len(path) > MAX_PATH or set(path) & set("?#\\"):
            continue
        try:
            item, _ = document.follow(reference)
        except SolutionFault:
            continue
        for method in METHODS:
            node = item.get(method)
            if isinstance(node, Mapping):
                own = node.get("operationId")
                yield _Found(own if isinstance(own, str) and own else f"{method} {path}", method, path, item, node)


def _operation(document: Document, found: _Found, prefix: str, hidden: Collection[str]) -> Operation:
    shared = OperationNode.model_validate(
        {key: found.item[key] for key in ("parameters", "servers") if key in found.item}
    )
    node = OperationNode.model_validate(found.node)
    if shared.servers or node.servers:
        raise SolutionFault("it names a server of its own")
    schemas = Schemas(document)
    of_request = list(parameters(document, schemas, (shared, node), hidden))
    content = body(document, schemas, node)
    arguments = named([*of_request, *(content.arguments if content else ())])
    for place in re.findall(r"\{([^{}]*)\}", found.path):
        if not any(one.where == "path" and one.own == place for one in arguments):
            raise SolutionFault(f"its path has {place!r}, which no parameter describes")
    tool = OfferedTool(
        tool_name(found.id),
        _description(node, f"{found.method.upper()} {prefix}{found.path}"),
        _schema(arguments),
        sends=found.method not in READING,
        examples=tuple(_examples(node)),
    )
    return Operation(found.method.upper(), found.path, tool, arguments, content)


def _schema(arguments: Sequence[Argument]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {one.name: dict(one.schema) for one in arguments},
        "required": [one.name for one in arguments if one.required],
        "additionalProperties": False,
    }


def _description(node: OperationNode, asks: str) -> str:
    """Say what it is for, and what it asks: who approves a tool sees it, and another path is another tool."""
    said = [text.strip().rstrip(".") for text in (node.summary, node.description) if text and text.strip()]
    return f"{'. '.join(dict.fromkeys(said))[:DESCRIPTION]} ({asks})".strip()


def _examples(node: OperationNode) -> Iterator[dict[str, Any]]:
    for example in node.examples[:EXAMPLES]:
        if isinstance(example, dict) and isinstance(example.get("say"), str) and isinstance(example.get("args"), dict):
            yield {"say": example["say"][:WORDS], "args": example["args"]}


def _said(fault: SolutionFault | ValidationError) -> str:
    if isinstance(fault, SolutionFault):
        return str(fault)
    first = fault.errors()[0]
    return f"{'.'.join(map(str, first['loc']))[:80]}: {first['msg'][:120]}"
