"""Runs and assets in the words of MCP: text, pictures and sounds to look at, and links to the rest."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from mcp_types import AudioContent, CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent

from orchestrator.api import assets as asset_routes
from orchestrator.api.context import Context
from store import assets, runs
from store.assets import Asset

SHOWN_BYTES = 1 << 20  # of one asset inside an answer
ANSWER_BYTES = 4 << 20  # of all assets inside an answer
MOST_ASSETS = 32  # linked in an answer; the ids of all are in its structured content
PICTURES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
SOUNDS = frozenset({"audio/wav", "audio/x-wav", "audio/mpeg", "audio/ogg", "audio/flac"})
SCHEME = "atelier://assets/"


def uri(asset_id: str) -> str:
    """Give the address of an asset as a resource."""
    return SCHEME + asset_id


def link(asset: Asset) -> ResourceLink:
    """Give a link to an asset."""
    return ResourceLink(**described(asset))


def described(asset: Asset) -> dict[str, Any]:
    """Give what a list of resources says of an asset."""
    return {
        "uri": uri(asset.id),
        "name": asset.id,
        "title": asset.caption[:200] or None,
        "description": ", ".join((asset.kind, *asset.tags)),
        "mime_type": asset.media_type,
        "size": asset.size_bytes,
    }


def of_run(context: Context, owner: str, run: dict[str, Any], *, waited_s: float | None = None) -> CallToolResult:
    """Give a run with what it made.

    Args:
        waited_s: how long the call has waited for it, or None where it did not.
    """
    with context.database.read() as connection:
        found = assets.get_many(connection, owner, run["assets"])
    told = [_state(run, waited_s), *(_line(asset) for asset in found[:MOST_ASSETS])]
    parts: list[ContentBlock] = [TextContent(text="\n".join(told))]
    return CallToolResult(
        content=[*parts, *_shown(context, found[:MOST_ASSETS])],
        structured_content={
            "run_id": run["id"],
            "status": run["status"],
            "reply": run["reply"],
            "error": run["error"],
            "steps": [{name: step[name] for name in ("id", "tool", "status", "percent")} for step in run["steps"]],
            "assets": [_summary(asset) for asset in found],
        },
        is_error=run["status"] in {"failed", "cancelled"},
    )


def of_hits(found: Sequence[dict[str, Any]], linked: Sequence[Asset]) -> CallToolResult:
    """Give what a search found, nearest first."""
    lines = [f"{len(found)} found" if found else "nothing found", *(_line(asset) for asset in linked)]
    return CallToolResult(
        content=[TextContent(text="\n".join(lines)), *(link(asset) for asset in linked)],
        structured_content={"assets": list(found)},
    )


def refused(message: str) -> CallToolResult:
    """Give an error that the language model on the other side can read and mend."""
    return CallToolResult(content=[TextContent(text=message)], is_error=True)


def _state(run: dict[str, Any], waited_s: float | None) -> str:
    id_, status = run["id"], run["status"]
    if status == "completed":
        return str(run["reply"] or f"{id_} is completed.")
    if status == "failed":
        return f"{id_} failed: {(run['error'] or {}).get('message', 'it did not say why')}"
    if status == "waiting_approval":
        return (
            f"{id_} waits until a person approves its plan: on the page of the studio, or with "
            f"POST /v1/runs/{id_}/approve. Then call wait_run."
        )
    if status in runs.OPEN_RUN:
        waited = "" if waited_s is None else f" after {waited_s:g} s"
        unserved = f" ({run['unserved']})" if run["unserved"] else ""
        return f"{id_} is {status}{waited}{unserved} and goes on by itself. Call wait_run with this id for its result."
    return f"{id_} is {status}."


def _line(asset: Asset) -> str:
    size = f", {asset.width}x{asset.height} px" if asset.width else f", {asset.seconds:.1f} s" if asset.seconds else ""
    return f"@{asset.id}: {asset.kind}, {asset.caption!r}{size}"


def _summary(asset: Asset) -> dict[str, Any]:
    names = ("id", "kind", "media_type", "caption", "width", "height", "seconds", "seed", "size_bytes")
    content_url = asset_routes.view(asset)["content_url"]
    return {**{name: getattr(asset, name) for name in names}, "uri": uri(asset.id), "content_url": content_url}


def _shown(context: Context, found: Sequence[Asset]) -> list[ContentBlock]:
    parts: list[ContentBlock] = []
    left = ANSWER_BYTES
    for asset in found:
        part, size_bytes = _part(context, asset, min(left, SHOWN_BYTES))
        left -= size_bytes
        parts += [part, link(asset)] if part is not None else [link(asset)]
    return parts


def _part(context: Context, asset: Asset, most_bytes: int) -> tuple[ContentBlock | None, int]:
    """Give an asset to look at, within a number of bytes, and how many it took."""
    fits = asset.size_bytes <= most_bytes
    if asset.media_type in PICTURES and fits:
        return ImageContent(data=_base64(context, asset.sha256), mime_type=asset.media_type), asset.size_bytes
    if asset.media_type in SOUNDS and fits:
        return AudioContent(data=_base64(context, asset.sha256), mime_type=asset.media_type), asset.size_bytes
    if asset.media_type.startswith("text/") and fits:
        text = context.blobs.get(asset.sha256).decode(errors="replace")
        return TextContent(text=text), asset.size_bytes
    if asset.thumbnail_sha256 is not None and (size_bytes := context.blobs.size(asset.thumbnail_sha256)) <= most_bytes:
        return ImageContent(data=_base64(context, asset.thumbnail_sha256), mime_type="image/png"), size_bytes
    return None, 0


def _base64(context: Context, sha256: str) -> str:
    return base64.b64encode(context.blobs.get(sha256)).decode()
