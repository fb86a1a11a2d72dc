"""The OpenFeature remote evaluation protocol of a running server, asked by hand and by the SDKs of Python and Node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from opentelemetry.sdk.trace import TracerProvider
from tests.gateway import flagging
from tests.gateway.servers import Site

from shiftright.core.rollout import Rollout, unit_id
from shiftright.monitor.watching import Monitor
from shiftright.openfeature import SpanHook
from shiftright.settings import Settings
from shiftright.ship.following import Clock
from shiftright.ship.ticking import Ticker
from shiftright.store.keys import Limits
from shiftright.store.rows import ExposureRow
from shiftright.tracing import attributes as names

ALL = "/ofrep/v1/evaluate/flags"


@pytest.fixture
def site(start: Callable[..., Site]) -> Site:
    return start(prepare=flagging.project)


@pytest.fixture
def rollout(site: Site) -> Rollout:
    return begun(site)


def begun(site: Site) -> Rollout:
    found = flagging.begin(site.gateway.router.features["triage"], site.records)
    site.gateway.rollouts.exchange()
    return found


def ask(site: Site, key: str = "", unit: str | None = "u1", **headers: str) -> httpx.Response:
    body = {"context": {"plan": "gold"} | ({} if unit is None else {"targetingKey": unit})}
    return httpx.post(site.url + ALL + (f"/{key}" if key else ""), json=body, headers=headers)


def exposures(site: Site, rollout: Rollout, count: int) -> tuple[ExposureRow, ...]:
    until = time.monotonic() + 10
    while len(found := site.records.rollouts.exposures(rollout.id)) < count:
        assert time.monotonic() < until, found
        site.gateway.rollouts.exchange()
        threading.Event().wait(0.01)
    return found


def test_without_a_release_a_flag_is_the_baseline(site: Site) -> None:
    flag = ask(site, "triage").json()
    assert flag == {
        "key": "triage",
        "value": "keywords",
        "reason": "DEFAULT",
        "variant": "keywords",
        "metadata": {
            "gen_ai.operation.name": "feature",
            "shiftright.feature": "triage",
            "shiftright.variant": "keywords",
        },
    }
    whole = ask(site, "triage:release").json()["value"]
    settings = {"words": ["refund", "broken"], "how": {"deep": 1}}
    assert whole == {"variant": "keywords", "release": "", "settings": settings}


def test_a_canary_splits_users_as_the_gateway_does(site: Site, rollout: Rollout) -> None:
    for arm, variant in (("canary", "retrieved"), ("control", "keywords")):
        user = flagging.one_of(rollout, arm)
        flag = ask(site, "triage", user).json()
        assert (flag["value"], flag["variant"], flag["reason"]) == (variant, variant, "SPLIT")
        said = flag["metadata"]
        assert said[names.ROLLOUT] == rollout.id
        assert (said[names.ARM], said[names.PROBABILITY]) == (arm, 0.5)
        assert said[names.UNIT] == unit_id(rollout.salt, user)
        assert said.get(names.RELEASE) == (rollout.candidate if arm == "canary" else None)
        called = httpx.post(
            f"{site.url}/v1/features/triage", json="hello", headers={"x-user-id": user}, timeout=20
        )
        assert called.json()["variant"] == variant
    whole = ask(site, "triage:release", flagging.one_of(rollout, "canary")).json()
    assert whole["value"]["release"] == rollout.candidate
    assert whole["value"]["settings"] == {"words": ["refund"], "top_k": 4}


def test_what_was_promoted_is_static(site: Site, rollout: Rollout) -> None:
    promoted = msgspec.structs.replace(rollout, state="promoted", ended_at=time.time())
    assert site.records.rollouts.change(rollout, promoted)
    site.gateway.rollouts.exchange()
    flag = ask(site, "triage").json()
    assert (flag["value"], flag["reason"]) == ("retrieved", "STATIC")
    assert flag["metadata"][names.RELEASE] == rollout.candidate
    assert names.ROLLOUT not in flag["metadata"]


@pytest.mark.parametrize(
    ("key", "body", "status", "code"),
    [
        ("triage", b"{}", 400, "TARGETING_KEY_MISSING"),
        ("triage", b"", 400, "TARGETING_KEY_MISSING"),
        ("triage", b'{"context": {"targetingKey": ""}}', 400, "TARGETING_KEY_MISSING"),
        ("triage", b'{"context": {"targetingKey": 7}}', 400, "INVALID_CONTEXT"),
        ("triage", b'{"context": ["u1"]}', 400, "INVALID_CONTEXT"),
        ("triage", b"{", 400, "PARSE_ERROR"),
        pytest.param(
            "triage",
            b'{"context": {"deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
            400,
            "PARSE_ERROR",
            id="deep",
        ),
        ("triage", b'{"context": {"targetingKey": "\xff"}}', 400, "PARSE_ERROR"),
        ("triage@retrieved", b'{"context": {"targetingKey": "u1"}}', 404, "FLAG_NOT_FOUND"),
        ("openai%3Agpt-5", b'{"context": {"targetingKey": "u1"}}', 404, "FLAG_NOT_FOUND"),
    ],
)
def test_errors_are_the_protocols(site: Site, key: str, body: bytes, status: int, code: str) -> None:
    got = httpx.post(f"{site.url}{ALL}/{key}", content=body)
    assert (got.status_code, got.headers["content-type"]) == (status, "application/json")
    said = got.json()
    assert (said["key"], said["errorCode"]) == (key.replace("%3A", ":"), code)
    assert said["errorDetails"]
    if status == 400:
        assert httpx.post(site.url + ALL, content=body).json()["errorCode"] == code


def test_other_paths_and_methods_are_refused(site: Site) -> None:
    assert httpx.get(f"{site.url}{ALL}/triage").status_code == 405
    assert httpx.get(f"{site.url}/ofrep/v1/configuration").json()["errorCode"] == "GENERAL"


def test_all_flags_are_sent_again_only_when_they_changed(site: Site) -> None:
    first = ask(site)
    assert [flag["key"] for flag in first.json()["flags"]] == ["triage", "triage:release"]
    tag = first.headers["etag"]
    for given in (tag, f'"other", W/{tag}'):
        same = ask(site, **{"if-none-match": given})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    rollout = begun(site)
    changed = ask(site, unit=flagging.one_of(rollout, "canary"), **{"if-none-match": tag})
    assert changed.status_code == 200
    assert {flag["variant"] for flag in changed.json()["flags"]} == {"retrieved"}


def test_keys_are_asked_for_and_bound_what_is_seen(start: Callable[..., Site]) -> None:
    site = start(prepare=flagging.project, key="sesame")
    none = ask(site, "triage")
    assert (none.status_code, none.json()["errorCode"]) == (401, "GENERAL")
    _, other = site.records.keys.create("other", Limits(features=("another",)))
    _, slow = site.records.keys.create("slow", Limits(requests_per_minute=1))
    site.run(site.access.exchange())
    assert ask(site, "triage", authorization="Bearer sesame").status_code == 200
    refused = ask(site, "triage", **{"x-api-key": other})
    assert (refused.status_code, refused.json()["errorCode"]) == (403, "GENERAL")
    assert ask(site, **{"x-api-key": other}).json() == {"flags": []}
    assert ask(site, "triage", **{"x-api-key": slow}).status_code == 200
    late = ask(site, "triage", **{"x-api-key": slow})
    assert (late.status_code, 1 <= int(late.headers["retry-after"]) <= 60) == (429, True)


def test_a_page_elsewhere_cannot_ask_a_server_without_keys(site: Site) -> None:
    assert ask(site, "triage", origin="https://elsewhere.example").status_code == 403


def test_an_evaluation_counts_with_the_span_that_says_it(site: Site, rollout: Rollout) -> None:
    sent = {}
    for arm in ("canary", "control"):
        said = ask(site, "triage", flagging.one_of(rollout, arm)).json()["metadata"]
        sent[arm] = flagging.send_span(site.url, said, failed=arm == "control")
    rows = exposures(site, rollout, 2)
    assert {row.arm: row.trace_id for row in rows} == sent
    assert {row.arm: row.failed for row in rows} == {"canary": False, "control": True}
    assert all(row.latency_s == pytest.approx(0.5) and row.probability == 0.5 for row in rows)
    (kept,) = site.spans(sent["canary"])
    assert (kept.operation, kept.feature, kept.variant) == ("feature", "triage", "retrieved")
    assert kept.release == rollout.candidate

    steady = iter((0.0, 2.0, 4.0, 6.0))
    ticker = Ticker(site.records, clock=Clock(wall=time.time, steady=lambda: next(steady)))
    ticker.tick()
    ticker.tick()
    assert not ticker.failures
    closed = site.records.rollouts.outcomes(rollout.id)
    # nobody saw what the canary's span answered; the control's failed on every check
    assert {each.canary: each.scores for each in closed} == {
        True: {"quick": 1.0, "polite": None},
        False: {"quick": 0.0, "polite": 0.0},
    }


def test_a_canary_that_answers_worse_elsewhere_is_taken_back(site: Site, rollout: Rollout) -> None:
    monitor = Monitor(Settings.load(site.root), site.records, site.telemetry)
    monitor.start()
    site.intake.listen(monitor.listen)
    try:
        for number in range(60):
            flag = ask(site, "triage", f"user-{number}").json()
            said = "please wait" if flag["value"] == "keywords" else "wait"
            flagging.send_span(site.url, flag["metadata"] | {"input.value": "hi", "output.value": said})
        exposures(site, rollout, 60)
        until = time.monotonic() + 10
        while monitor.scored < 60 and time.monotonic() < until:
            threading.Event().wait(0.02)
    finally:
        monitor.close()
    steady = iter((0.0, 2.0, 4.0))
    ticker = Ticker(site.records, site.telemetry.trace, Clock(time.time, lambda: next(steady)))
    assert ticker.tick() or ticker.tick()
    ended = site.records.rollouts.get(rollout.id).rollout
    assert (ended.state, ended.reason.startswith("polite is worse")) == ("back", True)
    site.gateway.rollouts.exchange()
    assert ask(site, "triage", flagging.one_of(rollout, "canary")).json()["value"] == "keywords"


def test_an_evaluation_alone_counts_for_nothing_and_lies_are_left_out(site: Site, rollout: Rollout) -> None:
    said = ask(site, "triage", flagging.one_of(rollout, "canary")).json()["metadata"]
    for wrong in (
        {names.PROBABILITY: 0.4},
        {names.PROBABILITY: 1.0},
        {names.ARM: "shadow"},
        {names.UNIT: "ada@example.com"},
        {names.ROLLOUT: "o-other"},
        {names.FEATURE: "another"},
    ):
        flagging.send_span(site.url, said | wrong)
    true = flagging.send_span(site.url, said)
    assert [row.trace_id for row in exposures(site, rollout, 1)] == [true]


@pytest.fixture
def sdk(site: Site) -> Iterator[Any]:
    api.set_provider_and_wait(OFREPProvider(site.url))
    yield api.get_client()
    api.shutdown()


def test_the_python_sdk_asks_over_http(sdk: Any, site: Site, rollout: Rollout) -> None:
    user = EvaluationContext(flagging.one_of(rollout, "canary"), {"plan": "gold"})
    api.add_hooks([SpanHook()])
    with TracerProvider().get_tracer("shop").start_as_current_span("triage") as span:
        details = sdk.get_string_details("triage", "mine", user)
    assert dict(span.attributes) == details.flag_metadata  # type: ignore[attr-defined]
    assert (details.value, details.variant, details.reason) == ("retrieved", "retrieved", Reason.SPLIT)
    assert details.flag_metadata[names.RELEASE] == rollout.candidate
    assert sdk.get_object_value("triage:release", {}, user)["settings"]["top_k"] == 4
    missing = sdk.get_string_details("triage", "mine")
    assert (missing.value, missing.error_code) == ("mine", ErrorCode.TARGETING_KEY_MISSING)
    assert sdk.get_string_details("nix", "mine", user).error_code == ErrorCode.FLAG_NOT_FOUND
    assert sdk.get_boolean_details("triage", True, user).error_code == ErrorCode.TYPE_MISMATCH


SCRIPT = """\
import { ErrorCode, OpenFeature } from '@openfeature/server-sdk';
import { OFREPProvider } from '@openfeature/ofrep-provider';
const headers = [['authorization', 'Bearer sesame']];
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: process.env.URL, headers }));
const told = [];
OpenFeature.addHooks({ after: (_, flag) => told.push(flag.flagMetadata) });
const client = OpenFeature.getClient();
const user = { targetingKey: process.env.USER_ID, plan: 'gold' };
const one = await client.getStringDetails('triage', 'mine', user);
const whole = await client.getObjectValue('triage:release', {}, user);
const missing = await client.getStringDetails('triage', 'mine', {});
const unknown = await client.getStringDetails('nix', 'mine', user);
const typed = await client.getBooleanDetails('triage', true, user);
console.log(JSON.stringify([
  one.value, one.reason, told[0], whole.settings, missing.value, missing.errorCode, unknown.errorCode,
  typed.errorCode,
]));
"""


def test_the_node_sdk_asks_over_http(start: Callable[..., Site], tmp_path: Path) -> None:
    packages = os.environ.get("SHIFTRIGHT_TEST_NODE_MODULES")
    if shutil.which("node") is None or not packages or not (Path(packages) / "@openfeature").exists():
        pytest.skip(
            "needs node, and SHIFTRIGHT_TEST_NODE_MODULES: a node_modules with @openfeature/server-sdk and "
            "@openfeature/ofrep-provider"
        )
    site = start(prepare=flagging.project, key="sesame")
    rollout = begun(site)
    (tmp_path / "node_modules").symlink_to(packages)
    (tmp_path / "flags.mjs").write_text(SCRIPT, encoding="utf-8")
    user = flagging.one_of(rollout, "canary")
    done = subprocess.run(
        ["node", "flags.mjs"], cwd=tmp_path, env=os.environ | {"URL": site.url, "USER_ID": user},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    value, reason, said, settings, *errors = json.loads(done.stdout)
    assert (value, reason, settings) == ("retrieved", "SPLIT", {"words": ["refund"], "top_k": 4})
    assert said[names.UNIT] == unit_id(rollout.salt, user)
    assert errors == ["mine", "TARGETING_KEY_MISSING", "FLAG_NOT_FOUND", "TYPE_MISMATCH"]
