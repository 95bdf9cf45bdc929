"""Counts and times of one process, for Prometheus. No label holds an id, an owner or a text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily

from store.steps import Claim

if TYPE_CHECKING:
    from store.database import Database
    from workers.bench import Bench

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
STATUSES = ("completed", "cached", "failed", "retried", "cancelled", "lost")
STEPS_A_CALL = (1, 2, 4, 8, 16, 32)


class Meters:
    """The meters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        r: dict[str, Any] = {"registry": self.registry}
        self.steps = Counter("atelier_steps", "Steps that left a worker, by how.", ("tool", "status"), **r)
        self.attempts = Counter("atelier_step_attempts", "Steps that were claimed.", ("tool",), **r)
        self.seconds = Histogram(
            "atelier_step_seconds", "From a step's claim to its end.", ("tool",), buckets=SECONDS, **r
        )
        self.batches = Histogram(
            "atelier_steps_per_call", "Steps that shared a call.", ("tool",), buckets=STEPS_A_CALL, **r
        )
        self.held = Gauge("atelier_steps_held", "Steps that this process holds.", **r)
        self.loads = Counter("atelier_model_loads", "Models that were loaded.", ("family",), **r)
        self.llm_calls = Counter("atelier_llm_calls", "Calls of the language model.", ("status",), **r)
        self.llm_tokens = Counter("atelier_llm_tokens", "Tokens, as the language model tells.", ("way",), **r)
        self.llm_seconds = Histogram("atelier_llm_seconds", "A call of the language model.", buckets=SECONDS, **r)
        self.solution_calls = Counter("atelier_solution_calls", "Calls of solutions.", ("status",), **r)
        self.solution_seconds = Histogram("atelier_solution_seconds", "A call of a solution.", buckets=SECONDS, **r)
        self.indexed = Counter("atelier_vectors_indexed", "Vectors that the search index took.", **r)
        self.blob_bytes = Counter("atelier_blob_bytes", "Bytes to and from the blob store.", ("way",), **r)
        self.blob_errors = Counter("atelier_blob_errors", "Blobs that could not be read or written.", ("way",), **r)

        self._tools: set[str] = set()
        _begin_at_zero(self.llm_calls, ("completed",), ("failed",), ("stopped",))
        _begin_at_zero(self.solution_calls, ("completed",), ("failed",), ("later",))
        _begin_at_zero(self.blob_bytes, ("read",), ("write",))
        _begin_at_zero(self.blob_errors, ("read",), ("write",))

    def claimed(self, claims: Sequence[Claim]) -> None:
        """Count the steps of a new call."""
        tool = tool_label(claims[0].tool)
        if tool not in self._tools:
            self._tools.add(tool)
            _begin_at_zero(self.steps, *((tool, status) for status in STATUSES))
        self.attempts.labels(tool).inc(len(claims))
        self.batches.labels(tool).observe(len(claims))
        self.held.inc(len(claims))

    def ended(self, claim: Claim, status: str, seconds: float) -> None:
        """Count a step that left this process."""
        tool = tool_label(claim.tool)
        self.steps.labels(tool, status).inc()
        self.seconds.labels(tool).observe(seconds)
        self.held.dec()

    def asked(self, status: str, seconds: float) -> None:
        """Count a call of a solution."""
        self.solution_calls.labels(status).inc()
        self.solution_seconds.observe(seconds)

    def look_at(self, look: Callable[[], Iterable[Any]]) -> None:
        """Ask a function for more at every scrape."""
        self.registry.register(_Looked(look))


def _begin_at_zero(counter: Counter, *labels: tuple[str, ...]) -> None:
    """Show counts that are 0: where a counter appears with its first failures, Prometheus sees no rise."""
    for values in labels:
        counter.labels(*values)


class _Looked:
    """What is found out at a scrape."""

    def __init__(self, look: Callable[[], Iterable[Any]]) -> None:
        self.collect = look

    def describe(self) -> Iterable[Any]:
        """Nothing: to say it would need a look at registration."""
        return ()


def tool_label(tool: str) -> str:
    """Give what a tool is counted as; those of solutions are one, however many a company has."""
    return tool if "." not in tool or tool.startswith("studio.") else "solution"


def gauge(name: str, says: str, labels: Sequence[str], values: Mapping[Any, float]) -> GaugeMetricFamily:
    """Give a gauge with a value for each label, or for each tuple of labels."""
    made = GaugeMetricFamily(name, says, labels=labels)
    for key, value in values.items():
        made.add_metric([str(part) for part in key] if isinstance(key, tuple) else [str(key)] if labels else [], value)
    return made


def connections(database: Database) -> Iterable[Any]:
    """Tell how the connections to SQL are used."""
    pool = database.engine.pool
    used, kept = getattr(pool, "checkedout", int)(), getattr(pool, "checkedin", int)()
    values = {"used": float(used), "idle": float(kept)}
    yield gauge("atelier_database_connections", "Connections of this process to SQL.", ("state",), values)


def of_worker(bench: Bench) -> Iterable[Any]:
    """Tell what a worker holds in memory."""
    yield from connections(bench.database)
    sizes: dict[str, float] = {}
    for name, size_bytes in bench.models.sizes().items():
        family = name.partition("/")[0].partition("@")[0]
        sizes[family] = sizes.get(family, 0.0) + size_bytes
    yield gauge("atelier_model_bytes", "Models in memory.", ("family",), sizes)
    yield gauge("atelier_gpu_bytes", "Memory of the GPU.", ("state",), _gpu())


def _gpu() -> dict[str, float]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return {}
    free, total = torch.cuda.mem_get_info()
    return {"free": float(free), "total": float(total), "ours": float(torch.cuda.memory_allocated())}
