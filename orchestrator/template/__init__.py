"""Writes a new package with a tool of one's own, from the working package that lies in `swatches-0.1.0/`."""

from __future__ import annotations

import importlib.util
import keyword
import re
import tempfile
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from tools import catalog

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
FOLDER, SAMPLE = "swatches-0.1.0", "swatches"
ENDINGS = (".py", ".toml", ".md")


def write_package(name: str, into: Path) -> list[Path]:
    """Write the folder `into/name`, whole or not at all.

    Args:
        name: of the folder, the Python package and the tool: small letters, digits and underscores.
        into: the folder that it is written into; made if it is missing.

    Returns:
        The files that were written.

    Raises:
        ValueError: the name cannot be that of a package, or something else has it.
        FileExistsError: the folder is there already.
        OSError: it cannot be written.
    """
    _check(name)
    folder = into / name
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(f"{str(folder)!r} is there already: choose another name, or another folder with --into")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".atelier-", dir=into) as draft:
        made = Path(draft) / name
        for place, text in _files(name):
            path = made / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        made.rename(folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _check(name: str) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ValueError(
            f"{name!r} cannot be the name of a package: up to 32 small letters, digits and underscores, a letter first"
        )
    if name in catalog.specs():
        raise ValueError(f"a tool is called {name!r} already: choose another name")
    if name == "tests" or importlib.util.find_spec(name) is not None:
        raise ValueError(f"a Python package is called {name!r} already: choose another name")


def _files(name: str) -> Iterator[tuple[str, str]]:
    """Give each file: its path in the new folder, and its text."""
    source = resources.files(__name__) / FOLDER
    for place, file in _walk(source, ""):
        yield place.replace(SAMPLE, name), file.read_text(encoding="utf-8").replace(SAMPLE, name)


def _walk(folder: Traversable, at: str) -> Iterator[tuple[str, Traversable]]:
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        if one.is_dir():
            yield from _walk(one, f"{at}{one.name}/")
        elif one.name.endswith(ENDINGS):
            yield f"{at}{one.name}", one
