"""Weights are known by their hashes, and nothing else is loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models import registry
from models.registry import CheckpointError


def test_importing_the_registry_brings_no_torch_and_no_numpy() -> None:
    code = "import sys, models.registry; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_family_of_the_registry_ships_with_checked_weights_and_a_licence() -> None:
    for name in (*registry.families(), "memory"):
        assert registry.checked_file(name).stat().st_size > 0
        assert registry.licence(name)
    assert set(registry.families()) >= {"vae", "cgan", "upscaler"}


def test_all_image_weights_together_stay_under_25_mb() -> None:
    names = ("vae", "cgan", "upscaler", "memory")
    assert sum(registry.checked_file(name).stat().st_size for name in names) < 25e6


def test_a_hash_names_the_weights_in_their_order() -> None:
    assert registry.weights_hash("vae") == registry.weights_hash("vae")
    assert registry.weights_hash("vae", "cgan") != registry.weights_hash("vae")
    assert len(registry.weights_hash("vae", "upscaler")) == 64


def test_a_changed_file_is_refused(made_up: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(made_up, folder)
    path = folder / "upscaler.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="manifest says"):
        registry.load("upscaler", folder)


def test_a_missing_file_an_unknown_name_and_another_config_are_refused(made_up: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(made_up, folder)
    (folder / "vae.safetensors").unlink()
    with pytest.raises(CheckpointError, match="restore the file"):
        registry.load("vae", folder)
    with pytest.raises(ValueError, match="unknown model 'vea'"):
        registry.load("vea", folder)
    rows = json.loads((folder / "manifest.json").read_text())
    rows["cgan"] = rows["upscaler"]
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    (other / "manifest.json").write_text(json.dumps(rows))
    with pytest.raises(CheckpointError, match="hold the config"):
        registry.load("cgan", other)
    with pytest.raises(CheckpointError, match="no weights named 'wavenet'"):
        registry.entry("wavenet", folder)
