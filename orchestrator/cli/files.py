"""Gives people files that open: assets of the library under names of their own."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.media import ending

if TYPE_CHECKING:
    from orchestrator.cli.client import Client
    from orchestrator.settings import Settings

SLUG_CHARACTERS = 48
ID_CHARACTERS = 6


def file_name(asset: dict[str, Any]) -> str:
    """Give a name such as "2026-11-23-happy-cat-7QK2ZD.png"."""
    day = time.strftime("%Y-%m-%d", time.localtime(asset["created_at"]))
    slug = re.sub(r"[^a-z0-9]+", "-", asset["caption"].lower())[:SLUG_CHARACTERS].strip("-") or asset["kind"]
    return f"{day}-{slug}-{asset['id'][-ID_CHARACTERS:]}.{ending(asset['media_type'])}"


def export(client: Client, asset: dict[str, Any], to: Path) -> Path:
    """Copy an asset's bytes to a file or into a folder; a copy that is there already stays."""
    path = to / file_name(asset) if to.is_dir() or not to.suffix else to
    if path.exists() and path.stat().st_size == asset["size_bytes"]:
        return path
    return client.download(asset["content_url"], path)


def made(client: Client, settings: Settings, asset_id: str) -> dict[str, Any]:
    """Give what people are shown of an asset, with the path of a file that opens."""
    asset = client.get(f"/v1/assets/{asset_id}")
    return {
        "id": asset["id"],
        "kind": asset["kind"],
        "path": str(export(client, asset, settings.made)),
        "caption": asset["caption"],
        "seed": asset["seed"],
    }


def thumbnail(client: Client, settings: Settings, asset: dict[str, Any]) -> str | None:
    """Give the path of an asset's thumbnail, None where it has none."""
    if asset["thumbnail_url"] is None:
        return None
    path = settings.home / "thumbnails" / f"{asset['id']}.png"
    if not path.exists():
        client.download(asset["thumbnail_url"], path)
    return str(path)
