"""What a worker shows of its steps: counts, and spans that belong to the requests they came with."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from models.language.local import LocalChatModel
from models.language.scripted import ScriptedChatModel
from store.blobs import BlobMissing
from tests.workers.conftest import Shop, drawn
from tools.base import TryLater
from workers import work as working
from workers.about import about, current, keep_private
from workers.meters import Meters, of_worker
from workers.tracing import Tracing

ORIGIN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def meters(shop: Shop) -> Meters:
    made = Meters()
    made.look_at(lambda: of_worker(shop.bench))
    shop.bench.watch.meters = made
    return made


@pytest.fixture
def spans(shop: Shop) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    shop.bench.watch.tracing = tracing = Tracing("worker", exporter)
    yield exporter
    tracing.close()


def steps(meters: Meters, status: str, tool: str = "draw") -> float | None:
    return meters.registry.get_sample_value("atelier_steps_total", {"tool": tool, "status": status})


def test_steps_are_counted_by_how_they_ended(shop: Shop, meters: Meters) -> None:
    def runner(jobs: Any) -> list[Any]:
        if jobs[0].args.what == "later":
            raise TryLater("not now", after_s=60)
        return [ValueError("bad") if job.args.what == "bad" else [drawn(job)] for job in jobs]

    shop.tool("draw", runner, batch=4, batch_key=lambda _: "k")
    shop.order(*[{"tool": "draw", "args": {"what": what, "seed": 1}} for what in ("cat", "dog", "bad")])
    shop.work()
    shop.order({"tool": "draw", "args": {"what": "cat", "seed": 1}})
    shop.work()
    shop.order({"tool": "draw", "args": {"what": "later"}})
    working.work(shop.bench)
    assert [steps(meters, status) for status in ("completed", "failed", "cached", "retried")] == [2, 1, 1, 1]
    value = meters.registry.get_sample_value
    assert value("atelier_step_attempts_total", {"tool": "draw"}) == 5
    assert value("atelier_steps_per_call_sum", {"tool": "draw"}) == 5
    assert value("atelier_steps_per_call_count", {"tool": "draw"}) == 3
    assert value("atelier_step_seconds_count", {"tool": "draw"}) == 5
    assert value("atelier_steps_held") == 0


def test_a_step_whose_lease_was_lost_counts_as_lost(shop: Shop, meters: Meters) -> None:
    def runner(jobs: Any) -> list[Any]:
        shop.bench.database.transact(lambda c: c.exec_driver_sql("UPDATE steps SET token = token + 1"))
        return [[drawn(job)] for job in jobs]

    shop.tool("draw", runner)
    shop.order({"tool": "draw"})
    working.work(shop.bench)
    assert steps(meters, "lost") == 1
    assert steps(meters, "completed") == 0


def test_solutions_tools_are_one_label(meters: Meters) -> None:
    from workers.meters import tool_label

    assert [tool_label(tool) for tool in ("crm.find", "draw", "studio.plan")] == ["solution", "draw", "studio.plan"]


def test_the_steps_of_a_batch_are_spans_of_their_own_requests_and_know_each_other(
    shop: Shop, spans: InMemorySpanExporter
) -> None:
    for number in range(3):
        shop.order(
            {"tool": "draw", "args": {"what": f"cat {number}"}}, traceparent=ORIGIN.replace("4bf9", f"000{number}")
        )
    assert shop.work() == 3
    shop.bench.watch.close()
    by_trace = {
        f"{span.context.trace_id:032x}"[:4]: span for span in spans.get_finished_spans() if span.name == "step draw"
    }
    assert sorted(by_trace) == ["0000", "0001", "0002"]
    assert all(f"{span.parent.span_id:016x}" == "00f067aa0ba902b7" for span in by_trace.values())
    first = next(span for span in by_trace.values() if len(span.links) == 2)
    others = [span for span in by_trace.values() if span is not first]
    assert all(span.links[0].context.span_id == first.context.span_id for span in others)
    inside = {span.name for span in spans.get_finished_spans() if span.parent.span_id == first.context.span_id}
    assert {"sql.transaction", "tool.call"} <= inside
    assert "cat 1" not in str([span.attributes for span in spans.get_finished_spans()])


def test_prompts_are_attributes_only_where_that_is_allowed(shop: Shop) -> None:
    exporter = InMemorySpanExporter()
    shop.bench.watch.tracing = Tracing("worker", exporter, log_prompts=True)
    shop.order({"tool": "draw", "args": {"what": "a shy ghost"}})
    shop.work()
    shop.bench.watch.close()
    assert "a shy ghost" in str([span.attributes for span in exporter.get_finished_spans()])


@pytest.mark.parametrize("streams", [False, True])
def test_calls_of_the_language_model_are_heard(
    shop: Shop, meters: Meters, spans: InMemorySpanExporter, streams: bool
) -> None:
    chat = shop.bench.watch.listening(ScriptedChatModel(lines=[{"match": ".*", "reply": "roses are red"}]))
    tracing = shop.bench.watch.tracing
    assert tracing is not None
    span = tracing.detached("outer", {})
    with tracing.inside(span):
        if streams:
            for _ in chat.stream("roses"):
                break
        else:
            chat.invoke("roses")
    span.end()
    tracing.close()
    status = "stopped" if streams else "completed"
    assert meters.registry.get_sample_value("atelier_llm_calls_total", {"status": status}) == 1
    call = next(one for one in spans.get_finished_spans() if one.name == "llm.call")
    assert call.parent.span_id == span.get_span_context().span_id
    assert "roses" not in str(call.attributes)


def test_the_net_that_writes_prose_is_heard_too(shop: Shop, meters: Meters) -> None:
    here = Path("no-such-net")
    chat = shop.bench.watch.listening(LocalChatModel(locate=lambda: here, locate_plain=lambda: here, n_threads=1))
    assert len(chat.callbacks) == 1
    assert chat.plain().callbacks == chat.callbacks


def test_a_receiver_that_is_away_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and never answers
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        tracing = Tracing("worker")
        began = time.monotonic()
        for _ in range(5000):
            tracing.detached("step", {}).end()
        assert time.monotonic() - began < 5
        began = time.monotonic()
        tracing.close()
        assert time.monotonic() - began < 4


def test_bytes_are_counted_both_ways(shop: Shop, meters: Meters) -> None:
    blobs = shop.bench.watch.blobs(shop.bench.blobs)
    name = blobs.put(b"12345")
    assert blobs.get(name) == b"12345"
    assert b"".join(blobs.chunks(name, 1, 3)) == b"234"
    with pytest.raises(BlobMissing):
        blobs.get("0" * 64)
    value = meters.registry.get_sample_value
    assert value("atelier_blob_bytes_total", {"way": "write"}) == 5
    assert value("atelier_blob_bytes_total", {"way": "read"}) == 8
    assert value("atelier_blob_errors_total", {"way": "read"}) == 1


def test_what_work_is_about_ends_with_it() -> None:
    with about(run="r"):
        with about({"prompt": "inner"}, step="s"):
            keep_private("more")
            assert current().fields == {"run": "r", "step": "s"}
            assert current().private == [{"prompt": "inner"}, "more"]
        assert current().private == []
    keep_private("nobody listens")
    assert current().private == []
    assert current().fields == {}
