"""Requests under a rollout: who gets which release, what is recorded of it, and what nobody sees."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.gateway.servers import Play, Provider, Received, Site
from tests.ship.releasing import freeze

from shiftright.core.rollout import Rollout, assign, unit_id
from shiftright.ship import rollouts
from shiftright.store.rows import ExposureRow
from shiftright.tracing import attributes as names

SPEC = """\
feature: triage
cases: cases.jsonl
variants:
  old: {model: "openai:old"}
  new: {model: "openai:new"}
  code: {run: "triage:keywords"}
baseline: old
checks:
  json: {score: regex, pattern: "^ok", at_least: 90%}
ship: {steps: [50%, 100%], back_if_drop: 10 points, SHIP}
"""


def answering(**instead: str) -> Play:
    """Says which model was asked, or what is given for it."""

    async def play(got: Received, reader: object, writer: object) -> None:
        model = json.loads(got.body)["model"]
        content = instead.get(model, f"ok {model}")
        said = {
            "id": "a",
            "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": content}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        body = json.dumps(said).encode()
        head = f"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)  # type: ignore[attr-defined]

    return play


@pytest.fixture
def serving(start: Callable[..., Site], provider: Provider) -> Callable[..., Site]:
    def begin(ship: str = "outcome_after: 1 s") -> Site:
        def prepare(root: Path) -> None:
            (root / "spec.yaml").write_text(SPEC.replace("SHIP", ship), encoding="utf-8")
            (root / "cases.jsonl").write_text('{"input": "a"}\n', encoding="utf-8")
            (root / "triage.py").write_text(
                "def keywords(text: str) -> str:\n    return 'ok code'\n", encoding="utf-8"
            )

        provider.plays = [answering()]
        return start(prepare=prepare)

    return begin


def rolled_out(site: Site, variant: str) -> Rollout:
    spec = site.gateway.router.features["triage"]
    begun = rollouts.begin(spec, freeze(spec, variant, site.records), site.records)
    site.gateway.rollouts.exchange()
    return begun


def ask(site: Site, user: str = "", model: str = "triage", **headers: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    if user:
        body["user"] = user
    return httpx.post(f"{site.url}/v1/chat/completions", json=body, headers=headers)


def said(response: httpx.Response) -> str:
    return str(response.json()["choices"][0]["message"]["content"])


def exposures(site: Site, rollout: Rollout, count: int) -> tuple[ExposureRow, ...]:
    until = time.monotonic() + 10
    while len(found := site.records.rollouts.exposures(rollout.id)) < count:
        assert time.monotonic() < until, found
        site.gateway.rollouts.exchange()
        threading.Event().wait(0.01)
    return found


def test_users_keep_their_arm_and_their_trace_says_it(serving: Callable[..., Site]) -> None:
    site = serving()
    assert said(ask(site, "user-1")) == "ok old"
    rollout = rolled_out(site, "new")
    for user in ("user-1", "user-2", "user-3", "user-4"):
        arm = assign(rollout.salt, user, 0.5)
        for given in ({"user": user}, {"x-user-id": user}):
            answer = ask(site, user) if "user" in given else ask(site, **{"x-user-id": user})
            assert said(answer) == ("ok new" if arm == "canary" else "ok old")
            (span,) = site.spans(answer.headers["x-trace-id"])
            assert span.attributes[names.ROLLOUT] == rollout.id
            assert span.attributes[names.ARM] == arm
            assert span.attributes[names.PROBABILITY] == 0.5
            assert span.attributes[names.UNIT] == unit_id(rollout.salt, user)
            assert span.release == (rollout.candidate if arm == "canary" else "")
            assert span.variant == ("new" if arm == "canary" else "old")
    rows = exposures(site, rollout, 8)
    assert {row.unit for row in rows} == {unit_id(rollout.salt, f"user-{k}") for k in range(1, 5)}
    assert not any(row.failed for row in rows)
    assert all(row.latency_s is not None and row.latency_s < 5 for row in rows)


def test_a_named_variant_is_no_part_of_a_rollout(serving: Callable[..., Site]) -> None:
    site = serving()
    rollout = rolled_out(site, "new")
    for _ in range(4):
        assert said(ask(site, "user-1", "triage@old")) == "ok old"
        assert said(ask(site, "user-1", "triage@new")) == "ok new"
    site.gateway.rollouts.exchange()
    assert not site.records.rollouts.exposures(rollout.id)


def test_called_features_are_rolled_out_too(serving: Callable[..., Site]) -> None:
    site = serving()
    rollout = rolled_out(site, "code")
    canary = next(f"u{k}" for k in range(100) if assign(rollout.salt, f"u{k}", 0.5) == "canary")
    got = httpx.post(f"{site.url}/v1/features/triage", json="hello", headers={"x-user-id": canary})
    assert (got.json()["output"], got.json()["variant"]) == ("ok code", "code")
    assert said(ask(site, canary)) == "ok code"
    assert {row.arm for row in exposures(site, rollout, 2)} == {"canary"}
    named = httpx.post(f"{site.url}/v1/features/triage?variant=code", json="hello")
    assert named.json()["output"] == "ok code"


def test_taken_back_the_next_request_goes_to_the_control(serving: Callable[..., Site]) -> None:
    site = serving()
    rollout = rolled_out(site, "new")
    canary = next(f"u{k}" for k in range(100) if assign(rollout.salt, f"u{k}", 0.5) == "canary")
    assert said(ask(site, canary)) == "ok new"
    assert rollouts.back("triage", site.records, by="Ada", reason="it looks wrong")[1]
    site.gateway.rollouts.exchange()
    assert said(ask(site, canary)) == "ok old"
    _, again = rollouts.back("triage", site.records)
    assert not again


def test_a_promoted_release_serves_whatever_the_contract_says_later(serving: Callable[..., Site]) -> None:
    site = serving()
    spec = site.gateway.router.features["triage"]
    digest = freeze(spec, "new", site.records)
    site.records.releases.append("promote", "triage", digest, {"control": ""})
    path = site.root / "spec.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("openai:new", "openai:newer"), encoding="utf-8")
    until = time.monotonic() + 5
    while said(ask(site)) != "ok new":
        assert time.monotonic() < until
        threading.Event().wait(0.05)
    assert said(ask(site, model="triage@new")) in ("ok new", "ok newer")


def test_other_code_than_the_release_was_frozen_with_serves_nobody(
    serving: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    site = serving()
    spec = site.gateway.router.features["triage"]
    digest = freeze(spec, "code", site.records)
    (site.root / "triage.py").write_text("def keywords(text: str) -> str:\n    return 'ok other'\n")
    rollout = rollouts.begin(spec, digest, site.records)
    site.gateway.rollouts.exchange()
    for k in range(4):
        assert said(ask(site, f"u{k}")) == "ok old"
    assert "was frozen from other code" in caplog.text
    site.gateway.rollouts.exchange()
    assert not site.records.rollouts.exposures(rollout.id)


def test_code_edited_under_a_running_server_is_not_served_as_the_release(
    serving: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    site = serving()
    spec = site.gateway.router.features["triage"]
    digest = freeze(spec, "code", site.records)
    site.records.releases.append("promote", "triage", digest, {"rollout": "o", "before": ""})
    site.gateway.rollouts.exchange()
    assert said(ask(site)) == "ok code"
    code = (site.root / "triage.py").read_text()
    for text, wanted in ((code.replace("ok code", "ok other"), "ok old"), (code, "ok code")):
        (site.root / "triage.py").write_text(text)
        until = time.monotonic() + 10
        while said(ask(site)) != wanted:
            assert time.monotonic() < until
            threading.Event().wait(0.1)
    assert "was frozen from other code" in caplog.text


def test_in_the_shadow_requests_are_copied_and_answers_are_not(
    serving: Callable[..., Site], provider: Provider
) -> None:
    site = serving("outcome_after: 1 s, shadow: 3")
    rollout = rolled_out(site, "new")
    assert rollout.state == "shadow"
    for k in range(5):
        assert said(ask(site, f"u{k}")) == "ok old"
        exposures(site, rollout, min(2 * (k + 1), 6))
    rows = exposures(site, rollout, 6)
    assert len(rows) == 6
    assert sorted(row.arm for row in rows) == ["control"] * 3 + ["shadow"] * 3
    copy = next(row for row in rows if row.arm == "shadow")
    (span,) = site.spans(copy.trace_id)
    assert (span.feature, span.variant, span.attributes[names.SHADOW_OF]) == ("", "new", "triage")
    assert copy.unit in {row.trace_id for row in rows if row.arm == "control"}
    assert [json.loads(got.body)["model"] for got in provider.received].count("new") == 3


def test_a_full_queue_drops_and_counts(serving: Callable[..., Site]) -> None:
    site = serving()
    rollout = rolled_out(site, "new")
    (row,) = [
        ExposureRow(rollout_id=rollout.id, trace_id="t", unit="u", arm="canary", probability=0.5, at=0.0)
    ]
    for _ in range(20_010):
        site.gateway.rollouts.add(row)
    assert site.gateway.rollouts.dropped >= 10


def test_a_failed_request_counts_against_the_arm_that_had_it(
    serving: Callable[..., Site], provider: Provider
) -> None:
    site = serving()
    rollout = rolled_out(site, "new")
    works = answering()

    async def refused(got: Received, reader: object, writer: object) -> None:
        if json.loads(got.body)["model"] == "old":
            await works(got, reader, writer)  # type: ignore[arg-type]
        else:
            writer.write(b"HTTP/1.1 400 X\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")  # type: ignore[attr-defined]

    provider.plays = [refused]
    for k in range(8):
        ask(site, f"user-{k}")
    rows = exposures(site, rollout, 8)
    assert {(row.arm, row.failed) for row in rows} == {("canary", True), ("control", False)}
