"""A loopback server that answers like Langfuse's public API, in the documented shapes."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PUBLIC, SECRET = "pk-lf-1", "sk-lf-2"
PER_PAGE = 2


def generation(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"{number:016x}",
        "traceId": f"{number:032x}",
        "projectId": "p",
        "environment": "production",
        "type": "GENERATION",
        "name": "chat",
        "startTime": "2026-11-02T09:00:00.100Z",
        "endTime": "2026-11-02T09:00:01.350Z",
        "completionStartTime": None,
        "parentObservationId": None,
        "model": "gpt-5-mini",
        "modelParameters": {"temperature": 0},
        "input": [{"role": "system", "content": "Sort."}, {"role": "user", "content": f"parcel {number}"}],
        "output": {"role": "assistant", "content": "delivery"},
        "metadata": {"ls_provider": "openai"},
        "level": "DEFAULT",
        "statusMessage": None,
        "version": None,
        "usageDetails": {
            "input": 10, "input_cached_tokens": 4, "output": 2, "output_reasoning_tokens": 3, "total": 19,
        },
        "costDetails": {"input": 0.001, "output": 0.002, "total": 0.003},
        "usage": {"input": 10, "output": 2, "total": 12, "unit": "TOKENS"},
        "calculatedTotalCost": 0.003,
    } | fields  # fmt: skip


def score(name: str, value: Any, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"s-{name}",
        "timestamp": "2026-11-02T10:00:00.000Z",
        "name": name,
        "value": value,
        "dataType": "NUMERIC",
        "source": "API",
        "comment": None,
        "authorUserId": None,
    } | fields


def trace(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"{number:032x}",
        "timestamp": "2026-11-02T09:00:00.000Z",
        "name": "triage",
        "environment": "production",
        "input": {"text": f"parcel {number}"},
        "output": "delivery",
        "sessionId": "s-1",
        "userId": f"u-{number}",
        "release": "r-7",
        "version": None,
        "metadata": {},
        "tags": ["eu"],
        "public": False,
        "htmlPath": "/project/p/traces/x",
        "latency": 1.35,
        "totalCost": 0.003,
        "observations": [generation(number)],
        "scores": [],
    } | fields


def item(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"i-{number}",
        "status": "ACTIVE",
        "input": {"text": f"parcel {number}"},
        "expectedOutput": "delivery",
        "metadata": None,
        "sourceTraceId": None,
        "sourceObservationId": None,
        "datasetId": "d",
        "datasetName": "support set",
        "createdAt": "2026-11-01T00:00:00.000Z",
        "updatedAt": "2026-11-01T00:00:00.000Z",
    } | fields


class Project:
    """What is in it, what was asked of it, and the answers it gives before the true one."""

    def __init__(self) -> None:
        self.traces: list[dict[str, Any]] = []
        self.items: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.first: list[tuple[int, bytes]] = []

    def environment(self, url: str) -> dict[str, str]:
        return {"LANGFUSE_HOST": url, "LANGFUSE_PUBLIC_KEY": PUBLIC, "LANGFUSE_SECRET_KEY": SECRET}

    def answer(self, target: str, authorization: str) -> tuple[int, bytes]:
        self.asked.append(target)
        if authorization != "Basic " + base64.b64encode(f"{PUBLIC}:{SECRET}".encode()).decode():
            return 401, b'{"message": "Invalid credentials"}'
        if self.first:
            return self.first.pop(0)
        path, query = urlsplit(target).path.removeprefix("/api/public/"), parse_qs(urlsplit(target).query)
        if path == "traces":
            kept = ("id", "timestamp", "name")
            rows = [{key: row[key] for key in kept} for row in self.traces]
            return 200, _page(
                [row for row in rows if query.get("name", [row["name"]]) == [row["name"]]], query
            )
        if path == "dataset-items":
            return 200, _page(
                [row for row in self.items if [row["datasetName"]] == query["datasetName"]], query
            )
        wanted = unquote(path.removeprefix("traces/"))
        found = next((row for row in self.traces if row["id"] == wanted and not row.get("gone")), None)
        return (404, b"{}") if found is None else (200, json.dumps(found).encode())


def _page(rows: list[Any], query: dict[str, list[str]]) -> bytes:
    page = int(query["page"][0])
    meta = {"page": page, "limit": PER_PAGE, "totalItems": len(rows), "totalPages": -(-len(rows) // PER_PAGE)}
    return json.dumps({"data": rows[(page - 1) * PER_PAGE : page * PER_PAGE], "meta": meta}).encode()


@contextmanager
def served(project: Project) -> Iterator[str]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = project.answer(self.path, self.headers["authorization"])
            self.send_response(status)
            if status in (429, 503):
                self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
