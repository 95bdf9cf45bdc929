"""Ships the adapter of a run with its manifest: `python -m models.planner.ship --folder DIR`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from models.language.weights import ADAPTER, BASE, BASE_FILE, BASE_SHA256, MANIFEST, sha256_of


def adapter_of(folder: Path) -> dict[str, int]:
    """Write the adapter that lies in a checkpoint; gives how far its run had come."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    from models.planner.lora import SCALE

    with safe_open(folder / "checkpoint.safetensors", "pt") as file:
        state: dict[str, dict[str, int]] = json.loads(file.metadata()["state"])
        names = [name for name in file.keys() if not name.startswith(("m.", "v."))]  # noqa: SIM118  # no mapping
        tensors = {name: file.get_tensor(name).to(torch.float16).contiguous() for name in names}
    temporary = ADAPTER.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"scale": str(SCALE)})
    temporary.replace(ADAPTER)
    return {**state["config"], **state["progress"]}


def main() -> None:
    """Write the adapter and its manifest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/planner"))
    trained = adapter_of(parser.parse_args().folder)
    manifest = {
        "file": ADAPTER.name,
        "sha256": sha256_of(ADAPTER),
        "bytes": ADAPTER.stat().st_size,
        "family": "planner",
        "base": {"package": BASE.requirement, "file": BASE_FILE, "sha256": BASE_SHA256, "licence": "Apache-2.0"},
        "trained": trained,
        "data_licence": "Apache-2.0 (models/planner/frames.md); nouns in part from emojibase-data, MIT",
    }
    MANIFEST.write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
