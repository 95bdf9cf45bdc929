"""Blobs over HTTP: whole, in part, or not at all because the client has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from orchestrator.api.context import Context
from orchestrator.api.described import bytes_of
from orchestrator.errors import RangeNotSatisfiable, described
from orchestrator.media import INLINE, ending
from store.assets import Asset
from store.blobs import Link

RANGE = {
    "name": "Range",
    "in": "header",
    "required": False,
    "description": "a part, as in `bytes=0-99`; several parts and other units are ignored",
    "schema": {"type": "string"},
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: bytes_of("The bytes.", "*/*"),
    206: bytes_of("The part that was asked for.", "*/*"),
    304: {"description": "They are those of the ETag in `If-None-Match`."},
    307: {"description": "They are at the store of the studio, by a link that it signed."},
    **described(416),
}


def send(request: Request, here: Context, asset: Asset) -> Response:
    """Answer with an asset's bytes, or the part that was asked for."""
    return send_blob(request, here, asset.sha256, asset.size_bytes, asset.media_type, asset.id)


def send_blob(request: Request, here: Context, sha256: str, size_bytes: int, media_type: str, name: str) -> Response:
    """Answer with a blob, or the part that was asked for, or a link to it that the blob store signed.

    Raises:
        RangeNotSatisfiable: the part lies outside.
        BlobMissing: it is not there.
    """
    etag = f'"{sha256}"'
    headers = _headers(etag, media_type, name)
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if request.method == "GET" and (link := _link(here, sha256, media_type, headers["content-disposition"])):
        return RedirectResponse(link, 307, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"})
    wanted = request.headers.get("range")
    if request.headers.get("if-range", etag) != etag:
        wanted = None
    part = parse(wanted, size_bytes) if wanted else None
    first, last = part or (0, size_bytes - 1)
    headers["content-length"] = str(last - first + 1)
    if part is not None:
        headers["content-range"] = f"bytes {first}-{last}/{size_bytes}"
    chunks = here.blobs.chunks(sha256, first, last + 1 - first)
    body: Iterator[bytes] | list[bytes] = [] if request.method == "HEAD" else _begun(chunks)
    return StreamingResponse(body, 200 if part is None else 206, headers=headers, media_type=media_type)


def parse(header: str, size_bytes: int) -> tuple[int, int] | None:
    """Give the first and last byte of a single range; None for what may be ignored (several, another unit).

    Raises:
        RangeNotSatisfiable: the part lies outside.
    """
    match = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", header.strip())
    if match is None or match[0].endswith("=-"):
        return None
    if match[1] == "":
        first, last = max(0, size_bytes - int(match[2])), size_bytes - 1
        outside = int(match[2]) == 0
    else:
        first = int(match[1])
        last = min(int(match[2]), size_bytes - 1) if match[2] else size_bytes - 1
        if match[2] and int(match[2]) < first:
            return None
        outside = first >= size_bytes
    if outside or size_bytes == 0:
        raise RangeNotSatisfiable(f"the content has {size_bytes} bytes; {header!r} lies outside", param="Range")
    return first, last


def _headers(etag: str, media_type: str, name: str) -> dict[str, str]:
    shown = "inline" if media_type in INLINE else "attachment"
    return {
        "etag": etag,
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=31536000, immutable",
        "content-disposition": f'{shown}; filename="{name}.{ending(media_type)}"',
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "cross-origin-resource-policy": "same-origin",
    }


def _link(here: Context, sha256: str, media_type: str, disposition: str) -> str | None:
    if not here.settings.signed_links_s:
        return None
    link = Link(here.settings.signed_links_s, media_type, disposition, here.settings.blobs_public_url)
    return here.blobs.link(sha256, link)


def _begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Read the first chunk now, so that a missing blob is an error and not a broken answer."""
    first = next(chunks, b"")

    def rest() -> Iterator[bytes]:
        yield first
        yield from chunks

    return rest()
