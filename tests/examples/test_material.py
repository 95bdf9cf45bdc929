"""Acme's documents and pictures: what is committed is whole, and is what its scripts make."""

from __future__ import annotations

import csv
import subprocess
import sys
import tomllib
from pathlib import Path

import pypdf
import pytest
from docx import Document
from PIL import Image

from tests.examples.test_servers import ACME
from tools.solutions.base import DECLARATION

SAND, WHITE = (232, 213, 172), (255, 255, 255)


def plain(text: str) -> str:
    return " ".join(text.replace("#", " ").replace("\n- ", "\n").split())


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the documents made anew."""
    folder = tmp_path_factory.mktemp("acme")
    code = f"import make_documents as m; from pathlib import Path; m.write(Path({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=ACME, check=True)
    return folder


def test_the_pdf_is_what_its_script_makes_and_says_what_the_manuscript_says(documents: Path) -> None:
    made = ACME / "documents" / "care-guide.pdf"
    assert made.read_bytes() == (documents / made.name).read_bytes()
    pages = pypdf.PdfReader(made, strict=True).pages
    assert len(pages) == 2
    manuscript = (ACME / "manuscripts" / "care-guide.md").read_text()
    assert plain("\n".join(page.extract_text() for page in pages)) == plain(manuscript)


def test_the_docx_says_what_the_manuscript_says(documents: Path) -> None:
    name = "photography-and-illustration"
    manuscript = (ACME / "manuscripts" / f"{name}.md").read_text()
    for folder in (ACME / "documents", documents):
        said = "\n".join(paragraph.text for paragraph in Document(str(folder / f"{name}.docx")).paragraphs)
        assert plain(said) == plain(manuscript)


def test_sixty_pictures_share_one_look() -> None:
    with (ACME / "pictures" / "captions.csv").open() as file:
        rows = list(csv.DictReader(file))
    files = sorted(path.name for path in (ACME / "pictures").glob("*.png"))
    assert len(rows) == 60
    assert sorted(row["file"] for row in rows) == files
    for name in files:
        with Image.open(ACME / "pictures" / name) as picture:
            assert picture.size == (256, 256)
            pixels = picture.convert("RGB")
            assert (pixels.getpixel((1, 1)), pixels.getpixel((128, 20))) == (WHITE, SAND)
    assert sum((ACME / "pictures" / name).stat().st_size for name in files) < 1_500_000


def test_what_is_held_out_is_in_no_caption() -> None:
    with (ACME / "pictures" / "captions.csv").open() as file:
        words = {word for row in csv.DictReader(file) for word in row["caption"].split()}
    code = "import make_pictures as m; print('\\n'.join(m.HELD_OUT))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ACME, capture_output=True, text=True, check=True).stdout
    held_out = {word for line in said.splitlines() for word in line.split()}
    assert {"backpack", "tent", "cat"} <= held_out
    assert not held_out & words


def test_the_settings_declare_four_solutions() -> None:
    declared = tomllib.loads((ACME / "atelier.toml").read_text())["solutions"]
    kinds = {name: DECLARATION.validate_python(one).kind for name, one in declared.items()}
    assert kinds == {"brand": "mcp", "products": "openapi", "house": "knowledge", "acme": "style"}
