"""Writes small documents of all formats, honest and hostile ones."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence

import docx


def pdf(*pages: str) -> bytes:
    """Give a PDF with a line of text on each page."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for number, text in enumerate(pages):
        shown = text.replace("(", r"\(").replace(")", r"\)")
        stream = f"BT /F1 12 Tf 72 700 Td ({shown}) Tj ET"
        objects += [
            f"<</Type/Page/Parent 2 0 R/Contents {5 + 2 * number} 0 R/Resources<</Font<</F1 3 0 R>>>>>>",
            f"<</Length {len(stream)}>>stream\n{stream}\nendstream",
        ]
    return _pdf(objects)


def slow_pdf(times: int = 1_500_000) -> bytes:
    """Give a PDF whose page shows a text so many times, which takes minutes to read."""
    stream = zlib.compress(b"BT /F1 9 Tf" + b" (a) Tj" * times + b" ET").decode("latin-1")
    return _pdf(
        [
            "<</Type/Catalog/Pages 2 0 R>>",
            "<</Type/Pages/Kids[3 0 R]/Count 1>>",
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
            f"<</Filter/FlateDecode/Length {len(stream)}>>stream\n{stream}\nendstream",
            "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        ]
    )


def looping_pdf() -> bytes:
    """Give a PDF whose list of pages contains itself."""
    return _pdf(["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>"])


def word(*blocks: tuple[str, str] | Sequence[Sequence[str]]) -> bytes:
    """Give a DOCX: ("Heading 1", "…") is a paragraph with its style, a list of rows a table."""
    made = docx.Document()
    for block in blocks:
        if isinstance(block, tuple):
            made.add_paragraph(block[1], style=block[0])
        else:
            table = made.add_table(len(block), len(block[0]))
            for row, cells in zip(table.rows, block, strict=True):
                for cell, text in zip(row.cells, cells, strict=True):
                    cell.text = text
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def bomb(size_bytes: int, filled_with: str = "x") -> bytes:
    """Give a DOCX of some kilobytes whose text unpacks to so many bytes."""
    filling = filled_with.encode() * (size_bytes // len(filled_with))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(word(("Normal", "x")))) as old, zipfile.ZipFile(out, "w") as new:
        for part in old.infolist():
            content = old.read(part)
            if part.filename == "word/document.xml":
                content = content.replace(b">x<", b">" + filling + b"<")
            new.writestr(part.filename, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _pdf(objects: Sequence[str]) -> bytes:
    out = b"%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    end += f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(out)}\n%%EOF"
    return out + end.encode()
