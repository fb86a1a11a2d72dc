"""Spans and the state of each check to somebody else's OpenTelemetry backend, over OTLP/HTTP.

Configured as every OpenTelemetry program is: ``OTEL_EXPORTER_OTLP_ENDPOINT`` and ``OTEL_EXPORTER_OTLP_HEADERS``. A slow
or dead receiver costs spans, which are counted, and never an answer: what is offered is queued, and sent by a thread.
"""

from __future__ import annotations

import gzip
import http.client
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from urllib.parse import unquote, urlsplit

from shiftright.core.counting import counted
from shiftright.core.trace import SpanRow
from shiftright.core.verdict import LiveRow
from shiftright.tracing import attributes as names
from shiftright.tracing.otlp import PROTOBUF, encode_traces

_log = logging.getLogger("shiftright.telemetry")
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
_RETRIED = frozenset({429, 502, 503, 504})  # OTLP specification 1.9, "Retryable Response Codes"
_AT_ONCE = 500
_PATIENCE_S = 10.0
_LARGEST_STATE = 1_000_000
_SCOPE = "shiftright"
_VERDICTS = {"holds": 1.0, "unclear": 0.0, "broken": -1.0}


class Exporter:
    """Sends what it is offered; at most ``largest`` spans wait, further ones are ``dropped``.

    Args:
        endpoint: of an OTLP/HTTP receiver, without ``/v1/…``.
        headers: sent with every request (a vendor's key).
        attempts: requests of one batch before it is given up, each waiting twice as long as the one before.
    """

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str] | None = None,
        *,
        largest: int = 20_000,
        attempts: int = 5,
        first_wait_s: float = 0.5,
    ) -> None:
        self._address = urlsplit(endpoint.rstrip("/"))
        self._headers = {"content-type": PROTOBUF, "content-encoding": "gzip", **(headers or {})}
        self._largest, self._attempts, self._first_wait_s = largest, attempts, first_wait_s
        self._waiting: deque[SpanRow] = deque()
        self._gauges: bytes | None = None
        self._changed = threading.Condition()
        self._closing = False
        self.dropped = 0
        """Spans that were not sent: no room, or the receiver refused them or stayed away."""
        self.sent = 0
        self._thread = threading.Thread(target=self._run, name="shiftright-export", daemon=True)
        self._thread.start()

    def offer(self, spans: Sequence[SpanRow]) -> None:
        """Queue spans (a listener of the intake). Never blocks."""
        with self._changed:
            room = max(self._largest - len(self._waiting), 0)
            self._waiting.extend(spans[:room])
            self.dropped += max(len(spans) - room, 0)
            self._changed.notify()

    def report(self, feature: str, window: str, rows: Sequence[LiveRow]) -> None:
        """The state of a feature's checks, as gauges. Never blocks."""
        with self._changed:
            self._gauges = (self._gauges or b"") + encode_checks(feature, window, rows, time.time_ns())
            if len(self._gauges) > _LARGEST_STATE:
                self._gauges = None  # the receiver is away, and the next state is worth more than this one
            self._changed.notify()

    def close(self) -> None:
        """Send what waits, once, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._gauges or self._closing)
                spans = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
                gauges, self._gauges = self._gauges, None
                done = self._closing and not spans and not gauges
            if done:
                return
            if gauges:
                self._deliver("/v1/metrics", gauges, "the state of checks")
            if spans:
                if self._deliver("/v1/traces", encode_traces(spans), counted(len(spans), "span")):
                    self.sent += len(spans)
                else:
                    self.dropped += len(spans)

    def _deliver(self, path: str, plain: bytes, what: str) -> bool:
        """Did the receiver take it?"""
        body, wait_s = gzip.compress(plain, 1), self._first_wait_s
        for attempt in range(1, self._attempts + 1):
            status, said = self._post(path, body)
            if status is not None and 200 <= status < 300:
                return True
            last = attempt == self._attempts or self._closing
            if last or (status is not None and status not in _RETRIED):
                _log.warning("%s could not be exported: %s", what, said)
                break
            with self._changed:
                self._changed.wait_for(lambda: self._closing, timeout=wait_s)
            wait_s *= 2
        return False

    def _post(self, path: str, body: bytes) -> tuple[int | None, str]:
        """The status, None when there was no answer, and words for it."""
        address = self._address
        secure = address.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        try:
            with closing(connect(address.hostname or "", address.port, timeout=_PATIENCE_S)) as connection:
                connection.request("POST", address.path + path, body, self._headers)
                response = connection.getresponse()
                response.read()
                return response.status, f"{address.hostname} answered {response.status}"
        except (OSError, http.client.HTTPException) as error:
            return None, f"{address.hostname} does not answer: {error}"
        except ValueError:  # whose text may hold a header, and so a vendor's key
            return None, f"{address.hostname} cannot be asked: its port or a header is malformed"


def exporter(environment: Mapping[str, str]) -> Exporter | None:
    """The one the environment asks for, if it does."""
    endpoint = environment.get(ENDPOINT, "").strip()
    if not endpoint.startswith(("http://", "https://")):
        return None
    pairs = (pair.partition("=") for pair in environment.get(HEADERS, "").split(",") if "=" in pair)
    return Exporter(endpoint, {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs})


def encode_checks(feature: str, window: str, rows: Sequence[LiveRow], at_ns: int) -> bytes:
    """An OTLP metrics request: per clause its value, its interval's ends, and its verdict (1 holds, 0 unclear, −1
    broken); a request appended to another is the two as one."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    _name(resource.resource.attributes, {names.SERVICE_NAME: _SCOPE})
    scope = resource.scope_metrics.add()
    scope.scope.name = _SCOPE
    gauges = {name: scope.metrics.add() for name in ("value", "lower", "upper", "verdict", "traces")}
    for name, metric in gauges.items():
        metric.name = f"shiftright.check.{name}"
    for row in rows:
        if row.verdict is None:
            continue
        lower, upper = row.interval or (None, None)
        values = (row.estimate, lower, upper, _VERDICTS[row.verdict], float(row.n))
        told = {
            names.FEATURE: feature,
            names.CHECK: row.check,
            names.CLAUSE: row.clause,
            names.TARGET: row.target,
            names.WINDOW: window,
        }
        for metric, value in zip(gauges.values(), values, strict=True):
            if value is not None:
                point = metric.gauge.data_points.add(time_unix_nano=at_ns, as_double=value)
                _name(point.attributes, told)
    return request.SerializeToString()


def _name(attributes: object, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        pair = attributes.add()  # type: ignore[attr-defined]
        pair.key, pair.value.string_value = name, value
