"""Spans by OpenTelemetry: one trace from the request to the call of the tool."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from store.steps import Claim
from workers.meters import tool_label

GOOD = {"completed", "cached", "retried", "cancelled", "stopped"}
PROMPT_CHARACTERS = 4000
CLOSE_S = 2.0
_propagator = TraceContextTextMapPropagator()


class Tracing:
    """Makes spans and sends them away in the background; a receiver that is away costs spans, nothing else.

    Args:
        part: which process this is, "api" or "worker".
        exporter: where spans go; none: what the standard variables (OTEL_…) name.
        log_prompts: requests and arguments are attributes.
    """

    def __init__(self, part: str, exporter: SpanExporter | None = None, *, log_prompts: bool = False) -> None:
        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter()
        name = os.environ.get("OTEL_SERVICE_NAME") or f"atelier-{part}"
        self._provider = TracerProvider(resource=Resource.create({"service.name": name}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("atelier")
        self._log_prompts = log_prompts

    def span(self, name: str, attributes: Mapping[str, Any]) -> AbstractContextManager[Span]:
        """Give the block a span below the current one; a thread without one (a sweep, say) gets none."""
        if not trace.get_current_span().get_span_context().is_valid:
            return trace.use_span(trace.INVALID_SPAN)
        return self._tracer.start_as_current_span(name, attributes=dict(attributes))

    def request(self, method: str, headers: Mapping[str, str]) -> AbstractContextManager[Span]:
        """Give a request its span, below the caller's where it sent a `traceparent`."""
        origin = _propagator.extract(dict(headers))
        return self._tracer.start_as_current_span(
            method, context=origin, kind=SpanKind.SERVER, attributes={"http.request.method": method}
        )

    def traceparent(self) -> str | None:
        """Give the current span as W3C Trace Context writes it."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier.get("traceparent")

    def begin_steps(
        self, claims: Sequence[Claim], origins: Callable[[list[str]], Mapping[str, str]]
    ) -> dict[str, Span]:
        """Begin a span for each step, below the request that it came with; those that share a call are linked."""
        known = origins(list({claim.run_id for claim in claims}))
        spans: dict[str, Span] = {}
        for claim in claims:
            first = [Link(spans[claims[0].id].get_span_context())] if spans else []
            spans[claim.id] = self._begin_step(claim, known.get(claim.run_id), first)
        for claim in claims[1:]:
            spans[claims[0].id].add_link(spans[claim.id].get_span_context())
        return spans

    def _begin_step(self, claim: Claim, origin: str | None, links: Sequence[Link]) -> Span:
        context = _propagator.extract({"traceparent": origin} if origin else {})
        attributes: dict[str, str | int] = {
            "atelier.run": claim.run_id,
            "atelier.step": claim.id,
            "atelier.tool": claim.tool,
            "atelier.owner": claim.owner,
            "atelier.attempt": claim.attempts,
            **self.prompt(claim.args),
        }
        name = f"step {tool_label(claim.tool)}"
        return self._tracer.start_span(name, context, SpanKind.CONSUMER, attributes, links)

    def prompt(self, said: Any) -> dict[str, str]:
        """Give what was asked as an attribute, where that is allowed."""
        if not self._log_prompts:
            return {}
        return {"atelier.prompt": json.dumps(said, ensure_ascii=False, default=str)[:PROMPT_CHARACTERS]}

    @contextmanager
    def inside(self, span: Span) -> Iterator[None]:
        """Make a span the current one; it is ended by who began it."""
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield

    def detached(self, name: str, attributes: Mapping[str, Any]) -> Span:
        """Begin a span below the current one that is ended by hand."""
        return self._tracer.start_span(name, attributes=dict(attributes))

    def end_step(self, span: Span, status: str) -> None:
        """End a span that was begun by hand."""
        span.set_attribute("atelier.status", status)
        if status not in GOOD:
            span.set_status(Status(StatusCode.ERROR, status))
        span.end()

    def close(self) -> None:
        """Send what is left, and end; a receiver that does not answer is not waited for."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(CLOSE_S)
