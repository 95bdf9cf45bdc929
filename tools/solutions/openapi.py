"""A company's own service, described by an OpenAPI 3 document, as a solution."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tools.addresses import Origin, Resolver, resolved
from tools.base import sha256_hex
from tools.fetch import Fetcher
from tools.solutions.asking import Asking
from tools.solutions.base import (
    ClientCredentials,
    OfferedTool,
    OpenApiDeclaration,
    Returned,
    SolutionAway,
    SolutionFault,
    SolutionSaid,
    contents,
)
from tools.solutions.openapi_answer import returned
from tools.solutions.openapi_auth import Credentials
from tools.solutions.openapi_document import DOCUMENT_BYTES, Document
from tools.solutions.openapi_operations import Operation, operations
from tools.solutions.openapi_request import Request, request

# Headers that are never an argument: the message's own, and what says who asks.
HIDDEN = frozenset({"accept", "content-type", "cookie", "host", "proxy-authorization", "forwarded", "origin"})
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True)
class _Service:
    """A service as its document describes it; `sha256` is the document's, so that it is not read twice."""

    sha256: str
    base: str
    operations: Mapping[str, Operation]


class OpenApiClient:
    """Implements `tools.solutions.base.Client`.

    Args:
        resolve: gives the addresses of a name.

    Raises:
        SecretMissing: a secret is not there.
    """

    def __init__(self, declaration: OpenApiDeclaration, *, resolve: Resolver = resolved) -> None:
        self._declaration = declaration
        self._credentials = Credentials(declaration.auth)
        self._fetcher = Fetcher(_private(declaration), resolve=resolve)
        self._service: _Service | None = None

    def offered(self) -> list[OfferedTool]:
        """See `tools.solutions.base.Client.offered`; the document is read anew each time."""
        asking = Asking(self._fetcher, self._declaration.limits.seconds, lambda: None)
        self._service = self._read(asking)
        return [operation.tool for operation in self._service.operations.values()]

    def call(
        self,
        tool: str,
        args: Mapping[str, Any],
        *,
        on_progress: Callable[[float], None] = lambda fraction: None,
        timeout_s: float,
    ) -> Returned:
        """See `tools.solutions.base.Client.call`."""
        asking = Asking(self._fetcher, timeout_s, lambda: on_progress(0.0))
        service = self._service
        if service is None:
            service = self._service = self._read(asking)
        if tool not in service.operations:
            raise SolutionSaid(f"it offers no {tool!r}; it has: {', '.join(service.operations)[:500]}")
        return self._ask(request(service.operations[tool], service.base, args), asking)

    def close(self) -> None:
        """See `tools.solutions.base.Client.close`; each call has closed its own connections."""

    def _ask(self, asked: Request, asking: Asking) -> Returned:
        for is_last in (not self._credentials.renews, True):
            headers = self._credentials.headers(asking)
            answer = asking.fetch(
                asked.method,
                asked.url,
                headers={**asked.headers, **headers},
                content=asked.content,
                max_bytes=self._declaration.limits.bytes,
            )
            if answer.status != 401 or is_last:
                break
            self._credentials.refuse(headers)
        return returned(answer, self._credentials.secrets())

    def _read(self, asking: Asking) -> _Service:
        where = self._declaration.document
        content = _fetched(where, asking) if _ADDRESS.match(where) else _file(where)
        sha256 = sha256_hex(content)
        if self._service is not None and self._service.sha256 == sha256:
            return self._service
        try:
            document = Document(content)
            base = _based(self._declaration, document)
            prefix = httpx.URL(base).path.rstrip("/")
            hidden = HIDDEN | self._credentials.header_names()
            return _Service(sha256, base, operations(document, self._declaration.tools, prefix, hidden))
        except RecursionError as error:
            raise SolutionFault("the document is nested too deeply") from error


def _private(declaration: OpenApiDeclaration) -> set[Origin]:
    """Give the origins that the declaration itself names, where it says that they may be private."""
    if not declaration.private:
        return set()
    token_url = declaration.auth.token_url if isinstance(declaration.auth, ClientCredentials) else None
    named = (declaration.document, declaration.base_url, token_url)
    try:
        return {Origin.of(url) for url in named if url is not None and _ADDRESS.match(url)}
    except ValueError as error:
        raise SolutionFault(f"the declaration names an address that cannot be read: {error}") from error


def _fetched(url: str, asking: Asking) -> bytes:
    answer = asking.fetch(
        "GET", url, headers={"Accept": "application/json, application/yaml, */*"}, max_bytes=DOCUMENT_BYTES
    )
    if answer.status == 429 or answer.status >= 500:
        raise SolutionAway(f"its document is not there just now ({answer.status})")
    if answer.status != 200:
        raise SolutionFault(f"its document is not there ({answer.status}); check its address")
    return answer.content


def _file(path: str) -> bytes:
    try:
        return contents(Path(path), DOCUMENT_BYTES + 1)
    except OSError as error:
        raise SolutionFault(f"the document {path!r} cannot be read: {error.strerror}") from error


def _based(declaration: OpenApiDeclaration, document: Document) -> str:
    try:
        return _base(declaration, document)
    except (httpx.InvalidURL, ValueError) as error:
        raise SolutionFault("the address of the service cannot be read; declare base_url") from error


def _base(declaration: OpenApiDeclaration, document: Document) -> str:
    """Give the address of the service: the declared one, or the document's first server, on its own origin alone.

    What the document of another origin names is not declared by anybody: our key and our words do not go there.
    """
    where = declaration.document
    base = declaration.base_url or _server(document)
    if _ADDRESS.match(where):
        base = str(httpx.URL(where).join(base))
    if not _ADDRESS.match(base):
        raise SolutionFault("the document does not say where its service is; declare base_url")
    is_declared = declaration.base_url is not None or not _ADDRESS.match(where)
    if Origin.of(base) != Origin.of(base if is_declared else where):
        raise SolutionFault(f"the document names a server elsewhere, {base[:100]!r}; declare base_url to use it")
    return str(httpx.URL(base).copy_with(query=None, fragment=None))


def _server(document: Document) -> str:
    servers = document.root.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else {}
    url = first.get("url", "/") if isinstance(first, dict) else "/"
    variables = first.get("variables", {}) if isinstance(first, dict) else {}
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        if isinstance(variable, dict):
            url = str(url).replace(f"{{{name}}}", str(variable.get("default", "")))
    return str(url)
