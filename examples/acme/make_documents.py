"""Make the documents of Acme that are no plain text, a DOCX and a PDF, from `manuscripts/`.

    python examples/acme/make_documents.py

The PDF is written by hand, with a standard font and real text operators: a page is a list of lines at places.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

Kind = Literal["title", "head", "text", "item"]
Block = tuple[Kind, str]

HERE = Path(__file__).parent
LOOK, CARE = "photography-and-illustration", "care-guide"
MARKS: dict[str, Kind] = {"# ": "title", "## ": "head", "- ": "item"}
STYLES: dict[Kind, str] = {"title": "Title", "head": "Heading 1", "text": "Normal", "item": "List Bullet"}
WIDTH, HEIGHT, MARGIN = 420, 595, 54  # points of an A5 page
SIZES: dict[Kind, int] = {"title": 20, "head": 13, "text": 11, "item": 11}
LEADING = 1.45  # the distance of lines, in sizes of the font
LETTER = 0.5  # the mean width of a letter, in sizes of the font


def write(folder: Path) -> None:
    """Write both documents into a folder."""
    folder.mkdir(exist_ok=True)
    look, care = (blocks(HERE / "manuscripts" / f"{name}.md") for name in (LOOK, CARE))
    write_docx(look, folder / f"{LOOK}.docx")
    (folder / f"{CARE}.pdf").write_bytes(pdf(care))


def blocks(path: Path) -> list[Block]:
    """Read a manuscript: Markdown with two levels of headings, paragraphs and lists."""
    found: list[Block] = []
    begun = False
    for line in path.read_text().splitlines():
        mark = next((mark for mark in MARKS if line.startswith(mark)), None)
        if mark:
            found.append((MARKS[mark], line.removeprefix(mark)))
        elif line and begun:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        elif line:
            found.append(("text", line))
        begun = bool(line)
    return found


def write_docx(blocks: list[Block], path: Path) -> None:
    """Write a document for word processors."""
    from docx import Document

    document = Document()
    document.core_properties.author = "Acme Outdoor"
    document.core_properties.title = blocks[0][1]
    for kind, words in blocks:
        document.add_paragraph(words, style=STYLES[kind])
    document.save(str(path))


def pdf(blocks: list[Block]) -> bytes:
    """Give a PDF; the letters are those of Windows-1252.

    Source: ISO 32000-1, 7.5 (file structure), 9.4 (text objects).
    """
    pages = list(_pages(blocks))
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Lang (en) >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    for number, content in enumerate(pages):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents {6 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    return _file(objects)


def _pages(blocks: list[Block]) -> Iterator[bytes]:
    """Give the text operators of each page; a heading is never the last line of one."""
    page: list[bytes] = []
    y = float(HEIGHT - MARGIN)
    for kind, words in blocks:
        size = SIZES[kind]
        lines = textwrap.wrap(words, int((WIDTH - 2 * MARGIN) / (size * LETTER)))
        y -= size * (0.9 if kind in {"title", "head"} else 0.2)
        needed = size * LEADING * len(lines) + (4 * size if kind == "head" else 0)
        if page and y - needed < MARGIN:
            yield b"\n".join(page)
            page, y = [], float(HEIGHT - MARGIN)
        font = "F2" if kind in {"title", "head"} else "F1"
        for line in lines:
            y -= size * LEADING
            page.append(b"BT /%s %d Tf %d %.1f Td (%s) Tj ET" % (font.encode(), size, MARGIN, y, _escaped(line)))
    yield b"\n".join(page)


def _escaped(line: str) -> bytes:
    """Give a line as a string of PDF."""
    letters = line.encode("cp1252")
    return letters.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _file(objects: list[bytes]) -> bytes:
    """Number the objects and put the table of their places behind them."""
    made, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    made_table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
    return made + made_table + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, len(made))


if __name__ == "__main__":
    write(HERE / "documents")
