"""A new package of one's own: written whole, tested, listed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.template import write_package

RUFF = Path(sys.executable).with_name("ruff")


def inside(folder: Path, *words: str | Path) -> str:
    """Run a program in a package, without the rest of the tests' environment."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_tests_and_the_linter_pass(tmp_path: Path) -> None:
    write_package("colour_cards", tmp_path)
    folder = tmp_path / "colour_cards"
    assert "6 passed" in inside(folder, sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    inside(folder, RUFF, "check", "--no-cache", ".")
    inside(folder, RUFF, "format", "--no-cache", "--check", ".")


def test_all_that_is_written_bears_the_name(tmp_path: Path) -> None:
    written = write_package("cards", tmp_path / "not" / "there" / "yet")
    folder = tmp_path / "not" / "there" / "yet" / "cards"
    assert {str(path.relative_to(folder)) for path in written} == {
        "README.md",
        "pyproject.toml",
        "cards/__init__.py",
        "cards/run.py",
        "cards/spec.py",
        "tests/test_cards.py",
    }
    assert not [path for path in written if "swatches" in path.read_text()]
    assert [path.name for path in folder.parent.iterdir()] == ["cards"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Cards", "small letters"),
        ("my-cards", "small letters"),
        ("../cards", "small letters"),
        ("", "small letters"),
        ("cards\n", "small letters"),
        ("class", "small letters"),
        ("c" * 33, "small letters"),
        ("generate_image", "a tool is called"),
        ("json", "a Python package is called"),
        ("tools", "a Python package is called"),
        ("tests", "a Python package is called"),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        write_package(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cards").mkdir()
    (tmp_path / "lanterns").symlink_to(tmp_path / "nowhere")
    for name in ("cards", "lanterns"):
        with pytest.raises(FileExistsError, match="--into"):
            write_package(name, tmp_path)
    assert not list((tmp_path / "cards").iterdir())


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def full(path: Path, text: str, **_: str) -> None:
        written.append(path)
        if len(written) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write_package("cards", tmp_path)
    assert not list(tmp_path.iterdir())
