"""Rollouts among processes: tickers that are killed, and servers that share one set of records."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from tests.gateway.servers import Provider
from tests.gateway.test_gateway_rollouts import SPEC as SERVED
from tests.gateway.test_gateway_rollouts import answering
from tests.ship.releasing import freeze
from tests.ship.shipping_project import Project

from shiftright import spec as specs
from shiftright.core.rollout import Guarded, Plan, Rollout
from shiftright.settings import Settings
from shiftright.ship import rollouts
from shiftright.ship.releasing import release
from shiftright.ship.starting import start
from shiftright.ship.ticking import Ticker
from shiftright.store import open_records
from shiftright.store.rows import ExposureRow

TICKING = """
import sys, time
from shiftright.ship.ticking import Ticker
from shiftright.store import open_records
with open_records(sys.argv[1]) as records:
    ticker = Ticker(records)
    print("ready", flush=True)
    while True:
        ticker.tick()
"""
PLAN = Plan(
    steps=(0.5, 1.0),
    give_up_s=3_600.0,
    unit="user",
    outcome_after_s=0.01,
    checks=(Guarded("answered", 0.02, 0.05, "answered"),),
    shadow=40,
)


def test_tickers_killed_in_every_state_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    project = Project(tmp_path)
    records, draw = project.records, random.Random(3)
    now = time.time()
    rollout = records.rollouts.add(
        Rollout(
            id="", feature="triage", candidate="c", control="", salt="s", plan=PLAN, state="shadow", step=0,
            started_at=now, step_at=now,
        )
    )  # fmt: skip
    numbers = iter(range(1_000_000))

    def traffic() -> None:
        rows = []
        shadow = records.rollouts.get(rollout.id).rollout.state == "shadow"
        for _ in range(20):
            number = next(numbers)
            arms = ("control", "shadow") if shadow else (("canary", "control")[draw.random() < 0.5],)
            rows += [
                ExposureRow(
                    rollout_id=rollout.id, trace_id=f"{arm}{number}", unit=f"u{number}", arm=arm,
                    probability=0.0 if shadow else 0.5, at=time.time(), failed=not shadow and arm == "canary",
                )
                for arm in arms
            ]  # fmt: skip
        records.rollouts.expose(rows)

    seen = []
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", TICKING, project.url], stdout=subprocess.PIPE, env=dict(os.environ)
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        for _ in range(3):
            traffic()
            threading.Event().wait(draw.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        seen.append(records.rollouts.get(rollout.id).rollout.state)
    ticker = Ticker(records)
    until = time.monotonic() + 20
    while records.rollouts.unsettled():
        assert time.monotonic() < until, seen
        traffic()
        ticker.tick()
    log = records.rollouts.outcomes(rollout.id)
    assert [row.position for row in log] == list(range(len(log)))
    assert len({row.unit for row in log}) == len(log)
    assert records.rollouts.get(rollout.id).rollout.state == "back"
    assert [record.kind for record in records.releases.list()] == ["back"]
    assert len(records.incidents.list()) == 1
    records.close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


@contextmanager
def server(folder: Path, home: Path, url: str, provider: Provider) -> Iterator[str]:
    home.mkdir(exist_ok=True)
    environment = {
        "SHIFTRIGHT_HOME": str(home),
        "SHIFTRIGHT_RECORDS_URL": url,
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": provider.url,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "shiftright", "serve", "--json", "--port", "0"], cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | environment,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.endswith("}\n"), line + process.stdout.read()
        yield json.loads(line)["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()


def said(url: str, model: str = "triage") -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "user": "ann"}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=10)
    return str(answer.json()["choices"][0]["message"]["content"])


def seen_by_all(urls: list[str], wanted: str) -> float:
    """Seconds until every server answers so."""
    began = time.monotonic()
    while any(said(url) != wanted for url in urls):
        assert time.monotonic() - began < 10
        threading.Event().wait(0.02)
    return time.monotonic() - began


def test_every_server_follows_within_two_seconds(tmp_path: Path, provider: Provider) -> None:
    (tmp_path / ".shiftright").mkdir()
    text = SERVED.replace("steps: [50%, 100%]", "steps: [100%]").replace("SHIP", "outcome_after: 1 s")
    (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "cases.jsonl").write_text('{"input": "a"}\n', encoding="utf-8")
    provider.plays = [answering()]
    url = f"sqlite:///{tmp_path / '.shiftright' / 'records.db'}"
    with open_records(url) as records, ExitStack() as stack:
        urls = [stack.enter_context(server(tmp_path, tmp_path / f"home{k}", url, provider)) for k in range(2)]
        assert {said(each) for each in urls} == {"ok old"}
        spec = specs.load(tmp_path / "spec.yaml")
        rollouts.begin(spec, freeze(spec, "new", records), records)
        assert seen_by_all(urls, "ok new") < 2.0
        rollouts.back("triage", records, by="Ada")
        assert seen_by_all(urls, "ok old") < 2.0
        until = time.monotonic() + 10
        while records.rollouts.unsettled():  # a server's tick writes the rest
            assert time.monotonic() < until
            threading.Event().wait(0.05)
        assert [record.kind for record in records.releases.list()][-1] == "back"
        assert records.incidents.list()[0].title == "taken back by a person"


LIVE = """\
feature: triage
cases: cases.jsonl
variants:
  old: {model: "openai:old"}
  good: {model: "openai:good"}
  bad: {model: "openai:bad"}
baseline: old
checks:
  json: {score: regex, pattern: "^ok", at_least: 50%}
ship: {steps: [50%, 100%], back_if_drop: 50 points, outcome_after: 1 s}
"""


@pytest.mark.parametrize(("canary", "end"), [("bad", "back"), ("good", "promoted")])
def test_a_bad_canary_goes_back_and_a_good_one_is_promoted_by_the_server(
    tmp_path: Path, provider: Provider, canary: str, end: str
) -> None:
    (tmp_path / "spec.yaml").write_text(LIVE, encoding="utf-8")
    (tmp_path / "cases.jsonl").write_text('{"input": "a"}\n', encoding="utf-8")
    provider.plays = [answering(bad="no")]
    (tmp_path / ".shiftright").mkdir()
    settings = Settings.load(tmp_path, env={})
    with (
        open_records(settings.records_url) as records,
        server(tmp_path, settings.home, settings.records_url, provider) as url,
        httpx.Client(timeout=10) as client,
    ):
        released = release(settings, records, "triage", canary)
        _, rollout = start(settings, records, "triage", canary, override="a test", by="Ada")
        assert rollout is not None
        assert rollout.candidate == released.record.digest
        until = time.monotonic() + 60
        while records.rollouts.unsettled():
            assert time.monotonic() < until, records.rollouts.list()
            body = {"model": "triage", "messages": [{"role": "user", "content": "hello"}]}
            for _ in range(10):
                user = {"x-user-id": os.urandom(8).hex()}
                assert client.post(f"{url}/v1/chat/completions", json=body, headers=user).status_code == 200
        ended = records.rollouts.get(rollout.id).rollout
        assert (ended.state, records.releases.stable("triage") is None) == (end, end == "back")
        wanted = "ok good" if end == "promoted" else "ok old"
        assert seen_by_all([url], wanted) < 2.0
        reviews = records.reviews.list(kind="violation").data
        assert bool(reviews) == (end == "back")
        for review in reviews:
            assert (review.subject["input"], review.subject["output"]) == ("hello", "no")
