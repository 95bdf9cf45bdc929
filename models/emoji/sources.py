"""The packages that the pictures and their captions come from, pinned by version and sha256."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STYLES: tuple[str, ...] = ("noto", "twemoji", "fluent", "emojione")
GROUPS: dict[int, str] = {
    0: "faces",
    1: "people",
    3: "nature",
    4: "food",
    5: "places",
    6: "activities",
    7: "objects",
    8: "symbols",
}
KEPT_SYMBOLS = {84, 92}  # warnings and currency; the rest of the group is letters, arrows and buttons
DROPPED_SUBGROUPS = {31, 32, 33}  # busts and footprints, skin tones, hair
GENDER_SIGNS = ("2640", "2642")
CLOCK_FACE = re.compile(r"o’clock|-thirty|o'clock")


@dataclass(frozen=True)
class Source:
    """One npm package, the only version of it that we take, and its licence (SPDX)."""

    style: str
    package: str
    version: str
    sha256: str
    licence: str

    @property
    def file(self) -> str:
        """The name that `npm pack` gives the archive."""
        return f"{self.package.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


CAPTIONS = Source(
    "", "emojibase-data", "17.0.0", "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a", "MIT"
)
PICTURES = (
    Source(
        "noto",
        "@iconify-json/noto",
        "1.2.9",
        "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
        "Apache-2.0",
    ),
    Source(
        "twemoji",
        "@iconify-json/twemoji",
        "1.2.5",
        "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
        "CC-BY-4.0",
    ),
    Source(
        "fluent",
        "@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
        "MIT",
    ),
    Source(
        "emojione",
        "@iconify-json/emojione",
        "1.2.3",
        "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
        "CC-BY-4.0",
    ),
)


@dataclass(frozen=True)
class Thing:
    """What a picture shows, whatever its style. `key` is the code points, as in `1f431`."""

    key: str
    name: str
    tags: tuple[str, ...]
    group: str
    subgroup: int


def archive(source: Source, folder: Path) -> Path:
    """Return the path of the archive in `folder`, fetched with `npm pack` if missing, its sha256 checked.

    Raises:
        ValueError: the archive is not the one that we pinned.
    """
    path = folder / source.file
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", f"{source.package}@{source.version}"], cwd=folder, check=True)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != source.sha256:
        raise ValueError(f"{path} has sha256 {found}, not {source.sha256}: delete it and fetch it again")
    return path


def read_json(path: Path, member: str) -> Any:
    """Return one JSON file of an npm archive."""
    with tarfile.open(path) as tar:
        found = tar.extractfile(f"package/{member}")
        if found is None:
            raise ValueError(f"{path} holds no {member!r}")
        return json.load(found)


def things(entries: list[dict[str, Any]]) -> list[Thing]:
    """Choose what we draw out of emojibase's entries.

    Left out: flags, letters, arrows and buttons, clock faces, families, and the gendered twin of what has a
    neutral form.
    """
    keys = {_key(e["hexcode"]) for e in entries}
    kept = [e for e in entries if _is_drawn(e, keys)]
    return [
        Thing(_key(e["hexcode"]), e["label"], tuple(e.get("tags", ())), GROUPS[e["group"]], e["subgroup"]) for e in kept
    ]


def _is_drawn(entry: dict[str, Any], keys: set[str]) -> bool:
    group, subgroup, key = entry.get("group"), entry.get("subgroup"), _key(entry["hexcode"])
    if group not in GROUPS or subgroup in DROPPED_SUBGROUPS or CLOCK_FACE.search(entry["label"]):
        return False
    if group == 8 and subgroup not in KEPT_SYMBOLS:
        return False
    if subgroup == 30 and key != "1f46a":
        return False
    parts = key.split("-")
    if any(sign in parts for sign in GENDER_SIGNS) or "27a1" in parts:
        return False
    return not (parts[0] in {"1f468", "1f469"} and len(parts) > 1 and "-".join(["1f9d1", *parts[1:]]) in keys)


def icon_bodies(source: Source, path: Path, wanted: list[Thing], known: dict[str, set[str]]) -> dict[str, str]:
    """Return the SVG of each thing that the pack holds, by the thing's key.

    Args:
        source: the pack.
        path: its archive.
        wanted: the things to look for.
        known: names that other packs use for a key; filled here, and used for a pack without a table of characters.
    """
    icons = read_json(path, "icons.json")
    chars = _chars(path)
    for key, name in chars.items():
        known.setdefault(key, set()).add(name)
    found = {}
    for thing in wanted:
        names = [chars[thing.key]] if thing.key in chars else [slug(thing.name), *sorted(known.get(thing.key, set()))]
        if chars and thing.key not in chars:
            continue
        body = next((b for b in (_body(icons, name) for name in names) if b), None)
        if body:
            found[thing.key] = body
    return found


def slug(name: str) -> str:
    """Return a name as icon packs spell it: `cat-face`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _key(hexcode: str) -> str:
    return hexcode.lower().replace("-fe0f", "")


def _chars(path: Path) -> dict[str, str]:
    try:
        chars = read_json(path, "chars.json")
    except KeyError:
        return {}
    return {_key(key): name for key, name in chars.items()}


def _body(icons: dict[str, Any], name: str) -> str | None:
    name = icons.get("aliases", {}).get(name, {}).get("parent", name)
    icon = icons["icons"].get(name)
    if icon is None:
        return None
    width, height = icon.get("width", icons["width"]), icon.get("height", icons["height"])
    left, top = icon.get("left", 0), icon.get("top", 0)
    view = f"{left} {top} {width} {height}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{view}">{icon["body"]}</svg>'
    )
