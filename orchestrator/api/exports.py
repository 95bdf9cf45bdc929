"""Assets as one ZIP file, with their recipes; written while it is sent, so its size does not matter."""

from __future__ import annotations

import io
import json
import re
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field, model_validator

from orchestrator.api.context import Context, Here, Reader
from orchestrator.api.filters import Asked
from orchestrator.media import ending
from store import assets, library
from store.assets import Asset, UnknownAsset
from store.blobs import BlobMissing, Blobs

router = APIRouter(prefix="/v1/exports", tags=["assets"])
MOST_IDS = 10_000
AT_ONCE = 200  # assets looked up by one statement
NAME_CHARACTERS = 60
RECIPES = "recipes.json"
IN_MEMORY_BYTES = 1 << 20  # of recipes, before they go to a temporary file
EARLIEST, LATEST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)  # what a ZIP file can say
ZIP_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": f"a ZIP file: each asset as a file, and {RECIPES}, which says what each is and how it was made",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Export(Asked):
    """Which assets: those of some ids, or all that fit."""

    ids: list[Annotated[str, Field(max_length=40)]] | None = Field(
        None, min_length=1, max_length=MOST_IDS, description="these assets, in this order; then nothing else is asked"
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Export:
        if self.ids is not None and self.model_fields_set != {"ids"}:
            raise ValueError("give either ids, or what the assets must be")
        return self


@router.post("", response_class=StreamingResponse, responses=ZIP_ANSWER, operation_id="export_assets")
def export(wanted: Export, here: Here, owner: Reader) -> StreamingResponse:
    """Give assets as a ZIP file with their recipes; without a filter the whole library."""
    if wanted.ids is None:
        return send(here, library.all_of(here.database, owner, wanted.as_filter(here, owner)))
    return send(here, _of_ids(here, owner, wanted.ids))


def send(here: Context, of: Iterable[Asset], name: str = "atelier") -> StreamingResponse:
    """Answer with a ZIP file of assets."""
    called = file_name(name) or "atelier"
    plain = called.encode("ascii", "ignore").decode().strip() or "atelier"
    headers = {
        "content-disposition": f"attachment; filename=\"{plain}.zip\"; filename*=UTF-8''{quote(called)}.zip",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
    return StreamingResponse(zipped(here.blobs, of), media_type="application/zip", headers=headers)


def zipped(blobs: Blobs, of: Iterable[Asset]) -> Iterator[bytes]:
    """Give a ZIP file of assets in pieces; what is compressed already is stored as it is.

    A blob that is gone leaves a line in the recipes and no file: the rest is worth having.
    """
    sent = _Sent()
    with (
        tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as recipes,
        zipfile.ZipFile(sent, "w", zipfile.ZIP_STORED) as archive,
    ):
        for number, asset in enumerate(of, 1):
            name = f"{number:05} {file_name(asset.caption)}".strip() + f".{ending(asset.media_type)}"
            chunks = blobs.chunks(asset.sha256, 0, asset.size_bytes)
            row = {"file": name, **asset.as_json()}
            try:
                first = next(chunks, b"")
            except BlobMissing:
                row["file"] = None
            else:
                yield from _file(archive, sent, name, asset.created_at, asset.size_bytes, first, chunks)
            recipes.write((b",\n" if number > 1 else b"") + json.dumps(row, ensure_ascii=False).encode())
        size_bytes = recipes.tell() + 4
        recipes.seek(0)
        lines = iter(lambda: recipes.read(1 << 16), b"")
        yield from _file(archive, sent, RECIPES, time.time(), size_bytes, b"[\n", _and(lines, b"\n]"))
    yield sent.taken()


def file_name(caption: str) -> str:
    """Give the words of a caption as a harmless part of a file's name: letters, digits, blanks and hyphens."""
    return " ".join(re.sub(r"[^\w-]+", " ", caption[: 4 * NAME_CHARACTERS]).split())[:NAME_CHARACTERS].strip(" -_")


def _file(
    archive: zipfile.ZipFile, sent: _Sent, name: str, at: float, size_bytes: int, first: bytes, rest: Iterable[bytes]
) -> Iterator[bytes]:
    info = zipfile.ZipInfo(name, min(max(time.gmtime(at)[:6], EARLIEST), LATEST))
    info.external_attr = 0o644 << 16
    info.file_size = size_bytes  # so that a large one gets the large form
    with archive.open(info, "w") as entry:
        entry.write(first)
        yield sent.taken()
        for chunk in rest:
            entry.write(chunk)
            yield sent.taken()
    yield sent.taken()


def _and(chunks: Iterable[bytes], last: bytes) -> Iterator[bytes]:
    yield from chunks
    yield last


def _of_ids(here: Context, owner: str, ids: list[str]) -> Iterator[Asset]:
    """Give assets by their ids, each once.

    Raises:
        UnknownAsset: one is not there; raised before the first is given.
    """
    unique = list(dict.fromkeys(ids))
    for start in range(0, len(unique), AT_ONCE):
        some = unique[start : start + AT_ONCE]
        with here.database.read() as connection:
            there = {asset.id for asset in assets.get_many(connection, owner, some)}
        for id_ in some:
            if id_ not in there:
                raise UnknownAsset(f"there is no asset {id_!r}")

    def given() -> Iterator[Asset]:
        for start in range(0, len(unique), AT_ONCE):
            with here.database.read() as connection:
                some = assets.get_many(connection, owner, unique[start : start + AT_ONCE])
            yield from some

    return given()


class _Sent(io.RawIOBase):
    """A stream that cannot be sought in, whose content is taken away as it comes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, content: Any, /) -> int:
        """Keep bytes until they are taken."""
        self._parts.append(bytes(content))
        return len(content)

    def taken(self) -> bytes:
        """Give what was written since the last time."""
        content = b"".join(self._parts)
        self._parts.clear()
        return content
