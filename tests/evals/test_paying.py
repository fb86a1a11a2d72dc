"""What is paid for, counted where it is paid: at an OpenAI-compatible server on loopback, with the real client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from projects import Project

SPEC = """\
feature: echo
run: echo:echo
baseline: old
variants:
  old: {model: "URL/v1#tiny", first: first.md, second: second.md, PAID}
  new: {model: "URL/v1#tiny", first: first.md, second: changed.md, PAID}
cases: cases.jsonl
checks:
  right: {score: exact, max_drop: 20 points}
"""
PAID = "api_key_env: TEST_KEY, price: {input: 1 USD/M, output: 2 USD/M}"
CODE = """\
from shiftright import Context

async def echo(text: str, ctx: Context) -> str:
    short = await ctx.generate(ctx.variant["first"], text=text)
    return await ctx.generate(ctx.variant["second"], text=short)
"""


class Provider(ThreadingHTTPServer):
    """Answers with the last word of the prompt, in OpenAI's shape, and writes down what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.prompts: list[str] = []
        super().__init__(("127.0.0.1", 0), Answering)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answering(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        self.server.prompts.append(prompt)
        answer = {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "tiny",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": prompt.split()[-1]},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
        }
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words: object) -> None:
        """Silent."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def project(tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("TEST_KEY", "k")
    for name, text in {
        "first.md": "Shorten {{ text }}",
        "second.md": "Repeat {{ text }}",
        "changed.md": "Say {{ text }}",
    }.items():
        (tmp_path / name).write_text(text)
    project = Project(
        tmp_path, spec=SPEC.replace("URL", provider.url).replace("PAID", PAID), code=CODE, cases=0
    )
    project.write_cases([{"id": f"c{i}", "input": f"word{i}", "expected": f"word{i}"} for i in range(60)])
    return project


def test_a_changed_prompt_pays_again_only_for_the_calls_that_changed(
    project: Project, provider: Provider
) -> None:
    run = project.evaluate("new")
    assert run.verdict.verdict == "pass"
    shortened = [prompt for prompt in provider.prompts if prompt.startswith("Shorten")]
    assert (
        len(shortened) == len(set(shortened)) == run.calls.made
    )  # the first step is shared by both variants
    assert len(provider.prompts) == 3 * run.calls.made
    (project.folder / "changed.md").write_text("Speak {{ text }}")
    before = len(provider.prompts)
    again = project.evaluate("new")
    new = provider.prompts[before:]
    assert not again.stored
    assert sum(prompt.startswith("Speak") for prompt in new) == again.calls.made
    assert (
        sum(prompt.startswith("Shorten") for prompt in new) <= again.calls.baseline_made
    )  # re-checked baseline only


def test_the_cost_is_what_the_answers_cost(project: Project, provider: Provider) -> None:
    run = project.evaluate("new")
    assert run.cost_usd == pytest.approx(0.002 * len(provider.prompts))


def test_a_cap_on_money_stops_before_it_is_passed(project: Project, provider: Provider) -> None:
    run = project.evaluate("new", max_cost_usd=0.05, concurrency=1)
    assert run.verdict.verdict == "inconclusive"
    assert "cap of 0.05 USD" in run.verdict.reasons[0]
    assert 0.002 * len(provider.prompts) <= 0.05
    rest = project.evaluate("new")
    assert rest.verdict.verdict == "pass"
    assert len(provider.prompts) == len(set(provider.prompts))


def test_a_missing_key_is_named_before_anything_is_asked(
    project: Project, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shiftright.errors import CredentialsError

    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(CredentialsError, match="TEST_KEY"):
        project.evaluate("new")
    assert not provider.prompts


def test_the_expected_cost_is_of_the_price_that_is_used(project: Project) -> None:
    from shiftright.evals.expected import expected_cost
    from shiftright.evals.options import Options

    found = expected_cost("echo", project.settings, Options(variant="new"))
    assert found is not None
    assert found.prices == "the contract's price"
    # 60 cases of each side: about 3 tokens at 1 USD/M, and at most 500 at 2 USD/M
    assert found.cost_usd == pytest.approx(120 * 0.001, rel=0.01)
    text = (project.folder / "spec.yaml").read_text()
    free = text.replace("input: 1 USD/M, output: 2 USD/M", "input: 0 USD/M, output: 0 USD/M")
    (project.folder / "spec.yaml").write_text(free)
    assert expected_cost("echo", project.settings, Options(variant="new")) is None
