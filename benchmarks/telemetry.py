"""Trace intake and queries: beside bare DuckDB in the same run, over HTTP, at a million spans, and under kill -9.

Spans are those of an agent (five a trace: agent, retrieval, model, tool, model) with the names of both OpenTelemetry
and OpenInference, about 1.2 KB of protobuf each, over the 24 hours before a fixed end. The server has core 0, the
sender core 1.
"bare" is the limit: protobuf parsed into columns and appended to one DuckDB table, 500 spans a commit; nothing
is mapped, priced, checked for duplicates or summed, and there is no HTTP.

    python benchmarks/telemetry.py                      # 100,000 spans in, queries at 1,000,000
    python benchmarks/telemetry.py --kills 100          # only: no acknowledged span lost
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import pydoc_data.topics
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from heading import header
from shiftright.core.trace import SpanRow, TraceFilter
from shiftright.gateway.ingest import received
from shiftright.store.duckdb import DuckDBTelemetry
from shiftright.tracing.counting import Repeats
from shiftright.tracing.otlp import PROTOBUF, encode_traces

END_NS = 1_794_000_000_000_000_000
DAY_NS = 86_400 * 10**9
BATCH = 500
SENDERS = 8
STARTED_S = 4  # what a server loads after it says that it is ready is not intake
MODELS = ("gpt-5-mini", "claude-sonnet-4-5", "gemini-2.5-flash", "mistral-large")
PROVIDERS = {"gpt": "openai", "claude": "anthropic", "gemini": "google", "mistral": "mistral"}
WORDS = [word for text in pydoc_data.topics.topics.values() for word in text.split() if word.isalpha()]
STEPS = (("retrieve", "RETRIEVER"), ("chat", "LLM"), ("lookup_order", "TOOL"), ("chat", "LLM"))


def requests(count: int) -> Iterator[bytes]:
    """OTLP requests of 500 spans, ``count`` spans in all."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    rng = random.Random(7)
    for first in range(0, count // 5, BATCH // 5):
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        set_attributes(
            resource.resource, {"service.name": "bench", "service.version": f"r{first * 15 // count}"}
        )
        spans = resource.scope_spans.add().spans
        for trace in range(first, first + BATCH // 5):
            add_trace(spans, trace, END_NS - DAY_NS + DAY_NS * trace * 5 // count, rng)
        yield request.SerializeToString()


def add_trace(spans: Any, number: int, start: int, rng: random.Random) -> None:
    identity = hashlib.sha256(f"{number}".encode()).digest()
    who = {"user.id": f"user-{rng.randrange(2000)}", "session.id": f"sess-{number // 4}"}
    failed = rng.random() < 0.03
    at = start
    for step, (name, kind) in enumerate(STEPS):
        asks = kind == "LLM"
        end = at + int(rng.lognormvariate(6 if asks else 3, 0.6) * 1e6)
        given, said = words(rng, 180 if asks else 4), words(rng, 90 if asks else 40)
        span = spans.add(
            trace_id=identity[:16], span_id=identity[16:23] + bytes([step + 1]),
            parent_span_id=identity[16:23] + b"\xff", name=name, start_time_unix_nano=at, end_time_unix_nano=end,
        )  # fmt: skip
        span.status.code = 2 if failed and step == 3 else 1
        attributes = {"openinference.span.kind": kind, **who, "input.value": given, "output.value": said}
        if asks:
            model = MODELS[rng.randrange(4)]
            maker, asked, answered = model.partition("-")[0], rng.randrange(100, 3000), rng.randrange(5, 600)
            attributes |= {
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": PROVIDERS[maker],
                "gen_ai.request.model": model, "gen_ai.usage.input_tokens": asked,
                "gen_ai.usage.output_tokens": answered, "gen_ai.request.temperature": 0.2, "llm.model_name": model,
                "llm.provider": PROVIDERS[maker], "llm.token_count.prompt": asked,
                "llm.token_count.completion": answered, "llm.token_count.total": asked + answered,
            }  # fmt: skip
        set_attributes(span, attributes)
        at = end
    root = spans.add(
        trace_id=identity[:16], span_id=identity[16:23] + b"\xff", name="agent",
        start_time_unix_nano=start, end_time_unix_nano=at,
    )  # fmt: skip
    root.status.code = 2 if failed else 1
    set_attributes(
        root, {"openinference.span.kind": "CHAIN", **who, "input.value": given[:300], "output.value": said}
    )


def words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(WORDS, k=count))


def set_attributes(target: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        pair = target.attributes.add(key=name)
        kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
        setattr(pair.value, kind, value)


def bare(batches: list[bytes], folder: Path) -> float:
    """CPU µs a span of the limit."""
    import duckdb
    import numpy as np
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    keys = (
        "openinference.span.kind",
        "gen_ai.request.model",
        "user.id",
        "session.id",
        "input.value",
        "output.value",
    )
    db = duckdb.connect(str(folder / "bare.duckdb"))
    db.execute("SET threads = 1")
    texts = ", ".join(f"c{n} VARCHAR" for n in range(len(keys) + 4))
    db.execute(f"CREATE TABLE spans (s BIGINT, e BIGINT, i BIGINT, o BIGINT, {texts})")
    spans = 0
    began = time.process_time()
    for batch in batches:
        rows: list[tuple[Any, ...]] = []
        for resource in ExportTraceServiceRequest.FromString(batch).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    values = {}
                    for pair in span.attributes:
                        value = pair.value
                        values[pair.key] = getattr(value, value.WhichOneof("value"))
                    get = values.get
                    tokens = get("gen_ai.usage.input_tokens", 0), get("gen_ai.usage.output_tokens", 0)
                    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.name
                    times = span.start_time_unix_nano, span.end_time_unix_nano
                    rows.append((*times, *tokens, *ids, *(get(key, "") for key in keys)))
        columns = {}
        for position, column in enumerate(zip(*rows, strict=True)):
            columns[f"x{position}"] = np.array(column, "i8" if position < 4 else object)
        db.register("incoming", columns)
        db.execute("INSERT INTO spans SELECT * FROM incoming")
        spans += len(rows)
    db.execute("CHECKPOINT")
    used = time.process_time() - began
    db.close()
    return used / spans * 1e6


class Server:
    """``shiftright serve`` in a folder, pinned to core 0."""

    def __init__(self, folder: Path) -> None:
        (folder / ".shiftright").mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "shiftright", "serve", "--json", "--port", "0"],
            cwd=folder, stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {0}),
        )  # fmt: skip
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["url"].rpartition(":")[2])

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(30)


def post(connection: http.client.HTTPConnection, body: bytes) -> int:
    connection.request("POST", "/v1/traces", body, {"content-type": PROTOBUF})
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 200, (answer.status, said)
    return answer.status


def send_all(server: Server, batches: list[bytes], senders: int = SENDERS) -> float:
    """Seconds until the last batch is acknowledged."""

    def send(part: list[bytes]) -> None:
        connection = server.connect()
        for body in part:
            post(connection, body)

    began = time.perf_counter()
    with ThreadPoolExecutor(senders) as pool:
        list(pool.map(send, [batches[n::senders] for n in range(senders)]))
    return time.perf_counter() - began


def ingest(count: int, folder: Path) -> list[str]:
    batches = list(requests(count))
    size = sum(map(len, batches)) / count
    os.sched_setaffinity(0, {0})
    limit_us = bare(batches, folder)
    os.sched_setaffinity(0, {1})
    server = Server(folder / "ingest")
    try:
        time.sleep(STARTED_S)
        before = server.cpu_s()
        seconds = send_all(server, batches)
        cpu_us = (server.cpu_s() - before) / count * 1e6
    finally:
        server.end()
    store = DuckDBTelemetry(folder / "ingest" / ".shiftright" / "telemetry.duckdb")
    stored, file = store.count(), Path(store.place).stat().st_size / count
    store.close()
    assert stored == count
    return [
        f"**Ingest: {cpu_us / limit_us:.2f} × the CPU of bare DuckDB** ({cpu_us:.0f} against {limit_us:.0f} µs a span)"
        f" · **{count / seconds:,.0f} spans/s** acknowledged when durable (target 15,000), one core, OTLP/HTTP"
        f" protobuf, {size:,.0f} bytes a span, {BATCH} a request, {SENDERS} senders · {file:.0f} bytes a span on disk",
    ]


def queries(count: int, folder: Path) -> list[str]:
    os.sched_setaffinity(0, {0, 1})
    store = DuckDBTelemetry(folder / "queries.duckdb")
    settle, waiting = Repeats().settle, list[SpanRow]()
    for batch in requests(count):
        waiting += received(batch, PROTOBUF)
        if len(waiting) >= 4000:
            settle(waiting)
            store.append(waiting)
            waiting = []
    store.append(waiting)
    middle = store.traces(TraceFilter(until_ns=END_NS - DAY_NS // 2)).data[0]
    day = END_NS - DAY_NS
    asked: list[tuple[str, float, Callable[[], object]]] = [
        ("list", 100, lambda: store.traces()),
        ("filter: user", 100, lambda: store.traces(TraceFilter(user="user-77"))),
        ("filter: model, failed, slow", 100,
         lambda: store.traces(TraceFilter(model="mistral-large", failed=True, min_ms=3000))),
        ("filter: attribute", 100, lambda: store.traces(TraceFilter(attribute=("llm.token_count.total", "1234")))),
        ("one trace", 10, lambda: store.trace(middle.trace_id)),
        ("percentiles, cost, errors per hour by release", 100, lambda: store.rollups(by="release")),
        ("the same by model", 100, lambda: store.rollups(by="model")),
        ("text of 24 h: a common word", 500, lambda: store.traces(TraceFilter(text="exception", since_ns=day))),
        ("text of 24 h: found nowhere", 500, lambda: store.traces(TraceFilter(text="zyxw zyxw", since_ns=day))),
    ]  # fmt: skip
    stop = threading.Event()
    feeding = threading.Thread(target=feed, args=(store, stop))
    lines = [
        f"Queries at {count:,} spans, all of them of one day, while 2,500 spans/s come in; 15 times each:",
        "",
        "| query | p50 ms | / target | max ms |",
        "|---|---:|---:|---:|",
    ]
    feeding.start()
    for name, target, ask in asked:
        ask()
        times = sorted(timed(ask) for _ in range(15))
        middle_ms = statistics.median(times)
        lines.append(f"| {name} | {middle_ms:.1f} | {middle_ms / target:.2f} | {times[-1]:.0f} |")
    stop.set()
    feeding.join()
    size = Path(store.place).stat().st_size / store.count()
    store.close()
    lines += ["", f"{size:.0f} bytes a span on disk (target 600)."]
    return lines


def feed(store: DuckDBTelemetry, stop: threading.Event) -> None:
    number = 0
    while not stop.wait(0.2):
        start = END_NS + number * 1000
        store.append(
            [
                SpanRow(
                    trace_id=f"{start + n:032x}", span_id=f"{start + n:016x}", name="feed", start_ns=start + n,
                    end_ns=start + n + 10**8, input="x" * 600, release="live",
                )
                for n in range(500)
            ]
        )  # fmt: skip
        number += 1


def timed(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1e3


def kills(count: int, folder: Path) -> list[str]:
    """Kill the server at random moments under load; every acknowledged span has to be there, none twice."""
    rng = random.Random(11)
    acknowledged: set[str] = set()
    number = 0
    for _ in range(count):
        server = Server(folder / "kills")
        killer = threading.Timer(rng.uniform(0.05, 0.6), server.end, [signal.SIGKILL])
        killer.start()
        connection = server.connect()
        try:
            while True:
                spans = [
                    SpanRow(
                        trace_id=f"{number // 4 + n + 1:032x}", span_id=f"{number + n + 1:016x}", name="x",
                        start_ns=END_NS + number + n, end_ns=END_NS + number + n + 5, input="y" * 400,
                    )
                    for n in range(50)
                ]  # fmt: skip
                if post(connection, encode_traces(spans)) == 200:
                    acknowledged.update(span.span_id for span in spans)
                number += 50
        except (OSError, http.client.HTTPException):
            killer.join()
    store = DuckDBTelemetry(folder / "kills" / ".shiftright" / "telemetry.duckdb")
    found = [span.span_id for batch in store.spans() for span in batch]
    store.close()
    lost, twice = len(acknowledged - set(found)), len(found) - len(set(found))
    assert not lost, f"{lost} acknowledged spans were lost"
    assert not twice, f"{twice} spans are there twice"
    return [
        f"**{lost} acknowledged spans lost** in {count} kills under load ({len(acknowledged):,} acknowledged)."
    ]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--spans", type=int, default=100_000, help="spans sent over HTTP")
    options.add_argument("--stored", type=int, default=1_000_000, help="spans in the store that is asked")
    options.add_argument("--kills", type=int, default=0, help="only kill the server so many times")
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="telemetry-"))
    print(header("Telemetry"), flush=True)
    try:
        if given.kills:
            print("\n".join(kills(given.kills, folder)))
            return
        print("\n".join(ingest(given.spans, folder)), flush=True)
        print()
        print("\n".join(queries(given.stored, folder)))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
