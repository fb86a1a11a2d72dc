"""Chats whose provider speaks another protocol than their caller."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.gateway.servers import Provider, Site, whole
from tests.gateway.test_faults import hang

OPENAI = json.dumps(
    {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-5",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "OK"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
    }
).encode()  # fmt: skip
ANTHROPIC = json.dumps(
    {
        "id": "m1", "type": "message", "role": "assistant", "model": "claude-opus-4-8", "stop_reason": "end_turn",
        "stop_sequence": None, "content": [{"type": "text", "text": "OK"}],
        "usage": {"input_tokens": 10, "output_tokens": 3},
    }
).encode()  # fmt: skip
CONFIG = """\
providers:
  anthropic: {base_url: 'ROOT', api_key_env: OPENAI_API_KEY}
  hasty: {base_url: 'ROOT', dialect: anthropic, timeout: 0.3 s}
  own: {base_url: 'ROOT', api_key_env: OPENAI_API_KEY, dialect: anthropic}
  vllm: {base_url: 'URL', api_key_env: ANTHROPIC_API_KEY}
  vllm-hasty: {base_url: 'URL', timeout: 0.3 s}
  open: {base_url: 'URL'}
"""


@pytest.fixture
def site(start: Callable[..., Site], provider: Provider) -> Site:
    return start(CONFIG.replace("ROOT", provider.url.removesuffix("/v1")))


def chat(site: Site, model: str, **more: Any) -> httpx.Response:
    """From the protocol that the model's provider does not speak."""
    path = "/v1/messages" if model.startswith(("vllm", "open")) else "/v1/chat/completions"
    ask = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]} | more
    return httpx.post(site.url + path, json=ask, timeout=30)


@pytest.mark.parametrize("model", ["anthropic:claude-opus-4-8", "own:claude-opus-4-8"])
def test_an_anthropic_provider_is_asked_where_and_as_configured(
    site: Site, provider: Provider, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-the-environment")
    provider.plays = [whole(ANTHROPIC)]
    got = chat(site, model)
    assert got.json()["choices"][0]["message"]["content"] == "OK"
    (asked,) = provider.received
    assert asked.path == "/v1/messages"
    assert "sk-openai" in (
        asked.headers.get("x-api-key"),
        asked.headers["authorization"].removeprefix("Bearer "),
    )
    span = site.spans(got.headers["x-trace-id"])[0]
    assert (span.provider, span.input_tokens, span.output_tokens) == (model.partition(":")[0], 10, 3)


@pytest.mark.parametrize(("model", "key"), [("vllm:qwen", "sk-ant"), ("open:qwen", "none")])
def test_an_openai_provider_gets_its_own_key(
    site: Site, provider: Provider, monkeypatch: pytest.MonkeyPatch, model: str, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    provider.plays = [whole(OPENAI)]
    assert chat(site, model).status_code == 200
    assert provider.received[0].headers["authorization"] == f"Bearer {key}"


@pytest.mark.parametrize("model", ["vllm-hasty:qwen", "hasty:claude-opus-4-8"])
def test_a_providers_timeout_holds(site: Site, provider: Provider, model: str) -> None:
    provider.plays = [hang()]
    began = time.monotonic()
    got = chat(site, model)
    assert got.status_code == 504
    assert time.monotonic() - began < 10
    assert len(provider.received) <= 1


def test_the_circuit_counts_what_is_translated(site: Site, provider: Provider) -> None:
    provider.plays = [whole(b"{}", 503, extra="retry-after-ms: 1\r\n")]
    codes = [chat(site, "vllm:qwen").json()["error"]["message"] for _ in range(6)]
    assert "left alone" in codes[5]
    assert not any("left alone" in code for code in codes[:5])
    passed = httpx.post(
        site.url + "/v1/chat/completions", json={"model": "vllm:qwen", "messages": []}, timeout=10
    )
    assert passed.json()["error"]["code"] == "provider_down"


def test_a_request_that_is_wrong_does_not_open_the_circuit(site: Site, provider: Provider) -> None:
    provider.plays = [*[whole(b'{"error":{"message":"no"}}', 400)] * 6, whole(OPENAI)]
    assert [chat(site, "vllm:qwen").status_code for _ in range(7)] == [400] * 6 + [200]


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "strict": True}}
OTHER = {"type": "function", "function": {"name": "listen", "parameters": {"type": "object"}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "look"}}, {"type": "tool", "name": "look"}),
    ],
)
def test_the_choice_of_a_tool_is_carried_over(
    site: Site, provider: Provider, choice: Any, sent: dict[str, str]
) -> None:
    provider.plays = [whole(ANTHROPIC)]
    assert chat(site, "own:claude-opus-4-8", tools=[TOOL, OTHER], tool_choice=choice).status_code == 200
    asked = json.loads(provider.received[0].body)["tool_choice"]
    assert {key: asked[key] for key in sent} == sent


def test_the_choice_of_a_tool_is_carried_back(site: Site, provider: Provider) -> None:
    provider.plays = [whole(OPENAI)]
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("look", "listen")]
    choice = {"type": "tool", "name": "look", "disable_parallel_tool_use": True}
    assert chat(site, "vllm:gpt-5", tools=tools, tool_choice=choice).status_code == 200
    asked = json.loads(provider.received[0].body)
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert asked["parallel_tool_calls"] is False


def test_the_shape_of_an_answer_is_carried_over(site: Site, provider: Provider) -> None:
    provider.plays = [whole(ANTHROPIC)]
    shape = {"type": "json_schema", "json_schema": {"name": "out", "schema": SCHEMA, "strict": True}}
    assert chat(site, "own:claude-opus-4-8", response_format=shape).status_code == 200
    asked = json.loads(provider.received[0].body)
    assert asked["output_config"]["format"]["schema"]["properties"] == SCHEMA["properties"]
    assert chat(site, "own:claude-opus-4-8", response_format={"type": "json_object"}).status_code == 200
    assert "JSON" in json.dumps(json.loads(provider.received[1].body)["system"])
    assert chat(site, "own:claude-opus-4-8", response_format={"type": "text"}, n=1, logprobs=False).is_success


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("own:claude-opus-4-8", {"n": 2}),
        ("own:claude-opus-4-8", {"logprobs": True}),
        ("own:claude-opus-4-8", {"logit_bias": {"1": 5}}),
        ("own:claude-opus-4-8", {"web_search_options": {}}),
        ("own:claude-opus-4-8", {"response_format": {"type": "json_schema"}}),
        ("own:claude-opus-4-8", {"response_format": "json"}),
        ("own:claude-opus-4-8", {"tool_choice": {"type": "allowed_tools"}}),
        ("vllm:qwen", {"top_k": 5}),
        ("vllm:qwen", {"mcp_servers": [{"name": "x"}]}),
        ("vllm:qwen", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ],
)
def test_what_would_be_lost_is_refused(
    site: Site, provider: Provider, model: str, more: dict[str, Any]
) -> None:
    provider.plays = [whole(ANTHROPIC if model.startswith("own") else OPENAI)]
    got = chat(site, model, **more)
    assert got.status_code == 400
    said = got.json()["error"]["message"]
    assert next(iter(more)) in said or "tool of the type" in said
    assert not provider.received
