"""Turns tool specs into the signatures that the line format and its grammar are built from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic.fields import FieldInfo

from models.planner.signatures import Argument, Signature, Type
from tools.base import Takes, ToolSpec


def takes(field: FieldInfo) -> tuple[str, ...] | None:
    """Give the kinds of assets that an argument takes; None where it does not refer to assets."""
    return _find_takes((field.annotation, *field.metadata))


def _find_takes(parts: tuple[Any, ...]) -> tuple[str, ...] | None:
    for part in parts:
        if isinstance(part, Takes):
            return part.kinds
        found = _find_takes((*get_args(part), *getattr(part, "__metadata__", ())))
        if found is not None:
            return found
    return None


def _plain(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, and take what is not null of an optional."""
    if "$ref" in schema:
        return dict(whole["$defs"][schema["$ref"].rpartition("/")[2]])
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    return _plain(options[0], whole) if options else schema


def _type(shape: dict[str, Any], kinds: tuple[str, ...] | None) -> Type:
    kind = shape.get("type")
    if kinds is not None:
        return "assets" if kind == "array" else "asset"
    if "enum" in shape or "const" in shape:
        return "choice"
    if kind == "array":
        return "strings" if shape.get("items", {}).get("type") == "string" else "any"
    known: dict[Any, Type] = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean"}
    return known.get(kind, "any")


def _argument(name: str, field: FieldInfo, shape: dict[str, Any]) -> Argument:
    kinds = takes(field)
    low = shape.get("minimum", shape.get("exclusiveMinimum"))
    high = shape.get("maximum")
    if high is None and shape.get("exclusiveMaximum") is not None:
        high = shape["exclusiveMaximum"] - 1
    default = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
    return Argument(
        name=name,
        type=_type(shape, kinds),
        required=field.is_required(),
        low=low,
        high=high,
        values=tuple(shape.get("enum", [shape["const"]] if "const" in shape else [])),
        kinds=kinds or (),
        default=list(default) if isinstance(default, tuple) else default,
    )


def signature(spec: ToolSpec) -> Signature:
    """Give the signature of one tool."""
    whole = spec.args.model_json_schema()
    arguments = [
        _argument(name, field, _plain(whole["properties"][name], whole))
        for name, field in spec.args.model_fields.items()
    ]
    arguments.sort(key=lambda argument: not argument.required)
    return Signature(spec.name, tuple(arguments), spec.gives)


def signatures(specs: Mapping[str, ToolSpec]) -> dict[str, Signature]:
    """Give the signatures of all tools."""
    return {name: signature(spec) for name, spec in specs.items()}
