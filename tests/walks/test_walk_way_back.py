"""A user's thumb down to a case that fails the next eval, through a running server and the real commands."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from walking import Walk, wait_for

SPEC = """\
feature: triage
run: triage:triage
cases: {gate: cases.jsonl}
checks:
  right: {score: exact, field: queue, at_least: 50%}
"""
CODE = """\
def triage(text):
    return {"queue": "card" if "card" in text else "other"}
"""
JS = Path(__file__).parents[2] / "js" / "index.js"


@contextmanager
def served(walk: Walk) -> Iterator[str]:
    server = walk.start("serve", "--port", "0", "--json")
    try:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=20)


def post(url: str, path: str, body: Any, **headers: str) -> tuple[int, dict[str, str], Any]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json", **headers})
    response = connection.getresponse()
    said = response.read()
    connection.close()
    return (
        response.status,
        {k.lower(): v for k, v in response.getheaders()},
        json.loads(said) if said else None,
    )


@pytest.fixture
def triage(tmp_path: Path) -> Walk:
    walk = Walk(tmp_path, spec=SPEC)
    (tmp_path / "triage.py").write_text(CODE)
    rows = [{"id": f"c{i}", "input": f"my card {i}", "expected": {"queue": "card"}} for i in range(40)]
    walk.write_cases("cases.jsonl", rows)
    return walk


def test_from_a_thumb_down_to_a_failing_eval_and_its_fix(triage: Walk) -> None:
    with served(triage) as url:
        status, headers, said = post(url, "/v1/features/triage", "I lost my plastic")
        assert (status, said["output"]) == (200, {"queue": "other"})
        trace, token = headers["x-trace-id"], headers["x-feedback-token"]
        foreign = {"origin": "https://shop.example", "sec-fetch-site": "cross-site"}
        body = {"trace_id": trace, "value": 0, "correction": "card", "idempotency_key": "k"}
        assert post(url, "/v1/feedback", body, **foreign)[0] == 401, "a page of another site needs the token"
        assert post(url, "/v1/feedback", body | {"token": "0" * 32}, **foreign)[0] == 401
        status, headers, first = post(url, "/v1/feedback", body | {"token": token}, **foreign)
        assert status == 200
        assert headers["access-control-allow-origin"] == "*"
        assert post(url, "/v1/feedback", body | {"token": token}, **foreign)[2] == first
        assert post(url, "/v1/feedback", {"trace_id": "nope", "value": 0})[0] in (400, 422)

        def waiting() -> list[Any]:
            groups = json.loads(triage.run("review", "--json").stdout)["groups"]
            return [group for group in groups if group["feature"] == "triage"]

        wait_for(lambda: bool(waiting()))
        (group,) = waiting()
        assert group["title"] == "I lost my plastic"
        (review_id,) = group["reviews"]
        done = triage.run("review", "resolve", review_id, "1", "--correction", "card", "--consent", "given")
        assert done.returncode == 0, done.stderr
    case = json.loads((triage.folder / "must.jsonl").read_text())
    assert (case["expected"], case["source"]) == ({"queue": "card"}, f"trace:{trace}")
    failing = triage.run("eval", "triage", "--json")
    assert failing.returncode == 1
    assert case["id"] in json.loads(failing.stdout)["reasons"][0]
    (triage.folder / "triage.py").write_text(
        CODE.replace('"card" in text', '"card" in text or "plastic" in text')
    )
    assert triage.run("eval", "triage", "--json").returncode == 0


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_feedback_from_the_npm_package(triage: Walk) -> None:
    program = """
    import { feedback, traceOf } from PACKAGE;
    const url = process.argv[1];
    const answer = await fetch(new URL("/v1/features/triage", url), {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify("hello"),
    });
    const trace = traceOf(answer);
    console.log(JSON.stringify({ ...trace, ...(await feedback({ ...trace, value: false, comment: "no" }, { url })) }));
    """.replace("PACKAGE", json.dumps(JS.as_uri()))
    with served(triage) as url:
        node = ["node", "--input-type=module", "-e", program, url]
        done = subprocess.run(node, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        shown = triage.run("review", "--json")
    assert said["id"].startswith("f-")
    assert len(said["token"]) == 32
    assert len(json.loads(shown.stdout)["groups"]) == 1
