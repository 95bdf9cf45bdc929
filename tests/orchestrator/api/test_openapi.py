"""The description of the API says what everything is: no operation, parameter, field or answer is bare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from orchestrator.api.app import create_app
from orchestrator.api.context import Context
from orchestrator.settings import Settings
from store.blobs import Blobs
from store.database import Database
from tests.orchestrator.api.conftest import Post

ERROR = {"$ref": "#/components/schemas/ErrorAnswer"}
WAITING = {"create_plan", "create_chat_completion", "create_image_generation"}  # answer when a worker has
UNDERSTOOD = {
    "create_audio_speech": {400},  # there is no voice
    "create_style": {422},  # nor these pictures
    "create_webhook": {201, 422},  # perhaps nor this name
    "export_assets": {200, 404},
}
OWN_SHAPE = {("get_readyz", "503")}  # says which part is missing


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("studio")
    database = Database(f"sqlite:///{folder}/studio.db")  # nothing is asked of it
    context = Context(Settings(home=folder), database, Blobs(folder / "blobs"), Post(), None)  # type: ignore[arg-type]
    return create_app(context).openapi()


def operations(said: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each operation by its method and path."""
    for path, methods in said["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def fields(schema: Any, at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every field that a schema names, however deep."""
    if isinstance(schema, list):
        for one in schema:
            yield from fields(one, at)
    if not isinstance(schema, dict):
        return
    for name, field in schema.get("properties", {}).items():
        yield f"{at}.{name}", field
        yield from fields(field, f"{at}.{name}")
    for inner in ("items", "anyOf", "oneOf", "allOf", "additionalProperties"):
        yield from fields(schema.get(inner), at)


def test_every_operation_says_what_it_is_called_and_what_it_is_for(said: dict[str, Any]) -> None:
    assert said["openapi"].startswith("3.1")
    assert said["info"]["description"]
    tags = {tag["name"] for tag in said["tags"] if tag["description"]}
    bare = []
    for at, one in operations(said):
        if not one.get("summary") or not one.get("description"):
            bare.append(f"{at}: no words about it")
        if not re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", one["operationId"]) or "_v1" in one["operationId"]:
            bare.append(f"{at}: the name {one['operationId']!r}")
        if not one.get("tags") or not set(one["tags"]) <= tags:
            bare.append(f"{at}: the tags {one.get('tags')}, which orchestrator.api.described does not describe")
    assert not bare, "\n".join(bare)


def test_no_two_operations_have_one_name(said: dict[str, Any]) -> None:
    names = [one["operationId"] for _, one in operations(said)]
    assert sorted(names) == sorted(set(names))


def test_every_parameter_is_described(said: dict[str, Any]) -> None:
    bare = [
        f"{at}: {parameter['in']} {parameter['name']}"
        for at, one in operations(said)
        for parameter in one.get("parameters", ())
        if not parameter.get("description")
    ]
    assert not bare, "\n".join(bare)


def test_every_field_is_described(said: dict[str, Any]) -> None:
    schemas = said["components"]["schemas"]
    bare = [name for name, schema in schemas.items() if not schema.get("description")]
    bare += [at for name, schema in schemas.items() for at, one in fields(schema, name) if not one.get("description")]
    for at, one in operations(said):
        for kind, body in one.get("requestBody", {}).get("content", {}).items():
            inline = fields(body.get("schema"), f"{at} {kind}")
            bare += [name for name, field in inline if not field.get("description")]
    assert not bare, "\n".join(bare)


def test_every_answer_has_a_shape_and_every_error_the_one_envelope(said: dict[str, Any]) -> None:
    bare = []
    for at, one in operations(said):
        for status, answer in one["responses"].items():
            schemas = [body.get("schema") or {} for body in answer.get("content", {}).values()]
            if status >= "400" and schemas != [ERROR] and (one["operationId"], status) not in OWN_SHAPE:
                bare.append(f"{at} {status}: not the envelope")
            if status < "300" and status != "204" and not all(map(_has_shape, schemas or [{}])):
                bare.append(f"{at} {status}: no shape")
    assert not bare, "\n".join(bare)


def _has_shape(schema: dict[str, Any]) -> bool:
    return (
        bool({"$ref", "anyOf", "oneOf", "contentMediaType", "properties", "format"} & schema.keys())
        or "items" in schema
    )


def test_every_body_of_json_has_an_example_that_is_understood(said: dict[str, Any], api: httpx.Client) -> None:
    """What an example names is not there, or there is no worker; nothing is wrong with the body itself."""
    admin = api.post("/v1/keys", json={"name": "admin", "scopes": ["admin"]}).json()["key"]
    api.headers["authorization"] = f"Bearer {admin}"
    looked = 0
    for at, one in operations(said):
        body = one.get("requestBody", {}).get("content", {}).get("application/json")
        if body is None or one["operationId"] in WAITING:
            continue
        method, path = at.split()
        address = re.sub(r"\{\w+\}", "nothing_01K00000000000000000000000", path)
        assert body["examples"], at
        for name, example in body["examples"].items():
            answer = api.request(method, address, json=example["value"])
            expected = UNDERSTOOD.get(one["operationId"], {404} if "{" in path else {200, 201, 202})
            assert answer.status_code in expected, (at, name, answer.text)
            if answer.status_code == 422:  # the body is right, and what it names is not there
                assert answer.json()["error"]["param"] in {"pictures", "url"}, answer.text
                assert not re.search(r"field|valid|should", answer.json()["error"]["message"]), answer.text
            looked += 1
    assert looked > 20
