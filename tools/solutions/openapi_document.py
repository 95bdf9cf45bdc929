"""An OpenAPI 3 document as others wrote it: read within limits, its references followed within itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from tools.solutions.base import SolutionFault

DOCUMENT_BYTES = 8 << 20
YAML_BYTES = 2 << 20  # a hundred times slower to read than JSON
YAML_DEPTH = 64
REFERENCES = 64  # from one reference to the next, before something stands there

SCHEMA_DEPTH = 8
SCHEMA_LETTERS = 24_000  # of all schemas of an operation; what comes after accepts anything
NODE_LETTERS = 30  # of a schema's braces and names, also where it says nothing
KEYWORD_LETTERS = 4_000
WORDS = 300

_ONE = ("items", "additionalProperties", "not")
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength")
_COUNTS = ("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties")
_MEANING = ("type", "enum", "const", "default", "format", "nullable", "pattern", "contentMediaType", "contentEncoding")
_KEPT = frozenset((*_LIMITS, *_COUNTS, *_MEANING))


class Document:
    """A document, and what its references lead to.

    Args:
        content: its bytes, JSON or YAML.

    Raises:
        SolutionFault: it is not an OpenAPI 3 document, or larger than we read.
    """

    def __init__(self, content: bytes) -> None:
        self.root = _parsed(content)
        version = self.root.get("openapi")
        if not isinstance(version, str) or not version.startswith("3."):
            raise SolutionFault("the document is not of OpenAPI 3 (it has no `openapi: 3.…`); convert it first")

    def follow(self, node: Any, within: tuple[str, ...] = ()) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Give what stands at the end of references, and the references that led there.

        Raises:
            SolutionFault: nothing stands there, it is in another document, or they go in a circle.
        """
        while isinstance(node, Mapping) and "$ref" in node:
            reference = node["$ref"]
            if reference in within or len(within) > REFERENCES:
                raise SolutionFault(f"the reference {_short(reference)} leads back to itself")
            within = (*within, reference)
            node = self._at(reference)
        if not isinstance(node, Mapping):
            raise SolutionFault(f"{_short(node)} stands where the document should describe something")
        return node, within

    def _at(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise SolutionFault(f"the reference {_short(reference)} leads out of the document, which is not followed")
        node: Any = self.root
        for part in reference[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, Mapping) or key not in node:
                raise SolutionFault(f"the reference {_short(reference)} leads to nothing")
            node = node[key]
        return node


class Schemas:
    """Writes schemas of one operation out, without references, and no longer than they may be together.

    Where a schema holds itself, is nested too deeply, or the letters are used up, it accepts anything: the service
    checks what it is sent.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._letters = SCHEMA_LETTERS

    def write(self, node: Any, depth: int = 0, within: tuple[str, ...] = ()) -> dict[str, Any]:
        """Give a schema.

        Raises:
            SolutionFault: a reference leads to nothing.
        """
        if isinstance(node, bool):
            return {} if node else {"not": {}}
        if isinstance(node, Mapping) and node.get("$ref") in within:
            return {}
        node, within = self._document.follow(node, within)
        written = self._leaves(node)
        if depth < SCHEMA_DEPTH and self._letters > 0:
            written |= self._branches(node, depth + 1, within)
        return written

    def _leaves(self, node: Mapping[str, Any]) -> dict[str, Any]:
        said = {key: value for key, value in node.items() if key in _KEPT}
        if isinstance(node.get("description"), str):
            said["description"] = node["description"][:WORDS]
        sizes = {key: min(len(json.dumps(value)), KEYWORD_LETTERS) for key, value in said.items()}
        self._letters -= NODE_LETTERS + sum(sizes.values())
        return {key: value for key, value in said.items() if sizes[key] < KEYWORD_LETTERS and self._letters > 0}

    def _branches(self, node: Mapping[str, Any], depth: int, within: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key in _ONE:
            if isinstance(node.get(key), Mapping | bool):
                found[key] = self.write(node[key], depth, within)
        for key in _MANY:
            if isinstance(node.get(key), list):
                found[key] = [self.write(one, depth, within) for one in node[key][:32]]
        own = node.get("properties")
        properties = own if isinstance(own, Mapping) else {}
        if properties:
            found["properties"] = self._properties(properties, depth, within)
        required = node.get("required")
        if isinstance(required, list):
            found["required"] = [name for name in required if isinstance(name, str) and not _is_given(properties, name)]
        return found

    def _properties(self, properties: Mapping[str, Any], depth: int, within: tuple[str, ...]) -> dict[str, Any]:
        found = {}
        for name, schema in properties.items():
            self._letters -= len(name)
            if self._letters <= 0:
                break
            if not _is_given(properties, name):
                found[name] = self.write(schema, depth, within)
        return found


def _is_given(properties: Mapping[str, Any], name: str) -> bool:
    """Say whether the service gives a property and is never sent it."""
    schema = properties.get(name)
    return isinstance(schema, Mapping) and schema.get("readOnly") is True


def _parsed(content: bytes) -> dict[str, Any]:
    if len(content) > DOCUMENT_BYTES:
        raise SolutionFault(f"the document has {len(content):,} bytes, at most {DOCUMENT_BYTES:,} are read")
    try:
        text = content.decode("utf-8-sig")
        root = json.loads(text, parse_constant=str) if text.lstrip().startswith("{") else _yaml(text)
    except (ValueError, RecursionError) as error:
        raise SolutionFault(f"the document is neither JSON nor YAML: {str(error)[:200]}") from error
    if not isinstance(root, dict):
        raise SolutionFault("the document is neither JSON nor YAML that describes a service")
    return root


def _yaml(text: str) -> Any:
    import yaml  # type: ignore[import-untyped]

    if len(text) > YAML_BYTES:
        raise SolutionFault(f"the document has more than {YAML_BYTES:,} bytes of YAML; write it as JSON")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                # A few of them that double each other stand for billions of nodes.
                raise SolutionFault("the document uses YAML aliases, which are not read; use $ref instead")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > YAML_DEPTH:
                raise SolutionFault(f"the document is nested more than {YAML_DEPTH} levels deep")
        return _plain(yaml.load(text, Loader=loader))  # noqa: S506  # both loaders are safe ones
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _plain(node: Any) -> Any:
    """Give what YAML knows and JSON does not (dates, numbers as keys) as texts."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    is_json = node is None or isinstance(node, str | int) or (isinstance(node, float) and math.isfinite(node))
    return node if is_json else str(node)


def _short(value: Any) -> str:
    return repr(str(value)[:80])
