"""What the work of this thread is about: ids that each line of its log carries, and texts that none may show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class About:
    """Ids for the log; `private` holds requests and arguments, whose texts are cut out of every line."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    private: list[Any] = field(default_factory=list)


_NOTHING = About()
_now: ContextVar[About] = ContextVar("about", default=_NOTHING)


def current() -> About:
    """Give what the work here is about."""
    return _now.get()


@contextmanager
def about(*private: Any, **fields: Any) -> Iterator[None]:
    """Say what the work in the block is about, besides what was said around it."""
    outer = _now.get()
    token = _now.set(About({**outer.fields, **fields}, [*outer.private, *private]))
    try:
        yield
    finally:
        _now.reset(token)


def keep_private(*private: Any) -> None:
    """Let no line of the current work show these texts, wherever it is logged."""
    here = _now.get()
    if here is not _NOTHING:
        here.private.extend(private)
