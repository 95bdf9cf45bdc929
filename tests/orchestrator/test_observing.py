"""A studio of real processes as those outside see it: one trace from the request to the tool, metrics, logs."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from tests.orchestrator.conftest import House

SECRETS = {
    "ATELIER_LLM_API_KEY": "llm-key-of-the-test-4711",
    "ATELIER_ADMIN_KEY": "admin-key-of-the-test-0815-2342",
    "CRM_TOKEN": "crm-token-of-the-test-1234",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=otlp-secret-of-the-test",
}
BEARER = {"type": "bearer", "token": {"env": "CRM_TOKEN"}}
CRM = {"kind": "openapi", "document": "http://127.0.0.1:1/x", "auth": BEARER}
SAID = "a poem about my unannounced merger"
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Receiver:
    """An OTLP/HTTP receiver that keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    (name,) = [a.value.string_value for a in resource.resource.attributes if a.key == "service.name"]
                    receiver.spans += [(name, span) for scope in resource.scope_spans for span in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, trace: str) -> dict[str, tuple[str, Any]]:
        """Give the spans of a trace by name."""
        return {span.name: (service, span) for service, span in self.spans if span.trace_id.hex() == trace}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def free_ports(count: int) -> int:
    """Give the first of some ports in a row that are free."""
    for first in range(21000, 30000, 7):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no ports")


@pytest.fixture(scope="module")
def watched(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(
        tmp_path_factory.mktemp("watched"),
        **SECRETS,
        ATELIER_LOG_FORMAT="json",
        ATELIER_METRICS_PORT=str(free_ports(4)),
        ATELIER_SOLUTIONS=json.dumps({"crm": CRM}),
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_BSP_SCHEDULE_DELAY="200",
    )
    process = house.up()
    yield house
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def client(watched: House) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {SECRETS['ATELIER_ADMIN_KEY']}"}
    assert watched.url is not None
    with httpx.Client(base_url=watched.url, timeout=30, trust_env=False, headers=headers) as made:
        yield made


@pytest.fixture(scope="module")
def run(client: httpx.Client) -> dict[str, Any]:
    """Give a run that a request with a trace of its own started, when it has ended."""
    given = {"x-request-id": "req-of-the-test", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    accepted = client.post("/v1/runs", json={"say": SAID}, headers=given)
    assert accepted.status_code == 202
    assert accepted.headers["x-request-id"] == "req-of-the-test"
    deadline = time.monotonic() + 60
    while (run := client.get(f"/v1/runs/{accepted.json()['id']}").json())["status"] not in {"completed", "failed"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert run["status"] == "completed", run
    return dict(run)


def test_one_trace_leads_from_the_request_to_the_tool(
    receiver: Receiver, run: dict[str, Any], wait_until: Callable[..., None]
) -> None:
    wanted = {"POST /v1/runs", "step studio.plan", "step write_text", "step studio.reply", "llm.call", "blob.write"}
    wait_until(lambda: wanted <= receiver.of(TRACE).keys())
    spans = receiver.of(TRACE)
    service, request = spans["POST /v1/runs"]
    assert (service, request.parent_span_id.hex()) == ("atelier-api", "00f067aa0ba902b7")
    service, step = spans["step write_text"]
    assert (service, step.parent_span_id) == ("atelier-planner", request.span_id)
    assert {a.key: a.value.string_value for a in step.attributes}["atelier.run"] == run["id"]
    assert spans["blob.write"][1].parent_span_id == step.span_id
    assert "sql.transaction" in spans
    probes = {"GET /healthz", "GET /readyz"}  # `up` asked them until the studio was there
    assert not [span.name for _, span in receiver.spans if span.name in probes]
    assert not [span for _, span in spans.values() if "merger" in str(span)], "prompts are nobody's business"


def test_a_process_counts_what_it_did_on_its_own_port(watched: House, run: dict[str, Any]) -> None:
    first = int(watched.environment["ATELIER_METRICS_PORT"])
    scraped = [scrape(f"http://127.0.0.1:{port}/metrics") for port in range(first, first + 4)]
    api, planner = scraped[0], scraped[1]
    assert api['atelier_http_requests_total{method="POST",route="/v1/runs",status="202"}'] == 1
    assert planner['atelier_steps_total{status="completed",tool="write_text"}'] == 1
    assert planner["atelier_llm_seconds_count"] >= 2
    assert 'atelier_model_loads_total{family="cgan"}' not in planner
    assert {queue for queue in ("planner", "image", "solution") if api[f'atelier_workers{{queue="{queue}"}}'] == 1} == {
        "planner",
        "image",
        "solution",
    }
    assert not [name for metrics in scraped for name in metrics if run["id"] in name or "local" in name]


def scrape(url: str) -> dict[str, float]:
    families = text_string_to_metric_families(httpx.get(url, trust_env=False).text)
    return {_name(sample): sample.value for family in families for sample in family.samples}


def _name(sample: Any) -> str:
    labels = ",".join(f'{label}="{value}"' for label, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}" if labels else str(sample.name)


def test_every_metric_of_the_dashboard_and_the_alerts_is_there(watched: House, run: dict[str, Any]) -> None:
    first = int(watched.environment["ATELIER_METRICS_PORT"])
    texts = [httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text for port in range(first, first + 4)]
    families = [family for text in texts for family in text_string_to_metric_families(text)]
    ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    there = {family.name.removesuffix("_total") + end for family in families for end in ends[family.type]}
    panels = json.loads((DEPLOY / "grafana/atelier.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    asked += [
        rule["expr"] for rule in yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"][0]["rules"]
    ]
    named = {name for expression in asked for name in re.findall(r"\b(?:atelier|process)_\w+", expression)}
    assert len(named) > 25
    assert named <= there
    own = {name for name in there if name.startswith("atelier_")} - {"atelier_info"}
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in named}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in own} - shown <= {"atelier_steps_held"}


def test_the_metrics_of_a_studio_with_keys_want_one(client: httpx.Client) -> None:
    assert client.get("/metrics").status_code == 200
    assert httpx.get(f"{str(client.base_url).rstrip('/')}/metrics", trust_env=False).status_code == 401


def test_the_log_leads_from_a_request_to_its_steps_and_shows_no_secret(watched: House, run: dict[str, Any]) -> None:
    folder = watched.folder / "logs"
    objects = [json.loads(line) for line in _lines(folder / "api.log") + _lines(folder / "planner.log")]
    request = next(o for o in objects if o["logger"] == "atelier.access" and o.get("request") == "req-of-the-test")
    assert (request["method"], request["route"], request["status"]) == ("POST", "/v1/runs", 202)
    steps = [o["tool"] for o in objects if o.get("run") == run["id"] and o.get("status") == "completed"]
    assert steps == ["studio.plan", "write_text", "studio.reply"]
    everything = watched.told() + "".join(log.read_text() for log in folder.glob("*.log"))
    for secret in (*SECRETS.values(), "otlp-secret-of-the-test", "merger"):
        assert secret not in everything


def _lines(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if line.startswith("{")]


def test_a_worker_whose_trace_receiver_and_metrics_port_are_away_works_all_the_same(tmp_path: Path) -> None:
    from orchestrator import telemetry
    from orchestrator.settings import Settings

    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(home=tmp_path, metrics_port=taken.getsockname()[1])
        watch = telemetry.open_watch(settings, "image", metered=False)
        assert telemetry.serve_metrics(watch, settings) is None
