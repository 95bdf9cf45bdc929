"""Assets as MCP resources."""

from __future__ import annotations

import base64
import re

from mcp_types import (
    BlobResourceContents,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from orchestrator.api import assets as asset_routes
from orchestrator.api.mcp import contents
from orchestrator.api.mcp.turn import Desk
from orchestrator.errors import NotFound, TooLarge
from store import library

PAGE = 50
READ_BYTES = 8 << 20  # a message holds it in base64
ADDRESS = re.compile(re.escape(contents.SCHEME) + r"(asset_[0-9A-HJKMNP-TV-Z]{26})")


def list_(desk: Desk, cursor: str | None) -> ListResourcesResult:
    """List an owner's assets, newest first.

    Raises:
        UnknownAsset: the cursor is of no asset of theirs.
    """
    with desk.context.database.read() as connection:
        page = library.list_(connection, desk.owner, before=cursor, limit=PAGE)
    found = [Resource(**contents.described(asset)) for asset in page.data]
    return ListResourcesResult(resources=found, next_cursor=page.next if page.has_more else None)


def templates() -> ListResourceTemplatesResult:
    """Give the form of the addresses."""
    asset = ResourceTemplate(
        uri_template=contents.SCHEME + "{asset_id}",
        name="asset",
        title="An asset of the library",
        description=f"The bytes of an asset, up to {READ_BYTES >> 20} MiB.",
    )
    return ListResourceTemplatesResult(resource_templates=[asset])


def read(desk: Desk, uri: str) -> ReadResourceResult:
    """Give the bytes of an asset.

    Raises:
        NotFound: there is no such asset of the owner.
        TooLarge: it is too large for a message.
    """
    match = ADDRESS.fullmatch(uri)
    if match is None:
        raise NotFound(f"there is no resource {uri[:200]!r}; an asset is {contents.SCHEME}asset_…")
    asset = asset_routes.find(desk.context, desk.owner, match[1])
    if asset.size_bytes > READ_BYTES:
        where = asset_routes.view(asset)["content_url"]
        raise TooLarge(f"asset {asset.id!r} has {asset.size_bytes} bytes, too many for a message; fetch GET {where}")
    content = desk.context.blobs.get(asset.sha256)
    if asset.media_type.startswith("text/"):
        text = TextResourceContents(uri=uri, mime_type=asset.media_type, text=content.decode(errors="replace"))
        return ReadResourceResult(contents=[text])
    blob = base64.b64encode(content).decode()
    return ReadResourceResult(contents=[BlobResourceContents(uri=uri, mime_type=asset.media_type, blob=blob)])
