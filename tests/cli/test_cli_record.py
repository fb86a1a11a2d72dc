"""``shiftright record``: a program that knows nothing of us, kept whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gateway.servers import Provider, whole

import shiftright
from shiftright.cli.record import surroundings
from shiftright.store.duckdb import DuckDBTelemetry

PROGRAM = """
import json, os, sys, urllib.request
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}).encode()
headers = {"content-type": "application/json", "authorization": "Bearer sk-mine"}
print(json.load(urllib.request.urlopen(urllib.request.Request(url, body, headers)))["id"])
span = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "step"}
traces = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
address = os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
urllib.request.urlopen(urllib.request.Request(address, traces, {"content-type": "application/json"}))
sys.exit(7)
"""


ANSWER = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3},
}


@pytest.fixture
def provider() -> Iterator[str]:
    made = Provider()
    made.plays = [whole(json.dumps(ANSWER).encode())]
    yield made.url
    made.close()


def record(root: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    (root / ".shiftright").mkdir(exist_ok=True)
    surrounding = {**os.environ, "PYTHONPATH": str(Path(shiftright.__file__).parents[1]), **env}
    return subprocess.run(
        [sys.executable, "-m", "shiftright", "record", "--", *command],
        cwd=root, env=surrounding, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_calls_and_spans_are_kept_and_the_exit_code_passed_on(tmp_path: Path, provider: str) -> None:
    done = record(tmp_path, sys.executable, "-c", PROGRAM, OPENAI_BASE_URL=provider, OPENAI_API_KEY="sk")
    assert (done.returncode, done.stdout) == (7, "chatcmpl-1\n"), done.stderr
    store = DuckDBTelemetry(tmp_path / ".shiftright" / "telemetry.duckdb")
    call, step = sorted((s for batch in store.spans() for s in batch), key=lambda s: s.name)
    assert (call.operation, call.model, call.input_tokens) == ("chat", "gpt-4o-mini", 12)
    assert call.cost_usd
    assert step.name == "step"
    store.close()


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = record(tmp_path, "no-such-program")
    assert done.returncode == 3
    assert "there is no program 'no-such-program'" in done.stderr


def test_the_server_s_key_is_handed_on() -> None:
    found = surroundings("http://x:1", "/bin/app", "k", {"OPENAI_API_KEY": "theirs", "A": "b"})
    assert found["OPENAI_API_KEY"] == found["ANTHROPIC_API_KEY"] == "k"
    assert found["OTEL_EXPORTER_OTLP_HEADERS"] == "authorization=Bearer%20k"
    assert (found["OTEL_SERVICE_NAME"], found["A"]) == ("app", "b")
    assert surroundings("http://x:1", "app", None, {"OPENAI_API_KEY": "theirs"})["OPENAI_API_KEY"] == "theirs"
