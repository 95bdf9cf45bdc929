"""Reads the lines of a batch: `{"say": …}`, `{"tool": …, "args": {…}}`, or a request in the shape of OpenAI."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from store import batches
from store.runs import NewRun
from tools.base import InvalidInput, ToolSpec
from workers import openai_requests
from workers.bench import Bench
from workers.planned import new_steps

KEYS = {"say", "tool", "args"}
MAX_SAY = 4000
SHAPE = (
    'a line is an object: {"say": "…"}, {"tool": "…", "args": {…}}, or {"custom_id", "method", "url", "body"} as '
    "OpenAI's batches have it"
)


def line_reader(specs: Mapping[str, ToolSpec], max_attempts: int = 3) -> batches.ReadLine:
    """Give the function that turns a line into a run, or raises ValueError with what is wrong with it."""

    def read(raw: bytes) -> NewRun:
        line = _parse(raw)
        if openai_requests.is_line(line):
            return openai_requests.read_line(line, specs, max_attempts)
        _check_keys(line)
        if "say" in line:
            if "tool" in line or "args" in line:
                raise ValueError('give either "say" or "tool" with "args", not both')
            if not isinstance(line["say"], str) or not line["say"].strip() or len(line["say"]) > MAX_SAY:
                raise ValueError(f'"say" must be a text of 1 to {MAX_SAY} characters')
            return NewRun(owner="", request=line["say"], max_attempts=max_attempts)
        plan = {"steps": [{"id": "s1", "tool": line.get("tool"), "args": line.get("args", {})}], "reply": ""}
        try:
            return NewRun(owner="", plan=plan, steps=new_steps(plan, specs, max_attempts))
        except InvalidInput as error:
            raise ValueError(str(error)) from error

    return read


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        line = json.loads(raw, parse_constant=_no_number, parse_float=_finite)
        json.dumps(line, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if b"\\u0000" in raw:
        raise ValueError("the character U+0000 cannot be stored")
    if not isinstance(line, dict):
        raise ValueError(SHAPE)
    return line


def _check_keys(line: Mapping[str, Any]) -> None:
    if not KEYS & set(line):
        raise ValueError(SHAPE)
    unknown = sorted(set(line) - KEYS - {"id"})
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(unknown)}")
    if "args" in line and not isinstance(line["args"], dict):
        raise ValueError('"args" must be an object')


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def feed(bench: Bench, batch_id: str) -> None:
    """Turn the next lines of a batch into runs."""
    with bench.database.read() as connection:
        owner = batches.owner_of(connection, batch_id)
    if owner is None:
        return
    read = line_reader(bench.tools(owner), bench.max_attempts)
    bench.change(lambda t: batches.feed(t, batch_id, bench.blobs.open, read))
