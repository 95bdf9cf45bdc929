"""Ids that sort by time and carry their kind."""

from __future__ import annotations

from typing import Literal

from ulid import ULID

TIME_CHARACTERS = 10  # of an ULID; the others are drawn

IdKind = Literal[
    "run",
    "step",
    "asset",
    "thread",
    "message",
    "batch",
    "key",
    "document",
    "model",
    "webhook",
    "delivery",
    "file",
    "collection",
]


def new_id(kind: IdKind) -> str:
    """Give a new id such as "run_01JD…": 26 characters of Crockford base 32 after the kind."""
    return f"{kind}_{ULID()}"


def floor_id(kind: IdKind, at: float) -> str:
    """Give what sorts before every id that was made from then on; `at` is in seconds since 1970."""
    return f"{kind}_{str(ULID.from_timestamp(max(at, 0.0)))[:TIME_CHARACTERS]}"
