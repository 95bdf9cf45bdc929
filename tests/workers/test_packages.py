"""A tool that somebody else's package brings: found by its entry point, run by a bench."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from orchestrator.template import write_package
from store import library
from store.library import Filter
from tools import catalog

from .conftest import Shop  # type: ignore[import-not-found]

NAME = "colour_cards"
load = catalog.load  # the shop of these tests has runners of its own


def forget() -> None:
    """Let the entry points be read again."""
    catalog.packages.cache_clear()
    catalog.specs.cache_clear()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder of a package that is on the path, as an editable installation leaves it."""
    write_package(NAME, tmp_path / "site")
    folder = tmp_path / "site" / NAME
    metadata = folder / f"{NAME}-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {NAME}\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text(f"[atelier.tools]\n{NAME} = {NAME}.spec:SPEC\n")
    monkeypatch.syspath_prepend(str(folder))
    forget()
    yield folder
    forget()
    for module in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[module]
    importlib.invalidate_caches()


def test_its_tool_is_listed_without_its_runner_being_loaded(installed: Path) -> None:
    spec = catalog.specs()[NAME]
    assert (spec.name, spec.gives) == (NAME, "image")
    assert f"{NAME}.run" not in sys.modules


def test_a_bench_runs_it(installed: Path, shop: Shop) -> None:
    spec = catalog.specs()[NAME]
    shop.specs[NAME] = spec
    shop.runners[spec.runner] = load(spec.runner)
    run_id = shop.order({"tool": NAME, "args": {"colours": ["#f26b21", "navy"], "field_px": 16}})
    assert shop.work() == 1
    with shop.bench.database.read() as connection:
        (asset,) = library.list_(connection, "ada", Filter(run_id=run_id)).data
    assert (asset.kind, asset.caption) == ("image", "a sheet of the colours #f26b21, navy")
    with Image.open(io.BytesIO(shop.bench.blobs.get(asset.sha256))) as sheet:
        assert sheet.getpixel((8, 8)) == (242, 107, 33)
        assert sheet.getpixel((32, 8)) == (0, 0, 128)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise RuntimeError('no licence')", "no licence"),
        ("SPEC = 'a tool'", "gives str, not a ToolSpec"),
        ("from tools.write_text.spec import SPEC", "'write_text' comes from the studio already"),
        ("import nowhere_to_be_found", "No module named"),
    ],
)
def test_a_broken_package_says_so_and_stops_nothing(installed: Path, code: str, says: str) -> None:
    (installed / NAME / "spec.py").write_text(code)
    importlib.invalidate_caches()
    forget()
    (package,) = [one for one in catalog.packages() if one.name == NAME]
    assert package.error is not None
    assert says in package.error
    assert NAME not in catalog.specs()
    assert "generate_image" in catalog.specs()
