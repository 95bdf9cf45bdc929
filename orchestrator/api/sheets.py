"""Batches as CSV: a sheet becomes lines of JSON, each at the number of its line in the file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.errors import Invalid
from tools.base import ToolSpec

DELIMITERS = (",", ";", "\t")
MARKS = frozenset({"say", "tool"})  # one of them names a column of every sheet of ours
ALWAYS = frozenset({"say", "tool", "id"})
HEADER_BYTES = 65_536
SHOWN_FAULTS = 5


def is_sheet(content: bytes, name: str | None, media_type: str) -> bool:
    """Say whether an upload is a CSV file: by its name, by its type, or by the names of its columns."""
    if media_type.partition(";")[0].strip().lower() == "text/csv" or (name or "").lower().endswith((".csv", ".tsv")):
        return True
    first = content[:HEADER_BYTES].splitlines()[:1]
    return bool(first) and _delimiter(first[0].decode("utf-8-sig", "replace")) is not None


def to_lines(content: bytes, specs: Mapping[str, ToolSpec]) -> bytes:
    """Turn a CSV file into JSONL.

    The first row names the columns: `say`, or `tool` and its arguments, which are read as the tool's schema says; an
    empty cell is an argument that is not given. The header and the further lines of a row become empty lines, so that
    a number of a line means the same in both files.

    Raises:
        Invalid: it is no UTF-8, its first row names no such columns, or a row does not fit them; the message names
            the lines.
    """
    rows = _rows(content)
    first = next(rows, None)
    columns = _columns([] if first is None else first[1])
    lines: list[str] = []
    faults: list[str] = []
    for number, cells in rows:
        if len(cells) > len(columns) and any(cells[len(columns) :]):
            faults.append(f"line {number} has {len(cells)} cells and the first row names {len(columns)}")
        lines += [""] * (number - 1 - len(lines))
        given = {name: cell for name, cell in zip(columns, cells, strict=False) if cell.strip()}
        lines.append(json.dumps(_line(given, specs), ensure_ascii=False) if given else "")
    if faults:
        more = f"; and {len(faults) - SHOWN_FAULTS} more" if len(faults) > SHOWN_FAULTS else ""
        raise Invalid(f"{'; '.join(faults[:SHOWN_FAULTS])}{more}. A cell with a comma in it is quoted", param="file")
    return "".join(f"{line}\n" for line in lines).encode()


def _rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Give each row with the number of its first line, from 1."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Invalid(f"line {line} is not UTF-8: save the sheet as “CSV UTF-8”", param="file") from error
    source = io.StringIO(text, newline="")
    delimiter = _delimiter(source.readline()) or ","
    source.seek(0)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    began = 1
    try:
        for cells in reader:
            yield began, cells
            began = reader.line_num + 1
    except csv.Error as error:
        raise Invalid(f"line {began} cannot be read as CSV: {error}", param="file") from error


def _delimiter(header: str) -> str | None:
    """Give what parts the columns; None where the header names none of ours."""
    for delimiter in DELIMITERS:
        if MARKS & {_name(cell) for cell in header.split(delimiter)}:
            return delimiter
    return None


def _name(cell: str) -> str:
    return cell.strip().strip('"').strip().lower()


def _columns(header: Sequence[str]) -> list[str]:
    named = [cell.strip() for cell in header]
    columns = [_name(cell) if _name(cell) in ALWAYS else cell for cell in named]
    if not MARKS & set(columns):
        shown = ", ".join(repr(name) for name in columns) or "nothing"
        raise Invalid(f"line 1 must name a column `say`, or `tool` and its arguments; it has {shown}", param="file")
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise Invalid(f"line 1 names a column twice: {', '.join(twice)}", param="file")
    unknown = [name for name in columns if name not in ALWAYS]
    if unknown and "tool" not in columns:
        raise Invalid(
            f"line 1: beside `say` there can be only `id`, not {', '.join(map(repr, unknown))}; arguments need a "
            "column `tool`",
            param="file",
        )
    if "" in columns:
        raise Invalid(f"line 1: the column {columns.index('') + 1} has no name", param="file")
    return columns


def _line(given: Mapping[str, str], specs: Mapping[str, ToolSpec]) -> dict[str, Any]:
    line: dict[str, Any] = {name: cell.strip() for name, cell in given.items() if name in ALWAYS}
    args = {name: cell for name, cell in given.items() if name not in ALWAYS}
    if "tool" not in line:
        return {**line, "args": args} if args else line
    spec = specs.get(line["tool"])
    properties = {} if spec is None else spec.args.model_json_schema().get("properties", {})
    line["args"] = {name: _value(cell, properties.get(name, {})) for name, cell in args.items()}
    return line


def _value(cell: str, schema: Mapping[str, Any]) -> Any:
    """Read a cell as its schema says: a text as it stands, all else as JSON where it is JSON."""
    kinds = {part.get("type") for part in (schema, *schema.get("anyOf", ()))}
    if "string" in kinds or not kinds & {"integer", "number", "boolean", "array", "object"}:
        return cell
    try:
        return json.loads(cell.lower() if "boolean" in kinds else cell)
    except ValueError:
        return cell  # what is wrong with it, the check of the line says
