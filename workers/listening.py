"""Hears the calls of a language model, whoever makes them: LangChain tells its callbacks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from workers.watch import Watch

WAYS = {"input_tokens": "read", "output_tokens": "written"}


class Listener(BaseCallbackHandler):
    """Counts calls, seconds and tokens, and gives each call a span."""

    run_inline = True  # in the thread of the caller, where the step's span is the current one

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._begun: dict[UUID, tuple[float, Span | None]] = {}

    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: UUID, **_: Any) -> None:
        """A call begins."""
        tracing = self._watch.tracing
        span = None if tracing is None else tracing.detached("llm.call", tracing.prompt(messages))
        self._begun[run_id] = (time.monotonic(), span)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """A call ended well."""
        self._ended(run_id, "completed", _tokens(response))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A call failed, or was left in the middle of its answer because that was long enough."""
        self._ended(run_id, "stopped" if isinstance(error, GeneratorExit) else "failed", {})

    def _ended(self, run_id: UUID, status: str, tokens: dict[str, int]) -> None:
        began, span = self._begun.pop(run_id, (time.monotonic(), None))
        if self._watch.meters is not None:
            self._watch.meters.llm_calls.labels(status).inc()
            self._watch.meters.llm_seconds.observe(time.monotonic() - began)
            for way, count in tokens.items():
                self._watch.meters.llm_tokens.labels(way).inc(count)
        if span is not None and self._watch.tracing is not None:
            self._watch.tracing.end_step(span, status)


def _tokens(response: LLMResult) -> dict[str, int]:
    message = getattr(response.generations[0][0], "message", None) if response.generations else None
    used = getattr(message, "usage_metadata", None) or {}
    return {way: int(used[name]) for name, way in WAYS.items() if used.get(name)}
