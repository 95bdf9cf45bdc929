"""What people and clients are shown of tools and models; light, so the command line can ask without a studio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models import registry
from models.language import weights
from orchestrator.settings import Settings
from tools.base import ToolSpec

KINDS = {"vae": "image", "cgan": "image", "upscaler": "image"}
REMEDY = "run `make install`"
CARDS = Path(str(registry.__file__)).parent
ABOUT = {  # by name, and where there is no name by kind
    "cgan": "Imagines: from words, a style and a seed to the inner picture that the VAE draws.",
    "vae": "Draws: inner pictures become pixels, and pictures become inner ones that can be blended and varied.",
    "upscaler": "Enlarges what was drawn four times, with clean edges.",
    "planner": "Reads what you say and writes the plan of tools that makes it; also writes texts.",
    "embedding": "Turns words and captions into vectors, so that the library finds things by meaning.",
    "language": "Reads what you say and writes the plan of tools that makes it; also writes texts.",
}


def tool_view(spec: ToolSpec) -> dict[str, Any]:
    """Give what is shown of a tool."""
    return {
        "id": spec.name,
        "description": spec.description,
        "args": spec.args.model_json_schema(),
        "gives": spec.gives,
        "exact": spec.exact,
        "sends": spec.sends,
        "batch": spec.batch,
        "version": spec.version,
        "examples": [{"say": example.say, "args": example.args} for example in spec.examples],
    }


def models(settings: Settings, *, check: bool = False) -> list[dict[str, Any]]:
    """Give what is shown of each network: where its weights come from, and what is wrong with them if anything is.

    Args:
        settings: which language model and encoder are used.
        check: also compare the weights of the repository with their sha256, which reads them.
    """
    return [*(_drawn(name, check) for name in registry.families()), _encoder(settings), _language(settings)]


def card(name: str) -> Path | None:
    """Give the file in which a network of ours is described; None where there is none."""
    path = CARDS / name / "CARD.md"
    return path if name in ABOUT and path.is_file() else None


def _drawn(name: str, check: bool) -> dict[str, Any]:
    try:
        row = registry.entry(name)
        path = registry.checked_file(name) if check else registry.WEIGHTS / row["file"]
    except registry.CheckpointError as error:
        return _view(name, KINDS.get(name, "image"), None, fault=str(error))
    return _view(name, KINDS.get(name, "image"), path, sha256=row["sha256"], licence=row["licence"])


def _encoder(settings: Settings) -> dict[str, Any]:
    if settings.encoder is not None:
        return _view(settings.encoder, "embedding", None)
    folder = settings.home / weights.FOLDER / weights.ENCODER_FOLDER
    return _view(folder.name, "embedding", folder, sha256=weights.ENCODER.sha256, licence="Apache-2.0")


def _language(settings: Settings) -> dict[str, Any]:
    name = settings.language_model
    if name != "local":
        given = name.partition(":")[2]
        if name.startswith("scripted:"):
            given = Path(given).name  # where it lies is nobody's business
        return _view(settings.llm_model or given or name, "language", None)
    try:
        path = weights.planner_path(settings.home)
    except weights.CheckpointError as error:
        return _view("planner", "language", None, fault=str(error))
    return _view("planner", "language", path, sha256=weights.adapter_hash(), licence="Apache-2.0")


def _view(
    name: str,
    kind: str,
    path: Path | None,
    *,
    sha256: str | None = None,
    licence: str | None = None,
    fault: str | None = None,
) -> dict[str, Any]:
    if path is not None and not path.exists():
        fault = f"{path} is not there"
    here = path is not None and fault is None
    return {
        "id": name,
        "object": "model",
        "created": int(path.stat().st_mtime) if path is not None and here else 0,
        "owned_by": "atelier",
        "kind": kind,
        "about": ABOUT.get(name, ABOUT.get(kind)),
        "has_card": card(name) is not None,
        "size_bytes": _size(path) if path is not None and here else None,
        "weights": sha256,
        "licence": licence,
        "fault": fault,
    }


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
