"""Ids that sort by time and carry their kind."""

from __future__ import annotations

from typing import Literal

from ulid import ULID

IdKind = Literal["run", "step", "asset", "thread", "message", "batch", "key", "document", "model"]


def new_id(kind: IdKind) -> str:
    """Give a new id such as "run_01JD…": 26 characters of Crockford base 32 after the kind."""
    return f"{kind}_{ULID()}"
