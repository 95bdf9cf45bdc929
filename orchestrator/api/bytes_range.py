"""Blobs over HTTP: whole, in part, or not at all because the client has them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from orchestrator.errors import RangeNotSatisfiable
from orchestrator.media import INLINE, ending
from store.assets import Asset
from store.blobs import Blobs

CHUNK_BYTES = 1 << 18


def send(request: Request, blobs: Blobs, asset: Asset) -> Response:
    """Answer with an asset's bytes, or the part that was asked for."""
    return send_blob(request, blobs, asset.sha256, asset.size_bytes, asset.media_type, asset.id)


def send_blob(request: Request, blobs: Blobs, sha256: str, size_bytes: int, media_type: str, name: str) -> Response:
    """Answer with a blob, or the part that was asked for.

    Raises:
        RangeNotSatisfiable: the part lies outside.
        BlobMissing: it is not there.
    """
    etag = f'"{sha256}"'
    headers = _headers(etag, media_type, name)
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range")
    if request.headers.get("if-range", etag) != etag:
        wanted = None
    part = parse(wanted, size_bytes) if wanted else None
    first, last = part or (0, size_bytes - 1)
    headers["content-length"] = str(last - first + 1)
    if part is not None:
        headers["content-range"] = f"bytes {first}-{last}/{size_bytes}"
    chunks = _chunks(blobs, sha256, first, last + 1 - first)
    body: Iterator[bytes] | list[bytes] = [] if request.method == "HEAD" else _begun(chunks)
    return StreamingResponse(body, 200 if part is None else 206, headers=headers, media_type=media_type)


def parse(header: str, size_bytes: int) -> tuple[int, int] | None:
    """Give the first and last byte of a single range; None for what may be ignored (several, another unit).

    Raises:
        RangeNotSatisfiable: the part lies outside.
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
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


def _chunks(blobs: Blobs, sha256: str, first: int, left: int) -> Iterator[bytes]:
    with blobs.open(sha256) as stream:
        stream.seek(first)
        while left > 0 and (chunk := stream.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk


def _begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Read the first chunk now, so that a missing blob is an error and not a broken answer."""
    first = next(chunks, b"")

    def rest() -> Iterator[bytes]:
        yield first
        yield from chunks

    return rest()
