"""Reads HTML, PDF and DOCX in a process of its own: `python -m tools.knowledge.rich FORMAT < FILE`.

Such files are hostile until shown otherwise, and their parsers can be made to loop or to eat memory. So this process
has limits of its own, gets no secrets, and may die: it answers with JSON on standard output, or not at all.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tools.knowledge.document import Document, Outline, UnreadableError, cleaned, one_line
from tools.knowledge.plain import decoded

if TYPE_CHECKING:
    from bs4 import Tag

MEMORY_BYTES = 1 << 30
CPU_S = 60
ANSWER_BYTES = 32 << 20
UNPACKED_BYTES = 100 << 20  # of all parts of a DOCX together
PARTS = 2000  # files in a DOCX
PAGES = 2000
UNSEEN_TAGS = ("script", "style", "template", "noscript", "svg", "head", "iframe", "object", "nav")
_LINES = """
p div section article main header footer ul ol dl dt dd table blockquote pre figure figcaption caption address details
summary body aside
"""
LINE_TAGS = frozenset(_LINES.split())
HEADINGS = {f"h{level}": level for level in range(1, 7)}


def html(content: bytes) -> Document:
    """Read HTML: headings give the places; scripts, menus and what is hidden are left out."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(_markup(content), "html.parser")
    title = soup.title.get_text() if soup.title else ""
    for tag in soup.find_all(_is_unseen):
        tag.decompose()
    outline = Outline()
    _walk(soup, outline)
    return outline.document(title)


def _markup(content: bytes) -> str:
    """Give HTML as text, in the encoding that it declares, or else in one that fits."""
    from bs4.dammit import EncodingDetector

    declared = EncodingDetector.find_declared_encoding(content, is_html=True)
    try:
        return content.decode(declared, "replace") if declared else decoded(content)
    except LookupError:
        return decoded(content)


def _is_unseen(tag: Tag) -> bool:
    style = str(tag.get("style", "")).replace(" ", "").lower()
    hidden = tag.has_attr("hidden") or "display:none" in style or "visibility:hidden" in style
    return tag.name in UNSEEN_TAGS or hidden


def _walk(root: Tag, outline: Outline) -> None:
    """Tell an outline what is below a tag; what stands between two borders becomes one line."""
    from bs4.element import CData, NavigableString
    from bs4.element import Tag as SoupTag

    words: list[str] = []

    def border(*, paragraph: bool) -> None:
        text = one_line("".join(words))
        words.clear()
        if text:
            outline.line(text)
        if paragraph:
            outline.line("")

    def visit(tag: Tag) -> None:
        for child in tag.children:
            if isinstance(child, SoupTag):
                meet(child)
            elif type(child) in (NavigableString, CData):  # comments and the like are not text
                words.append(str(child))

    def meet(tag: Tag) -> None:
        if tag.name in HEADINGS:
            border(paragraph=True)
            outline.heading(HEADINGS[tag.name], tag.get_text(" "))
        elif tag.name == "tr" and not tag.find(["table", *HEADINGS]):  # else the table only arranges the page
            border(paragraph=False)
            cells = [one_line(cell.get_text(" ")) for cell in tag.find_all(["td", "th"])]
            outline.line(_row(cells))
        elif tag.name in ("li", "br"):
            border(paragraph=False)
            words.append("- " if tag.name == "li" else "")
            visit(tag)
            border(paragraph=False)
        elif tag.name in LINE_TAGS:
            border(paragraph=True)
            visit(tag)
            border(paragraph=True)
        else:
            visit(tag)

    visit(root)
    border(paragraph=True)


def docx(content: bytes) -> Document:
    """Read DOCX in the order of its paragraphs and tables; heading styles give the places.

    Raises:
        UnreadableError: it unpacks to too much.
    """
    import docx as python_docx

    _check_parts(content)
    opened = python_docx.Document(io.BytesIO(content))
    outline = Outline()
    for block in opened.iter_inner_content():
        if hasattr(block, "rows"):
            for row in block.rows:
                outline.line(_row([one_line(cell.text) for cell in row.cells]))
            outline.line("")
        else:
            _paragraph(block, outline)
    return outline.document(opened.core_properties.title or "")


def _check_parts(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
    if len(parts) > PARTS or sum(part.file_size for part in parts) > UNPACKED_BYTES:
        raise UnreadableError(f"it unpacks to more than {UNPACKED_BYTES >> 20} MB, or to more than {PARTS} parts")


def _paragraph(block: Any, outline: Outline) -> None:
    style = str(block.style.name if block.style is not None else "")
    name, _, number = style.partition(" ")
    if style == "Title" or (name == "Heading" and number.isdecimal()):
        outline.heading(1 if style == "Title" else int(number) + 1, block.text)
    elif style.startswith("List"):
        outline.line(f"- {one_line(block.text)}")
    else:
        outline.line("")
        outline.line(block.text)
        outline.line("")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def pdf(content: bytes) -> Document:
    """Read a PDF: a section a page.

    Raises:
        UnreadableError: it has a password, too many pages, or no text.
    """
    import pypdf

    reader = pypdf.PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnreadableError("it has a password")
    if len(reader.pages) > PAGES:
        raise UnreadableError(f"it has more than {PAGES} pages")
    outline = Outline()
    for number, page in enumerate(reader.pages, 1):
        outline.heading(1, f"page {number}")
        for line in _joined(page.extract_text()):
            outline.line(line)
    title = str((reader.metadata.title if reader.metadata else None) or "")
    return outline.document(title, whole=False)


def _joined(page: str) -> Iterator[str]:
    """Give the lines of a page, words put together that a line's end parted."""
    held = ""
    for line in page.split("\n"):
        parted = len(line) > 1 and line.endswith("-") and line[-2].isalpha()
        if parted:
            held += line[:-1]
            continue
        yield held + line
        held = ""
    yield held


FORMATS: dict[str, Callable[[bytes], Document]] = {"html": html, "pdf": pdf, "docx": docx}


def main() -> None:
    """Read standard input as the format that the argument names, and answer with JSON."""
    for limit, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_S),
                        (resource.RLIMIT_FSIZE, ANSWER_BYTES), (resource.RLIMIT_CORE, 0)):  # fmt: skip
        resource.setrlimit(limit, (most, most))
    try:
        document = FORMATS[sys.argv[1]](sys.stdin.buffer.read())
    except UnreadableError as error:
        answer: dict[str, Any] = {"error": str(error)}
    except MemoryError:
        answer = {"error": f"reading it takes more than {MEMORY_BYTES >> 20} MB"}
    except Exception as error:  # noqa: BLE001  # parsers raise anything, and all of it means the same
        answer = {"error": f"it is no {sys.argv[1].upper()} that can be read ({type(error).__name__})"}
    else:
        answer = {
            "title": cleaned(document.title),
            "sections": [[[cleaned(name) for name in part.path], cleaned(part.text)] for part in document.sections],
        }
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
