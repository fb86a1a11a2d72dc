"""The official clients, in front of providers, models and features."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from tests.gateway.servers import Provider, Site, chunks, whole

from shiftright.store.spend import month_of

SPEC = """\
feature: shout
run: shout:{function}
cases: cases.jsonl
variants: {{loud: {{}}, quiet: {{run: "shout:whisper"}}}}
baseline: loud
checks: {{same: {{score: exact, at_least: 50%}}}}
"""
CODE = """\
from pydantic import BaseModel
class Out(BaseModel):
    text: str
def shout(text: str) -> Out:
    if text == "fail":
        raise ValueError("no")
    return Out(text=text.upper())
def whisper(text: str) -> str:
    return text.lower()
"""


def project(root: Path) -> None:
    (root / "spec.yaml").write_text(SPEC.format(function="shout"), encoding="utf-8")
    (root / "shout.py").write_text(CODE, encoding="utf-8")
    (root / "cases.jsonl").write_text('{"input": "a", "expected": {"text": "A"}}\n', encoding="utf-8")


def openai_answer(**message: Any) -> bytes:
    return json.dumps(
        {
            "id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-5",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "OK"} | message,
                         "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
        }
    ).encode()  # fmt: skip


@pytest.fixture
def served(start: Callable[..., Site]) -> Site:
    return start(prepare=project)


@pytest.fixture
def client(served: Site) -> Any:
    with openai.OpenAI(base_url=served.url + "/v1", api_key="any", max_retries=0) as made:
        yield made


def test_openai_chats_with_a_provider(client: openai.OpenAI, provider: Provider) -> None:
    provider.plays = [whole(openai_answer())]
    got = client.chat.completions.create(model="openai:gpt-5", messages=[{"role": "user", "content": "hi"}])
    assert got.choices[0].message.content == "OK"
    assert got.usage is not None
    assert got.usage.total_tokens == 6


def test_openai_streams_from_a_provider(client: openai.OpenAI, provider: Provider) -> None:
    event = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'  # noqa: E501
    provider.plays = [chunks(event, event, b"data: [DONE]\n\n")]
    stream = client.chat.completions.create(
        model="openai:m", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "aa"


def test_openai_sees_errors_as_its_own(client: openai.OpenAI, provider: Provider) -> None:
    with pytest.raises(openai.NotFoundError, match="no model or feature"):
        client.chat.completions.create(model="nix", messages=[{"role": "user", "content": "hi"}])
    provider.plays = [chunks(b'data: {"id":"c","choices":[]}\n\n', cut=True)]
    with pytest.raises(openai.APIError, match="connection to openai failed"):
        list(
            client.chat.completions.create(
                model="openai:m", messages=[{"role": "user", "content": "hi"}], stream=True
            )
        )


def test_openai_asks_a_feature(client: openai.OpenAI, served: Site) -> None:
    ask: Any = {"messages": [{"role": "user", "content": "Hello"}]}
    got = client.chat.completions.with_raw_response.create(model="shout", **ask)
    assert got.parse().choices[0].message.content == '{"text":"HELLO"}'
    span = served.spans(got.headers["x-trace-id"])[0]
    assert (span.operation, span.feature, span.variant) == ("feature", "shout", "loud")
    assert span.output == '{"text":"HELLO"}'
    assert client.chat.completions.create(model="shout@quiet", **ask).choices[0].message.content == "hello"
    stream = client.chat.completions.create(model="shout@quiet", stream=True, **ask)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "hello"
    assert [model.id for model in client.models.list()] == ["shout", "shout@loud", "shout@quiet"]


def test_files_of_a_feature_edited_alone_are_followed(served: Site) -> None:
    def said() -> str:
        return str(httpx.post(served.url + "/v1/features/shout?variant=quiet", json="Hello").json()["output"])

    assert said() == "hello"
    code = served.root / "shout.py"
    code.write_text(CODE.replace("text.lower()", "text.lower() + '.'"), encoding="utf-8")
    until = time.monotonic() + 8
    while said() != "hello." and time.monotonic() < until:
        time.sleep(0.05)
    assert said() == "hello."
    code.write_text("this is no code", encoding="utf-8")
    time.sleep(0.3)
    assert said() == "hello.", "what cannot be loaded does not take the place of what can"


def test_a_feature_is_called_with_its_own_input(served: Site) -> None:
    got = httpx.post(served.url + "/v1/features/shout", json="Hello")
    assert got.json() == {
        "output": {"text": "HELLO"}, "trace_id": got.headers["x-trace-id"], "variant": "loud", "cost_usd": 0.0
    }  # fmt: skip
    quiet = httpx.post(served.url + "/v1/features/shout?variant=quiet", json="Hello")
    assert quiet.json()["output"] == "hello"
    schema = httpx.get(served.url + "/v1/features/shout").json()
    assert schema["input"] == {"type": "string"}
    assert schema["output"]["properties"]["text"]["type"] == "string"
    failed = httpx.post(served.url + "/v1/features/shout", json="fail")
    assert failed.status_code == 500
    assert "shout.py" not in failed.text
    assert "ValueError: no" in (served.spans(failed.headers["x-trace-id"])[0].error or "")
    unknown = httpx.post(served.url + "/v1/features/nix", json="x")
    assert unknown.status_code == 404
    span = served.spans(unknown.headers["x-trace-id"])[0]
    assert (span.feature, span.name) == ("", "feature")
    assert "'nix'" in (span.error or "")
    assert served.telemetry.values("feature") == ("shout",)
    served.run(served.access.exchange())
    spent = served.records.spend.month(month_of(time.time()))
    assert [scope for scope in spent if scope.startswith("feature:")] == ["feature:shout"]


def test_a_variant_that_is_a_model_passes_the_callers_messages(
    start: Callable[..., Site], provider: Provider
) -> None:
    def prepare(root: Path) -> None:
        project(root)
        text = SPEC.format(function="shout").replace("run: shout:shout\n", "")
        text = text.replace(
            '{loud: {}, quiet: {run: "shout:whisper"}}', '{loud: {model: "openai:gpt-5", temperature: 0}}'
        )
        (root / "spec.yaml").write_text(text, encoding="utf-8")

    provider.plays = [whole(openai_answer())]
    site = start(prepare=prepare)
    got = httpx.post(
        site.url + "/v1/chat/completions",
        content=b'{"messages":[{"role":"user"}],"model":"shout","odd":1.50}',
    )
    assert (
        provider.received[0].body
        == b'{"temperature":0.0,"messages":[{"role":"user"}],"model":"gpt-5","odd":1.50}'
    )
    span = site.spans(got.headers["x-trace-id"])[0]
    assert (span.operation, span.feature, span.variant, span.model) == ("chat", "shout", "loud", "gpt-5")


def test_anthropic_talks_to_its_provider(served: Site, provider: Provider) -> None:
    body = {
        "id": "m1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "end_turn",
        "stop_sequence": None, "content": [{"type": "text", "text": "OK"}],
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 3},
    }  # fmt: skip
    provider.plays = [whole(json.dumps(body).encode())]
    with anthropic.Anthropic(base_url=served.url, api_key="any", max_retries=0) as client:
        got = client.messages.with_raw_response.create(
            model="anthropic:claude-sonnet-4-5", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        )
    assert got.parse().content[0].text == "OK"  # type: ignore[union-attr]
    assert provider.received[0].headers["x-api-key"] == "sk-ant"
    assert provider.received[0].path == "/v1/messages"
    span = served.spans(got.headers["x-trace-id"])[0]
    assert (span.input_tokens, span.cached_tokens, span.output_tokens) == (100, 90, 3)


def test_anthropic_reaches_an_openai_provider_with_tools(
    start: Callable[..., Site], provider: Provider
) -> None:
    site = start("providers: {vllm: {base_url: 'URL'}}")
    call = {"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    provider.plays = [whole(openai_answer(content=None, tool_calls=[call]))]
    tool: Any = {
        "name": "look",
        "input_schema": {"type": "object", "properties": {"at": {"type": "integer"}}},
    }
    with anthropic.Anthropic(base_url=site.url, api_key="any", max_retries=0) as client:
        got = client.messages.create(
            model="vllm:qwen", max_tokens=9, tools=[tool], messages=[{"role": "user", "content": "hi"}]
        )
        assert (got.stop_reason, got.content[0].input) == ("tool_use", {"at": 1})  # type: ignore[union-attr]
        with client.messages.stream(
            model="vllm:qwen", max_tokens=9, tools=[tool], messages=[{"role": "user", "content": "hi"}]
        ) as stream:
            assert stream.get_final_message().content[0].input == {"at": 1}  # type: ignore[union-attr]
    sent = json.loads(provider.received[0].body)
    assert sent["tools"][0]["function"]["name"] == "look"


def test_a_translated_answer_has_its_list_price(served: Site, provider: Provider) -> None:
    provider.plays = [whole(openai_answer())]
    ask = {"model": "openai:gpt-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    got = httpx.post(served.url + "/v1/messages", json=ask, timeout=10)
    (span,) = served.spans(got.headers["x-trace-id"])
    assert (span.model, span.input_tokens, span.output_tokens) == ("gpt-5", 5, 1)
    assert span.cost_usd == pytest.approx((5 * 1.25 + 1 * 10) / 1e6)


SCRIPT = """\
import OpenAI from 'openai';
const client = new OpenAI({baseURL: process.env.URL, apiKey: 'any', maxRetries: 0});
const messages = [{role: 'user', content: 'Hello'}];
const one = await client.chat.completions.create({model: 'shout@quiet', messages});
let words = '';
for await (const part of await client.chat.completions.create({model: 'shout@quiet', messages, stream: true}))
  words += part.choices[0]?.delta?.content ?? '';
let status = 0;
try { await client.chat.completions.create({model: 'nix', messages}); } catch (error) { status = error.status; }
console.log(JSON.stringify([one.choices[0].message.content, words, status]));
"""


def test_openai_in_node(served: Site, tmp_path: Path) -> None:
    packages = os.environ.get("SHIFTRIGHT_TEST_NODE_MODULES")
    if shutil.which("node") is None or not packages:
        pytest.skip("needs node, and SHIFTRIGHT_TEST_NODE_MODULES: a node_modules with the package openai")
    (tmp_path / "node_modules").symlink_to(packages)
    (tmp_path / "chat.mjs").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        ["node", "chat.mjs"], cwd=tmp_path, env=os.environ | {"URL": served.url + "/v1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["hello", "hello", 404]
