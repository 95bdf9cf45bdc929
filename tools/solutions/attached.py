"""Arguments of a solution's tool that take assets, and how their bytes are put there."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tools.base import Input, Kind
from tools.solutions.base import SolutionFault

# A sound is one whether it was called music or not.
FITTING: Mapping[Kind, tuple[Kind, ...]] = {"audio": ("audio", "music"), "music": ("audio", "music")}
BINARY = frozenset({"binary", "byte"})
LINKS = frozenset({"uri", "url", "uri-reference", "data-url", "iri"})


@dataclass(frozen=True)
class AssetArgument:
    """An argument whose value is the content of assets.

    Attributes:
        kinds: the kinds that fit.
        many: it takes a list.
        encoding: how the solution wants the bytes; "text" is for texts alone.
    """

    kinds: tuple[Kind, ...]
    many: bool
    encoding: Literal["base64", "data_url", "text"]

    def encoded(self, asset: Input) -> str:
        """Give the content of an asset as the solution wants it."""
        if self.encoding == "text":
            return asset.content.decode(errors="replace")
        letters = base64.b64encode(asset.content).decode()
        media_type = asset.media_type.partition(";")[0]
        return f"data:{media_type};base64,{letters}" if self.encoding == "data_url" else letters


def described(properties: Mapping[str, Any], kinds: Mapping[str, tuple[Kind, ...]]) -> dict[str, AssetArgument]:
    """Give what takes assets among arguments.

    Args:
        properties: plain schemas of the arguments.
        kinds: the kinds that they take (see `kinds_of`).
    """
    found = {}
    for name, fitting in kinds.items():
        value = _value(properties[name])
        many = _is_list(properties[name])
        item = _value(value.get("items", {})) if many else value
        found[name] = AssetArgument(fitting, many, _encoding(item, fitting))
    return found


def attach(
    args: Mapping[str, Any], assets: Mapping[str, AssetArgument], inputs: Callable[[Sequence[str]], list[Input]]
) -> dict[str, Any]:
    """Give arguments with the content of assets where references stood.

    Args:
        args: by their own names, references resolved ("@asset_…").
        assets: as `asset_arguments` gives them.
        inputs: opens references, in order; `Workshop.inputs`.
    """
    filled = dict(args)
    for name, argument in assets.items():
        given = args.get(name)
        if given is None:
            continue
        opened = [argument.encoded(asset) for asset in inputs([given] if isinstance(given, str) else list(given))]
        filled[name] = opened if argument.many else opened[0]
    return filled


def kinds_of(
    name: str, tool: str, properties: Mapping[str, Any], takes: Mapping[str, Kind]
) -> dict[str, tuple[Kind, ...]]:
    """Give the kinds of the arguments that take assets: declared, or plain from their schema.

    Args:
        name: of the tool, for messages.
        tool: its name in `takes`.
        properties: plain schemas of its arguments.
        takes: what the declaration says, `{"<tool>.<argument>": kind}`.

    Raises:
        SolutionFault: an argument is declared that it does not have.
    """
    declared = {key[len(tool) + 1 :]: kind for key, kind in takes.items() if key.startswith(f"{tool}.")}
    for argument in declared:
        if argument not in properties and "." not in argument:
            known = ", ".join(properties) or "none"
            raise SolutionFault(f"`takes` names {tool}.{argument}, and {name!r} has no such argument; it has {known}")
    found: dict[str, tuple[Kind, ...]] = {}
    for argument, schema in properties.items():
        kind = declared.get(argument) or _by_media_type(schema)
        if kind is not None:
            found[argument] = FITTING.get(kind, (kind,))
    return found


def _by_media_type(schema: Mapping[str, Any]) -> Kind | None:
    value = _value(schema)
    if _is_list(schema):
        value = _value(value.get("items", {}))
    is_binary = value.get("contentEncoding") == "base64" or value.get("format") in BINARY
    family = str(value.get("contentMediaType", "")).partition("/")[0].lower()
    known: dict[str, Kind] = {"image": "image", "audio": "audio", "video": "video", "text": "text"}
    return known.get(family) if is_binary else None


def _encoding(value: Mapping[str, Any], kinds: tuple[Kind, ...]) -> Literal["base64", "data_url", "text"]:
    if value.get("format") in LINKS:
        return "data_url"
    is_binary = "contentEncoding" in value or value.get("format") in BINARY
    return "text" if kinds == ("text",) and not is_binary else "base64"


def _is_list(schema: Mapping[str, Any]) -> bool:
    return _value(schema).get("type") in ("array", ["array", "null"])


def _value(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take what is not null of an optional."""
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    return options[0] if len(options) == 1 else schema
