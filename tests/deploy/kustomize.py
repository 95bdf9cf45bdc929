"""As much of kustomize as our overlays use, for machines without kubectl; a test compares both where it is there."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]
MERGE_KEYS = ("name", "mountPath", "containerPort")  # by which Kubernetes merges lists of objects


def render(folder: Path) -> list[Document]:
    """Give the documents of a folder with its patches, image tags and labels."""
    wanted = yaml.safe_load((folder / "kustomization.yaml").read_text())
    documents: list[Document] = []
    for name in wanted["resources"]:
        place = folder / name
        documents += render(place) if place.is_dir() else [one for one in yaml.safe_load_all(place.read_text()) if one]
    for document in documents:
        for patch in wanted.get("patches", []):
            if _is_target(document, patch["target"]):
                body = yaml.safe_load((folder / patch["path"]).read_text())
                document["spec"] = _merged(document["spec"], body["spec"])
        for image in wanted.get("images", []):
            _tag(document, image)
        for labels in wanted.get("labels", []):
            document["metadata"]["labels"] = document["metadata"].get("labels", {}) | labels["pairs"]
        if document["kind"] != "Namespace":
            document["metadata"]["namespace"] = wanted["namespace"]
    return documents


def _is_target(document: Document, target: dict[str, str]) -> bool:
    label, _, value = target["labelSelector"].partition("=")
    has = document["metadata"].get("labels", {})
    return document["kind"] == target["kind"] and label in has and value in {"", has[label]}


def _merged(base: Any, patch: Any) -> Any:
    """Merge as a strategic merge patch does: what is new in a list of named objects comes first."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return base | {
            key: _merged(base[key], value) if key in base else copy.deepcopy(value) for key, value in patch.items()
        }
    key = next(
        (key for key in MERGE_KEYS if isinstance(base, list) and base and isinstance(base[0], dict) and key in base[0]),
        None,
    )
    if key is None or not isinstance(patch, list):
        return copy.deepcopy(patch)
    patches = {one[key]: one for one in patch}
    known = [_merged(one, patches.pop(one[key])) if one[key] in patches else one for one in base]
    return [*(copy.deepcopy(one) for one in patches.values()), *known]


def _tag(document: Document, image: dict[str, str]) -> None:
    pod = document.get("spec", {}).get("template", {}).get("spec", {})
    for container in [*pod.get("initContainers", []), *pod.get("containers", [])]:
        if container["image"] == image["name"]:
            container["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"
