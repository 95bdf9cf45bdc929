"""JSON Schemas that others wrote, in one form without references, within limits, before anything reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tools.solutions.base import SolutionFault

BYTES = 64 << 10
DEPTH = 12  # schemas within schemas
NODES = 4_000  # schemas after references are replaced by what they refer to; a few that double each other give millions
ONE = (
    "items",
    "additionalProperties",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
NAMED = ("properties", "patternProperties", "dependentSchemas")
# They name schemas, or change how names are read; nothing refers to anything any more.
DROPPED = frozenset(
    {
        "$ref",
        "$defs",
        "definitions",
        "$id",
        "id",
        "$schema",
        "$anchor",
        "$dynamicAnchor",
        "$dynamicRef",
        "$recursiveRef",
        "$recursiveAnchor",
        "$vocabulary",
        "$comment",
        "dependencies",
        "additionalItems",
        "nullable",
    }
)


def plain(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Give a JSON Schema (any draft, or OpenAPI 3.0's) as one of draft 2020-12 without references.

    A schema that holds itself accepts anything where it would begin again.

    Args:
        schema: as it came.
        name: whose it is, for messages.

    Raises:
        SolutionFault: it is no JSON Schema, refers to another document, or is larger than we read.
    """
    from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped]

    try:
        size = len(json.dumps(schema))
        if size > BYTES:
            raise SolutionFault(f"the schema of {name!r} has {size:,} bytes, at most {BYTES:,} are read")
        found = _Reader(schema, name).read(schema)
        Draft202012Validator.check_schema(found)
    except (SchemaError, TypeError, ValueError, AttributeError) as error:
        said = error.message if isinstance(error, SchemaError) else str(error)
        raise SolutionFault(f"the schema of {name!r} is no JSON Schema: {said[:200]}") from error
    except RecursionError as error:
        raise SolutionFault(f"the schema of {name!r} is nested too deeply, {DEPTH} levels are read") from error
    return found


def lenient(schema: Any) -> Any:
    """Give a plain schema without regular expressions: Python's can run for ever, and the solution checks them."""
    if isinstance(schema, dict):
        kept = {key: lenient(value) for key, value in schema.items() if not _is_pattern(key, value)}
        if "patternProperties" in kept:
            kept.pop("patternProperties")
            kept.pop("additionalProperties", None)
        return kept
    return [lenient(item) for item in schema] if isinstance(schema, list) else schema


def _is_pattern(key: str, value: Any) -> bool:
    return key == "pattern" and isinstance(value, str)


class _Reader:
    """Reads one document; counts what it has read."""

    def __init__(self, root: Mapping[str, Any], name: str) -> None:
        self._root = root
        self._name = name
        self._nodes = 0

    def read(self, schema: Any, depth: int = 0, within: tuple[str, ...] = ()) -> dict[str, Any]:
        """Give a schema without references; `within` are those that were followed to come here."""
        self._count(depth)
        if isinstance(schema, bool):
            return {} if schema else {"not": {}}
        if not isinstance(schema, Mapping):
            raise TypeError(f"{str(schema)[:60]!r} stands where a schema should")
        schema, within = self._followed(schema, within)
        kept = {key: value for key, value in schema.items() if key not in DROPPED}
        for key, value in self._parts(kept, depth + 1, within):
            kept[key] = value
        return _renewed(kept, nullable=schema.get("nullable") is True)

    def _parts(self, schema: Mapping[str, Any], depth: int, within: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        for key, value in list(schema.items()):
            if key in MANY or (key == "items" and isinstance(value, list)):
                yield key, [self.read(one, depth, within) for one in value]
            elif key in ONE:
                yield key, self.read(value, depth, within)
            elif key in NAMED:
                yield key, {name: self.read(one, depth, within) for name, one in value.items()}

    def _count(self, depth: int) -> None:
        self._nodes += 1
        if depth > DEPTH:
            raise SolutionFault(f"the schema of {self._name!r} is nested too deeply, {DEPTH} levels are read")
        if self._nodes > NODES:
            raise SolutionFault(f"the schema of {self._name!r} unfolds to more than {NODES:,} parts")

    def _followed(
        self, schema: Mapping[str, Any], within: tuple[str, ...]
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        while "$ref" in schema:
            reference = schema["$ref"]
            if reference in within:
                return {}, within
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            found = self._find(reference)
            schema = {**found, **beside} if isinstance(found, Mapping) else {}
            within = (*within, reference)
        return schema, within

    def _find(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise SolutionFault(
                f"the schema of {self._name!r} refers to {str(reference)[:80]!r}; "
                "only references within it are followed"
            )
        found: Any = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            within = dict(enumerate(found)) if isinstance(found, list) else found
            at = int(key) if isinstance(found, list) and key.isdecimal() else key
            if not isinstance(within, Mapping) or at not in within:
                raise SolutionFault(f"the schema of {self._name!r} refers to {reference[:80]!r}, which is not in it")
            found = within[at]
        return found


def _renewed(schema: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    """Write what older drafts and OpenAPI 3.0 say in the words of draft 2020-12."""
    if isinstance(schema.get("items"), list):
        schema["prefixItems"] = schema.pop("items")
    for side, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(side), bool) and schema.pop(side) and bound in schema:
            schema[side] = schema.pop(bound)
    if nullable and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    return schema
