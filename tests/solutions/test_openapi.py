"""A company's own service as a solution: a real one, and how its calls are written."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.solutions.openapi_servers import (
    PNG,
    SECRET,
    Shop,
    application,
    call,
    client_of,
    declared,
    described,
    get,
    only,
    running,
    said,
)
from tests.tools.raw_server import RawServer, serving
from tests.tools.raw_server import said as answered
from tools.base import sha256_hex
from tools.fetch import Fetched
from tools.solutions import arguments
from tools.solutions.base import (
    Part,
    Secret,
    SecretMissing,
    SolutionAway,
    SolutionFault,
    SolutionSaid,
    connect,
    digest,
)
from tools.solutions.openapi import OpenApiClient
from tools.solutions.openapi_answer import MESSAGE, returned

ALL = ("getProduct", "picture", "placeOrder", "addLabel", "deleteProduct")
OAUTH = {"type": "oauth2", "client_id": "atelier", "client_secret": {"env": "SHOP_SECRET"}, "scope": "read"}


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with running(application(Shop())) as url:
        yield url


@pytest.fixture
def client(shop: str) -> OpenApiClient:
    return OpenApiClient(declared(f"{shop}/openapi.json", tools=ALL))


def test_only_what_reads_is_offered_unless_more_is_chosen(shop: str) -> None:
    client = connect(declared(f"{shop}/openapi.json"))
    assert [(tool.name, tool.sends) for tool in client.offered()] == [("get_product", False), ("picture", False)]
    client.close()


def test_chosen_operations_are_offered_with_their_words_arguments_and_examples(client: OpenApiClient) -> None:
    product, picture, order, label, delete = client.offered()
    assert product.name == "get_product"
    assert product.description == "Find a product (GET /products/{product_id})"
    assert product.examples == ({"say": "what is the blue backpack?", "args": {"product_id": "b1"}},)
    assert product.parameters["required"] == ["product_id"]
    assert set(product.parameters["properties"]) == {"product_id", "tag", "x_trace"}
    assert product.parameters["properties"]["tag"]["description"] == "words that it has"
    assert [tool.sends for tool in (picture, order, label, delete)] == [False, True, True, True]
    assert order.parameters["required"] == ["quantity"]
    assert label.parameters["properties"]["file"]["contentEncoding"] == "base64"


def test_the_studio_can_use_what_is_offered(client: OpenApiClient) -> None:
    declaration = declared("https://shop.test/openapi.json")
    for tool in client.offered():
        spec = arguments.spec("shop", tool, declaration)
        assert spec.sends == tool.sends
    args = arguments.args_model("shop.place_order", client.offered()[2], {})
    part = {"name": "strap", "parts": [{"name": "buckle", "parts": []}]}
    assert args.model_validate({"quantity": 2, "part": part}).model_dump()["quantity"] == 2


def test_a_call_with_path_query_and_header(client: OpenApiClient) -> None:
    answer = said(call(client, "get_product", product_id="ä ?&#;b", tag=["a b", "c&d=e"], x_trace="t 1"))
    assert answer == {"id": "ä ?&#;b", "tag": ["a b", "c&d=e"], "trace": "t 1"}


def test_what_is_left_out_is_not_sent(client: OpenApiClient) -> None:
    assert said(call(client, "get_product", product_id="b1", tag=None)) == {"id": "b1", "tag": [], "trace": None}


def test_a_picture_comes_as_it_is(client: OpenApiClient) -> None:
    assert call(client, "picture", name="logo").parts == (Part("image/png", PNG),)


def test_a_call_with_a_json_body(client: OpenApiClient) -> None:
    part = {"name": "strap", "parts": [{"name": "buckle", "parts": []}]}
    assert said(call(client, "place_order", quantity=2, part=part)) == {"quantity": 2, "colour": None, "part": part}


def test_a_file_goes_as_its_bytes(client: OpenApiClient) -> None:
    answer = said(call(client, "add_label", title="Grüße", file=base64.b64encode(PNG).decode()))
    assert (answer["title"], answer["sha256"]) == ("Grüße", sha256_hex(PNG))
    with pytest.raises(SolutionSaid, match="base64"):
        call(client, "add_label", title="x", file="@asset")


def test_an_answer_without_content_says_that_it_was_done(client: OpenApiClient) -> None:
    (part,) = call(client, "delete_product", product_id="b1").parts
    assert part == Part("text/plain", b"It answered 204 No Content, without content.")


def test_the_service_says_what_was_wrong(client: OpenApiClient) -> None:
    with pytest.raises(SolutionSaid, match=r"^404 Not Found: there is no such product$"):
        call(client, "get_product", product_id="none")
    with pytest.raises(SolutionSaid, match=r"body\.quantity: .*valid integer"):
        call(client, "place_order", quantity="many")


def test_arguments_that_do_not_fit_are_said(client: OpenApiClient) -> None:
    with pytest.raises(SolutionSaid, match="needs the argument 'product_id'"):
        call(client, "get_product")
    with pytest.raises(SolutionSaid, match="no argument 'colour'; it has: product_id, tag, x_trace"):
        call(client, "get_product", product_id="b1", colour="blue")
    with pytest.raises(SolutionSaid, match="offers no 'drop_tables'"):
        call(client, "drop_tables")


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "../orders", "a\\b", "a\nb", "\x00", "\ud800"])
def test_a_value_cannot_leave_its_part_of_the_path(client: OpenApiClient, value: str) -> None:
    with pytest.raises(SolutionSaid):
        call(client, "get_product", product_id=value)


@pytest.mark.parametrize(
    ("parameter", "value", "query"),
    [
        ({}, ["a", "b c"], "q=a&q=b%20c"),
        ({"explode": False}, ["a,b", "c"], "q=a%2Cb,c"),
        ({"style": "spaceDelimited", "explode": False}, ["a", "b"], "q=a%20b"),
        ({"style": "pipeDelimited", "explode": False}, ["a", "b"], "q=a%7Cb"),
        ({}, {"r": 1, "g": True}, "r=1&g=true"),
        ({"explode": False}, {"r": 1, "g": None}, "q=r,1,g,"),
        ({"style": "deepObject"}, {"r": 1, "g": 2.5}, "q%5Br%5D=1&q%5Bg%5D=2.5"),
        ({"content": {"application/json": {"schema": {}}}}, {"a": [1]}, "q=%7B%22a%22%3A%5B1%5D%7D"),
        ({}, "a=b&c", "q=a%3Db%26c"),
    ],
)
def test_how_a_query_is_written(tmp_path: Path, parameter: dict[str, Any], value: Any, query: str) -> None:
    document = described({"/find": get({"name": "q", "in": "query", "schema": {}} | parameter)})
    with serving(lambda request: [answered(b"{}")]) as server:
        call(client_of(tmp_path, document, server), q=value)
    assert server.requests[0].split(b"\r\n")[0] == f"GET /find?{query} HTTP/1.1".encode()


@pytest.mark.parametrize(
    ("content", "args", "media_type", "body"),
    [
        ({"application/json": {"schema": {"type": "array"}}}, {"body": [1, "ü"]}, "application/json", '[1,"ü"]'),
        (
            {"application/merge-patch+json": {"schema": {"properties": {"a": {}}}}},
            {"a": None},
            "application/merge-patch+json",
            "{}",
        ),
        (
            {"application/x-www-form-urlencoded": {"schema": {"properties": {"a": {}, "b": {}}}}},
            {"a": ["x y", "&"], "b": True},
            "application/x-www-form-urlencoded",
            "a=x+y&a=%26&b=true",
        ),
        ({"text/plain": {"schema": {"type": "string"}}}, {"body": "Grüße"}, "text/plain", "Grüße"),
        ({"image/png": {}}, {"body": base64.b64encode(b"raw").decode()}, "image/png", "raw"),
        ({"*/*": {"schema": {"properties": {"a": {}}}}}, {"a": 1}, "application/json", '{"a":1}'),
    ],
)
def test_how_a_body_is_written(
    tmp_path: Path, content: dict[str, Any], args: dict[str, Any], media_type: str, body: str
) -> None:
    operation = {"operationId": "find", "requestBody": {"required": True, "content": content}}
    with serving(lambda request: [answered(b"{}")]) as server:
        call(client_of(tmp_path, described({"/a": {"post": operation}}), server, tools=("find",)), **args)
    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    assert f"content-type: {media_type}".encode() in head.lower().split(b"\r\n")
    assert sent.decode() == body


def test_several_files_of_one_field_and_their_media_type(tmp_path: Path) -> None:
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    form = {"schema": {"properties": {"files": files}}, "encoding": {"files": {"contentType": "image/png, image/jpeg"}}}
    operation = {"operationId": "find", "requestBody": {"content": {"multipart/form-data": form}}}
    with serving(lambda request: [answered(b"{}")]) as server:
        client = client_of(tmp_path, described({"/a": {"post": operation}}), server, tools=("find",))
        item = only(client).parameters["properties"]["files"]["items"]
        call(client, files=[base64.b64encode(b"first").decode(), base64.b64encode(b"second").decode()])
        call(client)
    assert item == {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
    assert server.requests[0].count(b'; name="files"; filename="files.png"') == 2
    assert server.requests[0].count(b"Content-Type: image/png\r\n\r\nfirst\r\n") == 1
    assert b"multipart" not in server.requests[1]


def test_two_arguments_of_one_name_both_arrive(tmp_path: Path) -> None:
    operation = {
        "operationId": "find",
        "parameters": [{"name": "id", "in": where, "required": True, "schema": {}} for where in ("query", "path")],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"properties": {"id": {}}}}}},
    }
    document = described({"/a/{id}": {"put": operation}})
    with serving(lambda request: [answered(b"{}")]) as server:
        client = client_of(tmp_path, document, server, tools=("find",))
        assert list(only(client).parameters["properties"]) == ["id", "id_query", "id_body"]
        call(client, id="p", id_query="q", id_body="b")
    assert server.requests[0].startswith(b"PUT /a/p?id=q HTTP/1.1")
    assert server.requests[0].endswith(b'{"id":"b"}')


def test_a_header_key_and_a_bearer_token_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    key_file = tmp_path / "key"
    key_file.write_text("t0ken\n")
    header = {"type": "header", "name": "X-Key", "value": {"env": "SHOP_KEY"}}
    bearer = {"type": "bearer", "token": {"file": str(key_file)}}
    document = described({"/a": get({"name": "x-key", "in": "header", "schema": {}})})
    with serving(lambda request: [answered(b"{}")]) as server:
        client = client_of(tmp_path, document, server, auth=header)
        assert only(client).parameters["properties"] == {}
        call(client)
        call(client_of(tmp_path, document, server, auth=bearer))
        key_file.write_text("newer\n")
        call(client_of(tmp_path, document, server, auth=bearer))
    lines = [request.lower() for request in server.requests]
    assert b"x-key: s3cret\r\n" in lines[0]
    assert b"authorization: bearer t0ken\r\n" in lines[1]
    assert b"authorization: bearer newer\r\n" in lines[2]


def test_a_pipe_is_neither_a_document_nor_a_secret(tmp_path: Path) -> None:
    pipe, letters = tmp_path / "pipe", tmp_path / "letters"
    os.mkfifo(pipe)
    letters.write_bytes(b"\xff\xfes3cret")
    with pytest.raises(SolutionFault, match="it is no file"):
        OpenApiClient(declared(str(pipe))).offered()
    for file, why in ((pipe, "it is no file"), (letters, "no text")):
        with pytest.raises(SecretMissing, match=why):
            Secret(file=file).read()


def test_a_missing_secret_is_said_at_once(tmp_path: Path) -> None:
    auth = {"type": "bearer", "token": {"env": "NOT_SET_ANYWHERE"}}
    with pytest.raises(SecretMissing, match="NOT_SET_ANYWHERE"):
        client_of(tmp_path, described({}), auth=auth)


def guarded(url: str, **fields: Any) -> OpenApiClient:
    auth = OAUTH | {"token_url": f"{url}/token"} | fields
    return OpenApiClient(declared(f"{url}/openapi.json", tools=("getProduct",), auth=auth))


@pytest.mark.parametrize("in_body", [False, True])
def test_a_token_is_fetched_once_and_used_until_it_ends(in_body: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    shop = Shop(lasts_s=0.5, in_body=in_body)
    with running(application(shop, is_guarded=True)) as url:
        client = guarded(url)
        calls = [
            threading.Thread(target=call, args=(client, "get_product"), kwargs={"product_id": "b1"}) for _ in "abc"
        ]
        for thread in calls:
            thread.start()
        for thread in calls:
            thread.join()
        assert len(shop.given) == 1
        time.sleep(0.45)  # its end is near: a new one comes before the service refuses the old one
        assert said(call(client, "get_product", product_id="b1"))["id"] == "b1"
    assert len(shop.given) == 2
    assert len(shop.seen) == 4


def test_a_token_that_was_withdrawn_is_fetched_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    shop = Shop()
    with running(application(shop, is_guarded=True)) as url:
        client = guarded(url)
        call(client, "get_product", product_id="b1")
        shop.given.clear()
        assert said(call(client, "get_product", product_id="b1"))["id"] == "b1"
        assert shop.token_calls == 2
        shop.lasts_s = -1  # tokens that are never good
        shop.given.clear()
        with pytest.raises(SolutionFault, match="401"):
            call(client, "get_product", product_id="b1")
    assert shop.token_calls == 3


def test_a_refused_client_is_a_fault_that_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", "wr0ng")
    with (
        running(application(Shop(), is_guarded=True)) as url,
        pytest.raises(SolutionFault, match=r"401 \(invalid_client\)") as fault,
    ):
        call(guarded(url), "get_product", product_id="b1")
    assert "wr0ng" not in str(fault.value)


def test_a_secret_that_a_long_refusal_repeats_is_not_told_in_part() -> None:
    said = b"you sent " + b"x" * (MESSAGE - 15) + b" s3cret-of-the-shop"
    for media_type, content in (("text/plain", said), ("application/json", b'{"detail": "%s"}' % said)):
        with pytest.raises(SolutionSaid) as refused:
            returned(Fetched(400, {}, media_type, content, "https://shop.test"), ["s3cret-of-the-shop"])
        assert "s3c" not in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (answered(b"{}", status="503 No"), SolutionAway),
        (answered(b"", status="429 Slow down"), SolutionAway),
        (answered(b"[]"), SolutionFault),
        (answered(b"<html>"), SolutionFault),
        (answered(b'{"access_token": 5}'), SolutionFault),
        (answered(b'{"access_token": "x", "token_type": "mac"}'), SolutionFault),
        (answered(b'{"access_token": "x\\r\\nX-Injected: 1", "token_type": "bearer"}'), SolutionFault),
        (answered(b'{"access_token": "' + b"x" * 100_000 + b'"}'), SolutionFault),
        (answered(b'{"error": "my secret is s3cret"}', status="400 No"), SolutionFault),
    ],
)
def test_token_services_that_misbehave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, error: type[Exception]
) -> None:
    monkeypatch.setenv("SHOP_SECRET", "s3cret")
    with serving(lambda request: [answer]) as tokens, serving(lambda request: [answered(b"{}")]) as server:
        auth = OAUTH | {"token_url": tokens.url}
        with pytest.raises(error) as raised:
            call(client_of(tmp_path, described({"/a": get()}), server, auth=auth))
    assert "s3cret" not in str(raised.value)
    assert server.requests == []


class Stop(Exception):
    """What a caller raises to end a call."""


def test_a_cancelled_call_ends_while_another_thread_fetches_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_SECRET", "s3cret")
    ended: list[float] = []

    def stop(fraction: float) -> None:
        if time.monotonic() - began > 0.3:
            raise Stop

    def end(client: OpenApiClient) -> None:
        with pytest.raises(Stop):
            client.call("find", {}, on_progress=stop, timeout_s=9)
        ended.append(time.monotonic() - began)

    servers: list[RawServer] = []
    with serving(lambda request: servers[0].rest() or []) as tokens:
        servers.append(tokens)
        client = client_of(tmp_path, described({"/a": get()}), tokens, auth=OAUTH | {"token_url": tokens.url})
        began = time.monotonic()
        threads = [threading.Thread(target=end, args=(client,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert tokens.requests
    assert len(ended) == 3
    assert max(ended) < 1


def test_a_schema_that_changes_changes_the_digest(tmp_path: Path) -> None:
    document = described({"/a": get({"name": "q", "in": "query", "schema": {"type": "string"}})})
    client = client_of(tmp_path, document)
    before = digest(client.offered())
    assert digest(client.offered()) == before
    for changed in (
        described({"/b": document["paths"]["/a"]}),
        described({"/a": get({"name": "q", "in": "query", "schema": {"type": "integer"}})}),
        described({"/a": get({"name": "q", "in": "query", "schema": {"type": "string"}}, summary="Now else.")}),
    ):
        (tmp_path / "openapi.json").write_text(json.dumps(changed))
        assert digest(client.offered()) != before
