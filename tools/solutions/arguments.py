"""From the JSON Schema of a solution's tool to arguments like those of any tool, and to its spec."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

from tools.base import Example, Kind, ToolArgs, ToolSpec
from tools.solutions import shapes
from tools.solutions.attached import AssetArgument, described, kinds_of
from tools.solutions.base import McpDeclaration, OfferedTool, OpenApiDeclaration, SolutionFault
from tools.solutions.schemas import plain

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PROPERTIES = 64
PROPERTY = re.compile(r"[\w.$@:/\[\]-]{1,64}")
WORDS = 300  # characters of an argument's description
TOOL_WORDS = 600  # characters of a tool's description
QUEUE = "solution"
RUNNER = "tools.solutions.run:run"


class _ByOwnName:
    """Gives the fields of a model by the names that plans use, whatever they are called in Python."""

    def __get__(self, instance: object, owner: type[SolutionArgs]) -> dict[str, FieldInfo]:
        return {field.alias or name: field for name, field in owner.__pydantic_fields__.items()}


class SolutionArgs(ToolArgs):
    """Base of the arguments of solutions' tools: what Pydantic calls otherwise goes by its own name all the same."""

    model_config = ConfigDict(protected_namespaces=())
    model_fields: ClassVar[Any] = _ByOwnName()
    _assets: ClassVar[Mapping[str, AssetArgument]] = {}

    def model_dump(self, **how: Any) -> dict[str, Any]:
        """Give the arguments by their own names; a required one stays, also where it is null."""
        found = super().model_dump(**{"by_alias": True, **how})
        for name, field in type(self).model_fields.items():
            if field.is_required():
                found.setdefault(name, None)
        return found


RESERVED = frozenset(dir(SolutionArgs))


def args_model(name: str, tool: OfferedTool, takes: Mapping[str, Kind]) -> type[ToolArgs]:
    """Make the model of a tool's arguments.

    Args:
        name: the whole name of the tool, `<solution>.<tool>`; for messages.
        tool: as the solution describes it.
        takes: arguments that take assets, `{"<tool>.<argument>": kind}`.

    Raises:
        SolutionFault: its schema cannot be used; the message says why.
    """
    properties, required = _properties(name, tool)
    kinds = kinds_of(name, tool.name, properties, takes)
    fields: dict[str, Any] = {}
    for number, (own, schema) in enumerate(properties.items()):
        is_safe = own not in RESERVED and not own.startswith("_")
        shape = shapes.shape(schema, kinds.get(own))
        fields[own if is_safe else f"argument_{number}_"] = (
            shapes.with_null(shape) if own not in required else shape,
            Field(
                **({} if own in required else {"default": shapes.default(schema, shape)}),
                alias=None if is_safe else own,
                description=one_line(str(schema.get("description", "")), WORDS) or None,
            ),
        )
    try:
        made: type[SolutionArgs] = create_model(
            f"{tool.name}_arguments", __base__=SolutionArgs, __doc__=f"Arguments of `{name}`.", **fields
        )
        made.model_json_schema()
    except (PydanticUserError, SchemaError, ValueError, TypeError, NameError, OverflowError) as error:
        raise SolutionFault(f"the schema of {name!r} cannot be used: {str(error)[:200]}") from error
    made._assets = described(properties, kinds)
    return made


def asset_arguments(args: type[ToolArgs]) -> Mapping[str, AssetArgument]:
    """Give the arguments that take assets, by the names that plans use; none for what no solution's tool takes."""
    return args._assets if issubclass(args, SolutionArgs) else {}


def spec(solution: str, tool: OfferedTool, declaration: McpDeclaration | OpenApiDeclaration) -> ToolSpec:
    """Give the spec of a solution's tool, as the planner and the workers know any tool.

    Raises:
        SolutionFault: its schema cannot be used; the message says why.
    """
    name = f"{solution}.{tool.name}"
    args = args_model(name, tool, declaration.takes)
    return ToolSpec(
        name=name,
        description=one_line(tool.description, TOOL_WORDS),
        args=args,
        gives=None,
        queue=QUEUE,
        runner=RUNNER,
        exact=False,
        cost=_free,
        examples=tuple(_examples(tool, args)),
        sends=tool.sends,
        trusted=tool.name in declaration.trusted,
        reads=True,
    )


def one_line(text: str, limit: int) -> str:
    """Give a text on one line, without control characters, cut at a number of characters."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _free(args: Any) -> int:
    return 0


def _properties(name: str, tool: OfferedTool) -> tuple[dict[str, Any], frozenset[str]]:
    schema = plain(tool.parameters, name)
    if schema.get("type", "object") != "object":
        raise SolutionFault(f"the schema of {name!r} describes no object of arguments")
    properties = schema.get("properties", {})
    if len(properties) > PROPERTIES:
        raise SolutionFault(f"{name!r} has {len(properties)} arguments, at most {PROPERTIES} are taken")
    for own in properties:
        if not PROPERTY.fullmatch(own):
            raise SolutionFault(
                f"{name!r} has an argument called {own[:80]!r}; a name has 1 to 64 letters, digits and ._-"
            )
    return properties, frozenset(schema.get("required", ())) & properties.keys()


def _examples(tool: OfferedTool, args: type[ToolArgs]) -> list[Example]:
    """Give those examples whose arguments fit."""
    found = []
    for example in tool.examples:
        say, given = example.get("say"), example.get("args")
        if isinstance(say, str) and isinstance(given, dict) and _fits(args, given):
            found.append(Example(one_line(say, WORDS), given))
    return found


def _fits(args: type[ToolArgs], given: Mapping[str, Any]) -> bool:
    try:
        args.model_validate(given)
    except ValidationError:
        return False
    return True
