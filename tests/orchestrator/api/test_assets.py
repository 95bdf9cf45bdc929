"""Assets over HTTP: bytes and parts of them, uploads, tags, search."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from orchestrator.api import bytes_range
from orchestrator.api.sniff import sniff
from orchestrator.errors import RangeNotSatisfiable, TooLarge, Unsupported

Save = Callable[..., str]
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 64, 32) + bytes(40)


def test_content_is_given_whole_in_part_and_not_twice(api: httpx.Client, save: Save) -> None:
    content = PNG + bytes(range(256)) * 2000
    asset = save(content)
    path = f"/v1/assets/{asset}/content"

    whole = api.get(path)
    assert whole.content == content
    assert whole.headers["content-type"] == "image/png"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-disposition"].startswith("inline")
    part = api.get(path, headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == content[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    assert api.get(path, headers={"Range": "bytes=-5"}).content == content[-5:]
    assert api.get(path, headers={"Range": "bytes=10-19", "If-Range": '"other"'}).status_code == 200
    assert api.get(path, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    assert api.get(path, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    head = api.head(path)
    assert head.headers["content-length"] == str(len(content))
    assert head.content == b""


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 0)),
        ("bytes=5-", (5, 99)),
        ("bytes=-10", (90, 99)),
        ("bytes=-1000", (0, 99)),
        ("bytes=90-1000", (90, 99)),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("lines=1-2", None),
        ("bytes=-", None),
    ],
)
def test_ranges_are_read_as_the_standard_says(header: str, expected: tuple[int, int] | None) -> None:
    assert bytes_range.parse(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0"])
def test_a_range_outside_is_refused(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        bytes_range.parse(header, 100)


def test_text_is_never_shown_in_place(api: httpx.Client, save: Save) -> None:
    asset = save(b"<script>alert(1)</script>", kind="text", media_type="text/plain")
    answer = api.get(f"/v1/assets/{asset}/content")

    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]


def test_an_upload_is_sniffed_saved_and_found(api: httpx.Client) -> None:
    raw = api.post("/v1/assets", content=PNG, params={"caption": "a red car", "tags": "Car, toy"})
    form = api.post("/v1/assets", files={"file": ("blue bird.png", PNG + b"x", "text/html")})

    assert raw.status_code == form.status_code == 201
    assert raw.json()["media_type"] == form.json()["media_type"] == "image/png"
    assert (raw.json()["width"], raw.json()["height"]) == (64, 32)
    assert raw.json()["tags"] == ["car", "toy"]
    assert form.json()["caption"] == "blue bird"
    assert api.get(raw.json()["content_url"]).content == PNG
    found = api.get("/v1/search", params={"query": "red car"}).json()["data"]
    assert found[0]["id"] == raw.json()["id"]
    assert found[0]["score"] > found[1]["score"]
    like = api.post("/v1/search", json={"like": raw.json()["id"]}).json()["data"]
    assert [hit["id"] for hit in like] == [form.json()["id"]]
    tagged = api.post("/v1/search", json={"query": "car", "tags": ["toy"]}).json()["data"]
    assert [hit["id"] for hit in tagged] == [raw.json()["id"]]


def test_what_no_tool_can_use_is_refused(api: httpx.Client) -> None:
    assert api.post("/v1/assets", content=b"MZ\x90\0\x03").status_code == 415
    assert api.post("/v1/assets", content=b"").status_code == 400
    assert api.post("/v1/assets", files={"other": ("a.png", PNG)}).status_code == 400
    too_large = api.post("/v1/assets", content=PNG + bytes(2 << 20))
    assert too_large.status_code == 413
    assert too_large.json()["error"]["code"] == "too_large"


def test_a_picture_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(TooLarge):
        sniff(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 100_000, 100_000))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"GIF89a" + struct.pack("<HH", 3, 4), ("image/gif", 3, 4)),
        (
            b"\xff\xd8\xff\xe0\0\x04ab" + b"\xff\xc0\0\x0b\x08" + struct.pack(">HH", 20, 30) + bytes(4),
            ("image/jpeg", 30, 20),
        ),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\x09\0\0\x04\0\0", ("image/webp", 10, 5)),
        (b"\0\0\0 ftypisom", ("video/mp4", None, None)),
        (b"RIFF\0\0\0\0WAVEfmt ", ("audio/wav", None, None)),
        (b"MThd\0\0\0\x06\0\0\0\x01\0\x60", ("audio/midi", None, None)),
        ("schön".encode(), ("text/plain", None, None)),
    ],
)
def test_files_are_known_by_their_first_bytes(content: bytes, expected: tuple[str, Any, Any]) -> None:
    found = sniff(content)
    assert (found.media_type, found.width, found.height) == expected


@pytest.mark.parametrize("content", [b"\x7fELF\0", b"\xff\xfe\x00a", b"PK\x03\x04\0"])
def test_other_files_are_not_guessed_at(content: bytes) -> None:
    with pytest.raises(Unsupported):
        sniff(content)


def test_tags_are_replaced_and_a_deleted_asset_is_gone(api: httpx.Client, save: Save) -> None:
    asset = save(tags=("old",))
    assert api.put(f"/v1/assets/{asset}/tags", json={"tags": ["New", "new", "b"]}).json()["tags"] == ["b", "new"]
    assert [row["id"] for row in api.get("/v1/assets", params={"tag": "new"}).json()["data"]] == [asset]
    assert api.delete(f"/v1/assets/{asset}").status_code == 204
    assert api.get(f"/v1/assets/{asset}").status_code == 404
    assert api.get("/v1/assets").json()["data"] == []


def test_others_assets_are_404(api: httpx.Client, save: Save) -> None:
    asset = save(owner="bob")
    for path in ("", "/content", "/thumbnail", "/lineage"):
        assert api.get(f"/v1/assets/{asset}{path}").status_code == 404
    assert api.post(f"/v1/assets/{asset}/verify").status_code == 404
    assert api.get("/v1/assets").json()["data"] == []


def test_history_is_told_in_both_directions(api: httpx.Client, save: Save) -> None:
    parent = save()
    child = save(b"other", parents=(parent,))
    assert [row["id"] for row in api.get(f"/v1/assets/{child}/lineage").json()["ancestors"]] == [parent]
    assert [row["id"] for row in api.get(f"/v1/assets/{parent}/lineage").json()["descendants"]] == [child]


def test_an_upload_cannot_be_verified_and_says_why(api: httpx.Client, save: Save) -> None:
    answer = api.post(f"/v1/assets/{save()}/verify")
    assert answer.status_code == 422
    assert "recipe" in answer.json()["error"]["message"]


def test_unknown_kinds_are_named(api: httpx.Client) -> None:
    assert "hologram" in api.get("/v1/search", params={"query": "x", "kind": "hologram"}).json()["error"]["message"]
