"""POST /v1/traces of a running server: what it acknowledges is on disk."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from tests.gateway.servers import Site

import shiftright
from shiftright.core.trace import SpanRow
from shiftright.errors import StoreError
from shiftright.gateway.ingest import take_in
from shiftright.store.duckdb import DuckDBTelemetry
from shiftright.store.intake import Intake
from shiftright.store.keys import Limits
from shiftright.store.spool import Spool
from shiftright.tracing.handover import hand_over
from shiftright.tracing.otlp import JSON, PROTOBUF, encode_traces


def span(number: int, **given: Any) -> SpanRow:
    return SpanRow(
        trace_id=f"{number // 5 + 1:032x}",
        span_id=f"{number + 1:016x}",
        name="call",
        start_ns=1_794_000_000_000_000_000 + number,
        end_ns=1_794_000_000_000_000_000 + number + 1000,
        **given,
    )


def send(
    port: int, body: bytes, kind: str = PROTOBUF, method: str = "POST", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    given = {"content-type": kind} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, "/v1/traces", body, given)
    answer = connection.getresponse()
    result = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return result


def test_spans_are_stored_and_priced_when_acknowledged(site: Site) -> None:
    call = span(0, operation="chat", provider="openai", model="gpt-4o-mini", input_tokens=1000, cost_usd=None)
    body = gzip.compress(encode_traces([call, span(1)]))
    status, headers, answer = send(site.port, body, content_encoding="gzip")
    assert (status, answer, headers["content-type"]) == (200, b"", PROTOBUF)
    stored, _ = site.telemetry.trace(call.trace_id)
    assert stored.cost_usd == pytest.approx(0.00015)
    assert send(site.port, body, content_encoding="gzip")[0] == 200
    assert site.telemetry.count() == 2


def test_json_is_answered_in_json_and_partial_success_says_what_was_refused(site: Site) -> None:
    spans = [
        {"traceId": "1" * 32, "spanId": "2" * 16, "name": "good"},
        {"traceId": "", "spanId": "2" * 16, "name": "bad"},
    ]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
    status, headers, answer = send(site.port, body, JSON)
    assert (status, headers["content-type"]) == (200, JSON)
    assert json.loads(answer)["partialSuccess"]["rejectedSpans"] == "1"
    assert send(site.port, b"{}", JSON)[2] == b"{}"
    broken = encode_traces([span(9)]).replace((2).to_bytes(16, "big"), bytes(16))
    response = ExportTraceServiceResponse.FromString(send(site.port, broken)[2])
    assert response.partial_success.rejected_spans == 1
    assert "trace id" in response.partial_success.error_message


@pytest.mark.parametrize(
    ("body", "kind", "method", "status", "said"),
    [
        (b"\xff\xff\xff", PROTOBUF, "POST", 400, b"not an OTLP trace request"),
        (b"{", JSON, "POST", 400, b"not JSON"),
        (b"x", "text/plain", "POST", 415, b"cannot be read as"),
        (b"", PROTOBUF, "GET", 405, b"POST"),
    ],
)
def test_what_cannot_be_taken_is_said(
    site: Site, body: bytes, kind: str, method: str, status: int, said: bytes
) -> None:
    found, _, answer = send(site.port, body, kind, method)
    assert found == status
    assert said in answer


def test_bodies_have_a_limit(site: Site) -> None:
    bomb = gzip.compress(bytes(70 * 1024 * 1024))
    assert send(site.port, bomb, content_encoding="gzip")[0] == 413


def test_a_key_is_asked_for(start: Callable[..., Site]) -> None:
    site = start(key="secret-key")
    assert send(site.port, b"")[0] == 401
    assert send(site.port, b"", authorization="Bearer secret-key")[0] == 200


def test_overload_and_a_full_disk_are_told_and_can_be_tried_again(
    start: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = start()
    body = encode_traces([span(n) for n in range(5)])
    monkeypatch.setattr(site.intake, "_largest", 3)
    status, headers, _ = send(site.port, body)
    assert (status, headers["retry-after"]) == (429, "1")
    monkeypatch.undo()

    def full(spans: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(site.telemetry, "append", full)
    status, headers, answer = send(site.port, body)
    assert (status, headers["retry-after"]) == (503, "1")
    assert b"the disk is full" in answer
    monkeypatch.undo()
    assert send(site.port, body)[0] == 200
    assert site.telemetry.count() == 5


def test_other_processes_hand_over_or_put_aside(start: Callable[..., Site], tmp_path: Path) -> None:
    home = tmp_path / ".shiftright"
    assert not hand_over([span(1), span(2)], home)
    site = start()
    (home / "serve.json").write_text(json.dumps({"url": site.url, "pid": 1}))
    assert hand_over([span(3)], home)
    spool = Spool(home / "spool")
    spool.put(b"\xff\xff broken")
    assert take_in(spool, site.intake) == 1
    assert take_in(spool, site.intake) == 0
    assert site.telemetry.count() == 3
    assert [path.suffix for path in spool.folder.iterdir()] == [".broken"]
    (home / "serve.json").write_text(json.dumps({"url": "http://127.0.0.1:1"}))
    assert not hand_over([span(4)], home)


def test_the_spool_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shiftright.store.spool.LARGEST_BYTES", 100)
    spool = Spool(tmp_path / "spool")
    spool.put(b"x" * 60)
    with pytest.raises(StoreError, match="fill"):
        spool.put(b"x" * 60)
    assert [batch for _, batch in spool.waiting()] == [b"x" * 60]


def test_a_batch_taken_twice_is_stored_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.put(encode_traces([span(1), span(2)]))
    for _ in range(2):  # the owner ends after storing and before forgetting the file
        store = DuckDBTelemetry(tmp_path / "t.duckdb")
        intake = Intake(store)
        kept = [(path, batch) for path, batch in spool.waiting()]
        take_in(spool, intake)
        for _, batch in kept:
            spool.put(batch)
        intake.close()
        assert store.count() == 2
        store.close()


def test_no_acknowledged_span_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    acknowledged = 0
    for _ in range(3):
        acknowledged += kill_under_load(tmp_path, acknowledged, seconds=0.4)
        store = DuckDBTelemetry(tmp_path / ".shiftright" / "telemetry.duckdb")
        found = {s.span_id for batch in store.spans() for s in batch}
        assert found >= {f"{n + 1:016x}" for n in range(acknowledged)}
        assert len(found) == store.count()
        acknowledged = store.count()
        store.close()
    assert acknowledged


def kill_under_load(root: Path, first: int, seconds: float) -> int:
    """Batches until a kill -9; returns how many spans were acknowledged."""
    (root / ".shiftright").mkdir(exist_ok=True)
    server = subprocess.Popen(
        [sys.executable, "-m", "shiftright", "serve", "--json", "--port", "0"],
        cwd=root,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(shiftright.__file__).parents[1])},
    )
    with server:
        assert server.stdout is not None
        port = int(json.loads(server.stdout.readline())["url"].rpartition(":")[2])
        sent, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            batch = [span(first + sent + n, input="x" * 500) for n in range(50)]
            assert send(port, encode_traces(batch))[0] == 200
            sent += 50
        server.send_signal(signal.SIGKILL)
    return sent


def test_a_key_speaks_of_its_own_features_only(start: Callable[..., Site]) -> None:
    site = start(key="owner")
    _, secret = site.records.keys.create("shop", Limits(features=("shop",)))
    site.run(site.access.exchange())
    spans = [span(0, feature="shop"), span(1, feature="bank"), span(2)]
    status, _, answer = send(site.port, encode_traces(spans), authorization=f"Bearer {secret}")
    told = ExportTraceServiceResponse.FromString(answer).partial_success
    assert (status, told.rejected_spans) == (200, 1)
    assert "'bank'" in told.error_message
    assert {each.feature for each in site.spans(spans[0].trace_id)} == {"shop", ""}
    assert send(site.port, encode_traces([span(9, feature="bank")]), authorization="Bearer owner")[2] == b""


@pytest.mark.parametrize(("stated", "kept"), [(999_999.0, 999_999.0), (1e9, None), (1e300, None)])
def test_a_cost_that_cannot_be_is_not_believed(site: Site, stated: float, kept: float | None) -> None:
    call = span(0, operation="chat", model="m", input_tokens=1, cost_usd=stated)
    assert send(site.port, encode_traces([call]))[0] == 200
    assert site.spans(call.trace_id)[0].cost_usd == kept
