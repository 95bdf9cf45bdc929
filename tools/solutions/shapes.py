"""From a plain JSON Schema to a Python type that Pydantic checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import SchemaError

from tools.base import REFERENCE, Kind, Takes
from tools.solutions.schemas import lenient

SAID = 200  # characters of what is wrong with a value
NULL = type(None)
# They decide what fits, and no simple type says them.
COMPOSED = ("oneOf", "allOf", "not", "if", "anyOf", "prefixItems")


def shape(schema: Mapping[str, Any], kinds: tuple[Kind, ...] | None = None) -> Any:
    """Give the type of an argument.

    Args:
        schema: plain (see `tools.solutions.schemas.plain`).
        kinds: the kinds of assets that it takes; None where it takes none.
    """
    value, is_nullable = _without_null(schema)
    if kinds is not None:
        reference = Annotated[str, StringConstraints(pattern=REFERENCE), Takes(kinds)]
        found: Any = tuple[reference, ...] if value.get("type") == "array" else reference
    else:
        found = _simple(value)
    if found is None:
        return _checked(schema)
    return with_null(found) if is_nullable else found


def with_null(found: Any) -> Any:
    """Give an optional of a type."""
    return found if found is Any else found | None


def default(schema: Mapping[str, Any], found: Any) -> Any:
    """Give the default of an argument that may be left out; None lets the solution take its own."""
    if "default" not in schema:
        return None
    try:
        return TypeAdapter(with_null(found)).validate_python(schema["default"])
    except ValidationError:
        return None


def _without_null(schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Give what a schema says of values that are not null, and whether null fits too."""
    kind = schema.get("type")
    if isinstance(kind, list) and "null" in kind:
        rest = [one for one in kind if one != "null"]
        enum = {"enum": [one for one in schema["enum"] if one is not None]} if "enum" in schema else {}
        return {**schema, **enum, "type": rest[0] if len(rest) == 1 else rest}, True
    options = schema.get("anyOf")
    if isinstance(options, list) and any(option.get("type") == "null" for option in options):
        rest = [option for option in options if option.get("type") != "null"]
        beside = {key: value for key, value in schema.items() if key != "anyOf"}
        if len(rest) == 1:
            return {**rest[0], **beside}, True
    return schema, False


def _simple(value: Mapping[str, Any]) -> Any:
    """Give the type of what is simple enough; None for what is not."""
    if any(key in value for key in COMPOSED):
        return None
    if "enum" in value or "const" in value:
        return _choice(value.get("enum", [value["const"]] if "const" in value else []))
    known: dict[Any, Callable[[Mapping[str, Any]], Any]] = {
        "string": _string,
        "integer": _integer,
        "number": _number,
        "boolean": lambda _: bool,
        "array": _array,
    }
    kind = value.get("type")
    return known[kind](value) if isinstance(kind, str) and kind in known else None


def _choice(values: list[Any]) -> Any:
    if not values or not all(isinstance(value, str | int) for value in values):
        return None
    return Literal[tuple(values)]


def _string(value: Mapping[str, Any]) -> Any:
    limits = {"min_length": value.get("minLength"), "max_length": value.get("maxLength")}
    found = Annotated[str, StringConstraints(**limits)]
    if not isinstance(value.get("pattern"), str):
        return found
    checked = Annotated[str, StringConstraints(**limits, pattern=value["pattern"])]
    try:
        TypeAdapter(checked)
    except SchemaError:  # it looks ahead, say, which an engine that always ends cannot do; the solution checks it
        return found
    return checked


def _integer(value: Mapping[str, Any]) -> Any:
    whole: dict[str, Callable[[float], int]] = {"ge": math.ceil, "gt": math.floor, "le": math.floor, "lt": math.ceil}
    bounds: dict[str, Any] = {name: whole[name](bound) for name, bound in _bounds(value).items()}
    return Annotated[int, Field(**bounds)]


def _number(value: Mapping[str, Any]) -> Any:
    return Annotated[float, Field(allow_inf_nan=False, **_bounds(value))]


def _bounds(value: Mapping[str, Any]) -> dict[str, Any]:
    names = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
    return {name: value[key] for name, key in names.items() if key in value and math.isfinite(value[key])}


def _array(value: Mapping[str, Any]) -> Any:
    item = shape(value["items"]) if value.get("items") else Any
    limits: dict[str, Any] = {"min_length": value.get("minItems"), "max_length": value.get("maxItems")}
    row: Any = tuple
    return Annotated[row[item, ...], Field(**limits)]


def _checked(schema: Mapping[str, Any]) -> Any:
    """Give a type for anything that fits a JSON Schema."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
    from jsonschema.exceptions import best_match  # type: ignore[import-untyped]
    from referencing import Registry

    validator = Draft202012Validator(lenient(schema), registry=Registry())

    def check(value: Any) -> Any:
        try:
            fault = best_match(validator.iter_errors(_lists(value)))
        except (RecursionError, ArithmeticError):
            raise ValueError("it is nested too deeply, or has a number without end") from None
        if fault is not None:
            where = "".join(f"[{part!r}]" for part in fault.absolute_path)
            raise ValueError(f"{where + ': ' if where else ''}{fault.message[:SAID]}")
        return value

    return Annotated[Any, AfterValidator(check), WithJsonSchema(_shown(schema))]


def _shown(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Give a schema for those who read one type at most; several are any."""
    shown = {key: value for key, value in schema.items() if key != "type" or isinstance(value, str)}
    if "anyOf" in shown:
        shown["anyOf"] = [_shown(option) for option in shown["anyOf"]]
    return shown


def _lists(value: Any) -> Any:
    """Give tuples as the lists that JSON has."""
    return list(value) if isinstance(value, tuple) else value
