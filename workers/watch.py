"""How those outside see the work: counts (`Meters`) and spans (`Tracing`), each only where it was asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from store.blobs import Blobs
from store.steps import Claim
from tools.base import TryLater

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from workers.meters import Meters
    from workers.tracing import Tracing

log = logging.getLogger(__name__)
_UNSEEN: AbstractContextManager[Any] = nullcontext()


@dataclass
class _Begun:
    at: float
    span: Span | None = None


@dataclass
class Watch:
    """What a process shows of its work. Where nobody looks, every call does nothing.

    Attributes:
        tells: the end of each step is a line of the log.
    """

    meters: Meters | None = None
    tracing: Tracing | None = None
    tells: bool = False
    _begun: dict[tuple[str, int], _Begun] = field(default_factory=dict)

    def span(self, name: str, **attributes: Any) -> AbstractContextManager[Any]:
        """Give the block a span below the current one."""
        return _UNSEEN if self.tracing is None else self.tracing.span(name, attributes)

    def traceparent(self) -> str | None:
        """Give the current span as W3C Trace Context writes it."""
        return None if self.tracing is None else self.tracing.traceparent()

    def steps(
        self, claims: Sequence[Claim], origins: Callable[[list[str]], Mapping[str, str]]
    ) -> AbstractContextManager[None]:
        """Watch the steps of one call from their claim to their end.

        Args:
            origins: gives the traceparents of runs; asked only where there is tracing.
        """
        unseen = self.meters is None and self.tracing is None and not self.tells
        return _UNSEEN if unseen else self._steps(claims, origins)

    @contextmanager
    def _steps(self, claims: Sequence[Claim], origins: Callable[[list[str]], Mapping[str, str]]) -> Iterator[None]:
        now = time.monotonic()
        spans = {} if self.tracing is None else self.tracing.begin_steps(claims, origins)
        self._begun.update({(c.id, c.token): _Begun(now, spans.get(c.id)) for c in claims})
        if self.meters is not None:
            self.meters.claimed(claims)
        try:
            with _UNSEEN if self.tracing is None else self.tracing.inside(spans[claims[0].id]):
                yield
        finally:
            for claim in claims:
                self.ended(claim, "lost")

    def ended(self, claim: Claim, status: str) -> None:
        """Say how a step ended, after the commit: completed, cached, failed, retried, cancelled, or lost."""
        begun = self._begun.pop((claim.id, claim.token), None)
        if begun is None:
            return
        seconds = time.monotonic() - begun.at
        if self.meters is not None:
            self.meters.ended(claim, status, seconds)
        if begun.span is not None and self.tracing is not None:
            self.tracing.end_step(begun.span, status)
        if self.tells:
            ids = {"run": claim.run_id, "step": claim.id, "owner": claim.owner, "attempt": claim.attempts}
            fields = {**ids, "status": status, "ms": round(1000 * seconds, 1)}
            log.info("%s %s (%s)", status, claim.name, claim.tool, extra={"fields": fields})

    @contextmanager
    def loading(self, name: str) -> Iterator[None]:
        """Watch a model being loaded."""
        family = name.partition("/")[0].partition("@")[0]
        with self.span("model.load", family=family):
            yield
        if self.meters is not None:
            self.meters.loads.labels(family).inc()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Watch a solution being called."""
        began, outcome = time.monotonic(), "completed"
        try:
            with self.span("solution.call"):
                yield
        except BaseException as error:
            outcome = "later" if isinstance(error, TryLater) else "failed"
            raise
        finally:
            if self.meters is not None:
                self.meters.asked(outcome, time.monotonic() - began)

    def listening(self, chat: Any) -> Any:
        """Watch the calls of a language model; gives the model."""
        if (self.meters is not None or self.tracing is not None) and hasattr(chat, "callbacks"):
            from workers.listening import Listener

            chat.callbacks = [*(chat.callbacks or []), Listener(self)]
        return chat

    def close(self) -> None:
        """Send the spans that are left."""
        if self.tracing is not None:
            self.tracing.close()

    def indexed(self, count: int) -> int:
        """Count vectors that the search index took; gives their number."""
        if self.meters is not None:
            self.meters.indexed.inc(count)
        return count

    def blobs(self, blobs: Blobs) -> Blobs:
        """Watch what goes into a blob store and comes out of it; gives the store to use instead."""
        return blobs if self.meters is None and self.tracing is None else WatchedBlobs(blobs, self)


class WatchedBlobs(Blobs):
    """A blob store that is already open, with counts and spans."""

    def __init__(self, blobs: Blobs, watch: Watch) -> None:
        self.__dict__.update(blobs.__dict__)
        self._watch = watch

    def put_many(self, contents: Sequence[bytes]) -> list[str]:
        """See `Blobs.put_many`."""
        with self._seen("write"):
            names = super().put_many(contents)
        self._count("write", sum(map(len, contents)))
        return names

    def get(self, sha256: str) -> bytes:
        """See `Blobs.get`."""
        with self._seen("read"):
            content = super().get(sha256)
        self._count("read", len(content))
        return content

    def chunks(self, sha256: str, first: int, size_bytes: int) -> Iterator[bytes]:
        """See `Blobs.chunks`. No span: its pieces are read in whatever thread asks for them."""
        with self._errors("read"):
            for chunk in super().chunks(sha256, first, size_bytes):
                self._count("read", len(chunk))
                yield chunk

    @contextmanager
    def _seen(self, way: str) -> Iterator[None]:
        with self._errors(way), self._watch.span(f"blob.{way}"):
            yield

    @contextmanager
    def _errors(self, way: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            if self._watch.meters is not None:
                self._watch.meters.blob_errors.labels(way).inc()
            raise

    def _count(self, way: str, size_bytes: int) -> None:
        if self._watch.meters is not None:
            self._watch.meters.blob_bytes.labels(way).inc(size_bytes)
