"""``shiftright serve`` and ``shiftright key`` as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from shiftright.store.duckdb import DuckDBTelemetry


def shiftright(folder: Path, *words: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "SHIFTRIGHT_KEY"}
    return subprocess.run(
        [sys.executable, "-m", "shiftright", *words], cwd=folder, capture_output=True, text=True, timeout=60,
        check=False, env=environment | ({"SHIFTRIGHT_KEY": key} if key else {}),
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".shiftright").mkdir()
    return tmp_path


def test_serve_says_when_it_is_ready_and_ends_cleanly(project: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "shiftright", "serve", "--json", "--port", "0"], cwd=project,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"SHIFTRIGHT_KEY": "open-sesame"},
    )  # fmt: skip
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert (ready["key"], ready["pid"]) == ("open-sesame", process.pid)
    published = json.loads((project / ".shiftright" / "serve.json").read_text(encoding="utf-8"))
    assert published == {"url": ready["url"], "pid": process.pid}
    assert httpx.get(ready["url"] + "/v1/models").status_code == 401
    got = httpx.get(ready["url"] + "/v1/models", headers={"authorization": "Bearer open-sesame"})
    assert got.json() == {"object": "list", "data": []}
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, ""), errors
    assert not (project / ".shiftright" / "serve.json").exists()


def test_serve_refuses_other_addresses_without_a_key(project: Path) -> None:
    done = shiftright(project, "serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 3
    assert "shiftright key create" in done.stderr


def test_keys_are_made_listed_and_revoked(project: Path) -> None:
    made = json.loads(shiftright(project, "key", "create", "shop", "--per-minute", "60", "--json").stdout)
    assert made["key"].startswith("sk-sr-")
    listed = shiftright(project, "key", "list", "--json").stdout
    assert made["key"] not in listed
    assert json.loads(listed)["data"][0]["limits"] == {"requests_per_minute": 60.0}
    assert shiftright(project, "key", "revoke", "shop").returncode == 0
    assert "revoked" in shiftright(project, "key", "list").stdout
    assert shiftright(project, "key", "revoke", "shop").returncode == 3


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The server's URL, once it is ready, and its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "shiftright", "serve", "--json", "--port", "0"], cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"], process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_users_are_answered_where_telemetry_cannot_be_kept(project: Path) -> None:
    """A path below a regular file: permissions would not keep root from writing."""
    (project / "file").write_text("")
    with serving(project, SHIFTRIGHT_TELEMETRY_URL=f"duckdb:///{project / 'file' / 't.duckdb'}") as (
        url,
        process,
    ):
        assert httpx.get(url + "/v1/models").status_code == 200
        health = httpx.get(url + "/healthz").json()
        assert (health["status"], health["records"]) == ("degraded", "ok")
        assert "telemetry cannot be kept" in health["telemetry"]
        assert "telemetry cannot be read" in httpx.get(url + "/metrics").text
        sent = httpx.post(url + "/v1/traces", json={"resourceSpans": [{"scopeSpans": [{"spans": [
            {"traceId": "1" * 32, "spanId": "2" * 16, "name": "a"}]}]}]})  # fmt: skip
        assert sent.status_code == 503, "the sender keeps what is not acknowledged"
        process.terminate()
        assert process.stderr is not None
        assert "No traces are kept" in process.stderr.read()


def test_a_second_server_of_a_project_is_refused(project: Path) -> None:
    telemetry = DuckDBTelemetry(project / ".shiftright" / "telemetry.duckdb")
    try:
        done = shiftright(project, "serve", "--port", "0")
    finally:
        telemetry.close()
    assert done.returncode == 3
    assert f"in use by process {os.getpid()}" in done.stderr
    assert "Traceback" not in done.stderr


def test_traces_are_read_from_the_store_after_a_server_was_killed(project: Path) -> None:
    with serving(project) as (url, process):
        assert "shiftright_traces_queued 0" in metrics_with(url, "shiftright_traces_queued")
        sent = httpx.post(url + "/v1/traces", json={"resourceSpans": [{"scopeSpans": [{"spans": [
            {"traceId": "1" * 32, "spanId": "2" * 16, "name": "a"}]}]}]})  # fmt: skip
        assert sent.status_code == 200
        process.kill()
        process.wait(20)
    left = project / ".shiftright" / "serve.json"
    assert left.exists()
    done = shiftright(project, "traces", "--json")
    assert (done.returncode, not left.exists()) == (0, True), done.stderr
    assert "1" * 32 in done.stdout


def metrics_with(url: str, name: str) -> str:
    """The figures, once the one that begins last is among them."""
    for _ in range(400):
        if name in (text := httpx.get(url + "/metrics").text):
            return text
        threading.Event().wait(0.01)
    raise AssertionError(text)
