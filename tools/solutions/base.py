"""What a solution is: its declaration, the tools that it offers, and what it answers. Light: no client is imported."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    TypeAdapter,
    model_validator,
)

from tools.base import Kind

NAME = r"^[a-z][a-z0-9_]{0,31}$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
SECRET_BYTES = 65_536
SolutionKind = Literal["mcp", "openapi", "knowledge", "style"]


class SolutionError(Exception):
    """A solution did not do its part; the message is for people and says what to do."""


class SolutionAway(SolutionError):
    """It does not answer just now (refused, timed out, crashed); trying again may help."""


class SolutionFault(SolutionError):
    """It answers what it must not: too much, another protocol, a redirect to a private address."""


class SolutionSaid(SolutionError):
    """It understood the call and refused it; the message is its own, as data."""


class SecretMissing(SolutionError):
    """A secret is not where the declaration says."""


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def contents(path: Path, most: int) -> bytes:
    """Give the first bytes of a file.

    Args:
        most: how many at most.

    Raises:
        OSError: it cannot be read, or is no file: a pipe that nobody writes to would hold the worker.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        return opened.read(most)


class Secret(_Declared):
    """Where a secret is: in the environment of the worker, or in a file that it can read. Never the secret itself."""

    env: str | None = Field(None, min_length=1, description="name of an environment variable")
    file: Path | None = Field(None, description="path of a file; its text without the last line break")

    @model_validator(mode="after")
    def _one_of_two(self) -> Secret:
        if (self.env is None) == (self.file is None):
            raise ValueError('a secret is {"env": NAME} or {"file": PATH}')
        return self

    def read(self) -> str:
        """Give the secret.

        Raises:
            SecretMissing: it is not there.
        """
        if self.env is not None:
            if self.env not in os.environ:
                raise SecretMissing(f"the environment variable {self.env!r} is not set where the worker runs")
            return os.environ[self.env]
        assert self.file is not None  # noqa: S101  # by the validator
        try:
            return contents(self.file, SECRET_BYTES).decode().rstrip("\r\n")
        except OSError as error:
            raise SecretMissing(f"the secret file {str(self.file)!r} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:  # it would quote the secret
            raise SecretMissing(f"the secret file {str(self.file)!r} holds no text in UTF-8") from None


def _which(value: Any) -> str:
    return "secret" if isinstance(value, dict | Secret) else "plain"


Value = Annotated[Annotated[str, Tag("plain")] | Annotated[Secret, Tag("secret")], Discriminator(_which)]


def revealed(values: Mapping[str, str | Secret]) -> dict[str, str]:
    """Give plain values, secrets read.

    Raises:
        SecretMissing: one is not there.
    """
    return {name: value.read() if isinstance(value, Secret) else value for name, value in values.items()}


class Limits(_Declared):
    """What a solution may cost."""

    seconds: float = Field(30, gt=0, le=600, description="the longest that a call may take")
    calls_per_minute: int = Field(60, ge=1, le=100_000, description="calls of all workers together")
    bytes: int = Field(10_000_000, ge=1, le=1_000_000_000, description="the most that an answer may have, unpacked")


class _Solution(_Declared):
    """What all kinds have."""

    description: str = Field("", max_length=500, description="what it is for, in a sentence")
    owner: str | None = Field(None, description="whose it is; none: everyone may use it")
    limits: Limits = Field(Limits(), description="what its calls may cost")


class _Calls(_Solution):
    """What kinds have that answer calls."""

    tools: tuple[str, ...] | None = Field(None, description="only these of its tools; none: all")
    takes: dict[str, Kind] = Field(
        default_factory=dict, description='arguments that take assets: {"find_by_picture.image": "image"}'
    )
    trusted: tuple[str, ...] = Field((), description="tools that send or change something and need no approval")
    private: bool = Field(
        default=False,
        description="its own address may be a private one (loopback, 10.…); redirects elsewhere still may not",
    )


class McpDeclaration(_Calls):
    """An MCP server: a program that speaks on stdin and stdout, or an address (streamable HTTP)."""

    kind: Literal["mcp"] = Field("mcp", description="always `mcp`")
    command: tuple[str, ...] | None = Field(None, min_length=1, description="the program and its arguments")
    cwd: Path | None = Field(None, description="the folder that the program starts in")
    env: dict[str, Value] = Field(default_factory=dict, description="all that the program's environment has")
    url: str | None = Field(None, pattern=r"^https?://", description="the address of a streamable HTTP server")
    headers: dict[str, Value] = Field(default_factory=dict, description="sent with each request")

    @model_validator(mode="after")
    def _one_of_two(self) -> McpDeclaration:
        if (self.command is None) == (self.url is None):
            raise ValueError("an MCP server has either a command or a url")
        return self


class HeaderAuth(_Declared):
    """A secret in a header of its own."""

    type: Literal["header"] = Field("header", description="always `header`")
    name: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$", description="of the header")
    value: Secret = Field(description="sent as it is")


class BearerAuth(_Declared):
    """Authorization: Bearer …"""

    type: Literal["bearer"] = Field("bearer", description="always `bearer`")
    token: Secret = Field(description="sent behind `Bearer`")


class ClientCredentials(_Declared):
    """OAuth 2 client credentials (RFC 6749, section 4.4)."""

    type: Literal["oauth2"] = Field("oauth2", description="always `oauth2`")
    token_url: str = Field(pattern=r"^https?://", description="where a token is asked for")
    client_id: Value = Field(description="as whom")
    client_secret: Secret = Field(description="sent to the token's address only")
    scope: str | None = Field(None, description="what is asked for; none: what the server gives")


Auth = Annotated[HeaderAuth | BearerAuth | ClientCredentials, Field(discriminator="type")]


class OpenApiDeclaration(_Calls):
    """A service with an OpenAPI 3 document; `tools` names the operations that are offered, by operationId."""

    kind: Literal["openapi"] = Field("openapi", description="always `openapi`")
    document: str = Field(min_length=1, description="address or path of the document, JSON or YAML")
    base_url: str | None = Field(None, pattern=r"^https?://", description="instead of the document's first server")
    auth: Auth | None = Field(None, description="how it knows the studio; none: it asks nobody")


class KnowledgeDeclaration(_Solution):
    """Documents that answers are grounded on."""

    kind: Literal["knowledge"] = Field("knowledge", description="always `knowledge`")
    folders: tuple[Path, ...] = Field((), description="folders that the worker reads; uploads come beside them")
    refresh_s: float = Field(30, ge=1, description="how often the folders are looked through for changes")
    about: tuple[str, ...] = Field((), description='phrases that ask for it: "our brand voice", "our palette"')


class StyleDeclaration(_Solution):
    """A company's own look, learned from its pictures."""

    kind: Literal["style"] = Field("style", description="always `style`")
    images: Path | None = Field(None, description="a folder of pictures")
    captions: Path | None = Field(None, description="CSV or JSONL with the columns file and caption")


Declaration = Annotated[
    McpDeclaration | OpenApiDeclaration | KnowledgeDeclaration | StyleDeclaration, Field(discriminator="kind")
]
DECLARATION: TypeAdapter[Declaration] = TypeAdapter(Declaration)


@dataclass(frozen=True)
class OfferedTool:
    """A tool as a solution describes it.

    Attributes:
        name: without the solution's name.
        description: the solution's own words; data, shown to people before they approve it.
        parameters: the JSON Schema of its arguments, an object.
        sends: it may send, change or delete something outside; False only where the solution says that it only reads.
        examples: requests that it answers and the arguments for them, `{"say", "args"}`.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    sends: bool = True
    examples: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give it as it is stored."""
        return asdict(self) | {"examples": list(self.examples)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> OfferedTool:
        """Read it as it was stored."""
        return cls(**{**stored, "examples": tuple(stored.get("examples", ()))})


def digest(tools: Sequence[OfferedTool]) -> str:
    """Give the sha256, in hex, of all that is said about tools; the order does not matter."""
    said = sorted((tool.as_json() for tool in tools), key=lambda tool: str(tool["name"]))
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Part:
    """A part of an answer.

    Attributes:
        media_type: as the solution says; checked against the bytes before it is believed.
        content: the bytes; text is UTF-8.
        name: a title or file name, if it gave one.
    """

    media_type: str
    content: bytes
    name: str | None = None


@dataclass(frozen=True)
class Returned:
    """An answer to a call."""

    parts: tuple[Part, ...] = field(default_factory=tuple)


class Client(Protocol):
    """An open connection to a solution; safe to use from several threads at once."""

    def offered(self) -> list[OfferedTool]:
        """Ask what it offers now.

        Raises:
            SolutionError: it did not say.
        """

    def call(
        self,
        tool: str,
        args: Mapping[str, Any],
        *,
        on_progress: Callable[[float], None] = lambda fraction: None,
        timeout_s: float,
    ) -> Returned:
        """Call a tool with arguments that fit its schema; assets are already data in them.

        Args:
            on_progress: called, also while nothing is known (with the last fraction), at least every 0.2 s from the
                calling thread; what it raises ends the call at once and is let through.
            timeout_s: the longest that it may take.

        Raises:
            SolutionAway: it does not answer, or not in time.
            SolutionFault: it answered what it must not.
            SolutionSaid: it refused.
        """

    def close(self) -> None:
        """End the connection, and the program where there is one."""


def connect(declaration: McpDeclaration | OpenApiDeclaration) -> Client:
    """Give a client; it connects at its first use.

    Raises:
        SecretMissing: a secret is not there.
    """
    if isinstance(declaration, McpDeclaration):
        from tools.solutions.mcp import McpClient

        return McpClient(declaration)
    from tools.solutions.openapi import OpenApiClient

    return OpenApiClient(declaration)
