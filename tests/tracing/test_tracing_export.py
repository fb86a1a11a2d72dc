"""Export against a real receiver: an HTTP server that decodes what it is sent."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from shiftright.core.trace import SpanRow
from shiftright.core.verdict import LiveRow
from shiftright.tracing.export import Exporter, exporter
from shiftright.tracing.otlp import decode_traces


class Receiver:
    """Answers the statuses given, then 200, and keeps what it took."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.taken: list[tuple[str, bytes, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = outer.statuses.pop(0) if outer.statuses else 200
                if status == 200:
                    outer.taken.append((self.path, gzip.decompress(body), dict(self.headers)))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def spans(count: int) -> list[SpanRow]:
    return [
        SpanRow(
            trace_id=f"{number:032x}", span_id=f"{number:016x}", name="chat", operation="chat", model="gpt-5",
            start_ns=1_000, end_ns=2_000, input_tokens=7, feature="triage", cost_usd=0.5,
        )
        for number in range(1, count + 1)
    ]  # fmt: skip


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_spans_arrive_as_they_were(receiver: Receiver) -> None:
    sending = exporter(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url + "/", "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b, y=1"}
    )
    assert sending is not None
    sending.offer(spans(3))
    wait_for(lambda: sending.sent == 3)
    sending.close()
    path, body, headers = receiver.taken[0]
    assert path == "/v1/traces"
    assert headers["x-key"] == "a b"
    got = decode_traces(body, headers["content-type"], "")
    assert [(row.trace_id, row.model, row.input_tokens, row.feature) for row in got] == [
        (row.trace_id, row.model, row.input_tokens, row.feature) for row in spans(3)
    ]


def test_the_state_of_checks_is_a_gauge_each(receiver: Receiver) -> None:
    sending = Exporter(receiver.url)
    holds = LiveRow("right", "at_least", "at least 70 %", "holds", 0.9, (0.8, 0.95), 100, "proven")
    without = LiveRow("exact", "at_least", "at least 70 %", None, None, None, 0, "offline")
    sending.report("triage", "24 h", [holds, without])
    sending.report("other", "24 h", [holds])
    sending.close()
    points = {}
    for path, body, _ in receiver.taken:
        assert path == "/v1/metrics"
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in resource.scope_metrics[0].metrics:
                for point in metric.gauge.data_points:
                    told = {pair.key: pair.value.string_value for pair in point.attributes}
                    points[told["shiftright.feature"], told["shiftright.check"], metric.name] = (
                        point.as_double
                    )
    assert points["triage", "right", "shiftright.check.value"] == 0.9
    assert points["triage", "right", "shiftright.check.lower"] == 0.8
    assert points["other", "right", "shiftright.check.verdict"] == 1.0
    assert len(points) == 10


def test_what_is_retried_and_what_is_not(receiver: Receiver) -> None:
    receiver.statuses = [503, 429]
    sending = Exporter(receiver.url, first_wait_s=0.01)
    sending.offer(spans(2))
    wait_for(lambda: sending.sent == 2)
    receiver.statuses = [400]
    sending.offer(spans(1))
    wait_for(lambda: sending.dropped == 1)
    sending.close()
    assert len(receiver.taken) == 1


def test_a_receiver_that_is_away_costs_spans_and_no_time() -> None:
    sending = Exporter("http://127.0.0.1:9", largest=10, first_wait_s=0.2)
    began = time.monotonic()
    for _ in range(100):
        sending.offer(spans(1))
    assert time.monotonic() - began < 0.5
    sending.close()
    assert sending.sent == 0
    assert sending.dropped == 100


def test_an_address_that_is_none_costs_spans_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    sending = Exporter("http://127.0.0.1:port", attempts=1)
    for lost in (1, 2):
        sending.offer(spans(1))
        wait_for(lambda lost=lost: sending.dropped == lost)
    sending.report(
        "triage", "24 h", [LiveRow("right", "at_least", "", "holds", 0.9, (0.8, 1.0), 9, "proven")]
    )
    sending.close()
    assert "1 span could not be exported: 127.0.0.1 cannot be asked" in caplog.text
    assert "the state of checks could not be exported" in caplog.text


def test_nothing_asked_for_is_nothing_done() -> None:
    assert exporter({}) is None
    assert exporter({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}) is None
