"""A small company's service with an OpenAPI document, as a real server; and documents for services that misbehave."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Form, Header, HTTPException, Query, Request, Response, UploadFile
from pydantic import BaseModel

from tests.tools.raw_server import RawServer
from tools.base import sha256_hex
from tools.solutions.base import OfferedTool, OpenApiDeclaration, Returned
from tools.solutions.openapi import OpenApiClient

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SECRET = "p:ss w%rd/ü"


class Part(BaseModel):
    """A part of a product, made of parts: a schema that holds itself."""

    name: str
    parts: list[Part] = []


class Order(BaseModel):
    """What is ordered."""

    quantity: int
    colour: str | None = None
    part: Part | None = None


@dataclass
class Shop:
    """What the service remembers, for tests to look at and to change."""

    lasts_s: float = 60.0
    in_body: bool = False
    given: dict[str, float] = field(default_factory=dict)
    token_calls: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)
    words: str = "there is no such product"

    def token(self, request: Request, form: dict[str, str]) -> dict[str, Any]:
        self.token_calls += 1
        basic = request.headers.get("authorization", "").removeprefix("Basic ")
        pair = base64.b64decode(basic).decode()
        fits = pair == "atelier:p%3Ass%20w%25rd%2F%C3%BC"
        if self.in_body:
            fits = form.get("client_id") == "atelier" and form.get("client_secret") == SECRET
        if not fits or form["grant_type"] != "client_credentials":
            raise HTTPException(401, "no")
        token = f"token-{self.token_calls}"
        self.given[token] = time.monotonic() + self.lasts_s
        return {"access_token": token, "token_type": "Bearer", "expires_in": self.lasts_s, "scope": form.get("scope")}

    def checked(self, request: Request) -> None:
        self.seen.append((request.method, request.url.path))
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.given.get(token, 0) < time.monotonic():
            raise HTTPException(401, "the token is not known")


def application(shop: Shop, *, is_guarded: bool = False) -> FastAPI:
    """Give the service."""
    app = FastAPI()
    guarded = [Depends(shop.checked)] if is_guarded else []

    @app.get(
        "/products/{product_id}",
        operation_id="getProduct",
        summary="Find a product.",
        dependencies=guarded,
        openapi_extra={"x-atelier-examples": [{"say": "what is the blue backpack?", "args": {"product_id": "b1"}}]},
    )
    def product(
        product_id: str,
        request: Request,
        tag: Annotated[list[str], Query(description="words that it has")] = [],  # noqa: B006
        x_trace: Annotated[str | None, Header()] = None,
    ) -> dict[str, Any]:
        if product_id == "none":
            raise HTTPException(404, shop.words)
        return {"id": product_id, "tag": tag, "trace": x_trace}

    @app.get("/pictures/{name}", operation_id="picture", responses={200: {"content": {"image/png": {}}}})
    def picture(name: str) -> Response:
        return Response(PNG, media_type="image/png")

    @app.post("/orders", operation_id="placeOrder", dependencies=guarded)
    def order(order: Order) -> dict[str, Any]:
        return order.model_dump()

    @app.post("/labels", operation_id="addLabel")
    def label(file: UploadFile, title: Annotated[str, Form()]) -> dict[str, Any]:
        return {"title": title, "sha256": sha256_hex(file.file.read()), "media_type": file.content_type}

    @app.delete("/products/{product_id}", operation_id="deleteProduct", status_code=204)
    def delete(product_id: str) -> None:
        shop.seen.append(("DELETE", product_id))

    @app.post("/token", include_in_schema=False)
    async def token(request: Request) -> Any:
        form = {key: str(value) for key, value in (await request.form()).items()}
        try:
            return shop.token(request, form)
        except (HTTPException, ValueError):
            return Response('{"error": "invalid_client"}', 401, media_type="application/json")

    return app


@contextlib.contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve on loopback, and give the address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def declared(document: str, **fields: Any) -> OpenApiDeclaration:
    """Declare a service on this machine."""
    return OpenApiDeclaration.model_validate({"document": document, "private": True, **fields})


def described(paths: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Give a document."""
    return {"openapi": "3.1.0", "info": {"title": "test", "version": "1"}, "paths": paths, **fields}


def get(*parameters: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Give a path with an operation `find` that only reads."""
    return {"get": {"operationId": "find", "parameters": list(parameters), "responses": {}, **fields}}


def client_of(
    folder: Path, document: dict[str, Any] | bytes, server: RawServer | None = None, **fields: Any
) -> OpenApiClient:
    """Give the client of a document in a file, and of a server where there is one."""
    path = folder / "openapi.json"
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    base_url = server.url if server else "http://127.0.0.1:9"
    return OpenApiClient(declared(str(path), **{"base_url": base_url, **fields}))


def only(client: OpenApiClient) -> OfferedTool:
    """Give the one tool that is offered."""
    (tool,) = client.offered()
    return tool


def call(client: OpenApiClient, tool: str = "find", timeout_s: float = 5, **args: Any) -> Returned:
    """Call a tool."""
    return client.call(tool, args, timeout_s=timeout_s)


def said(returned: Returned) -> Any:
    """Give the JSON that a call answered."""
    (part,) = returned.parts
    assert part.media_type == "application/json"
    return json.loads(part.content)
