"""Everybody's names to the fields of a span; usage as the provider said it, once."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from shiftright.core.trace import SpanRow
from shiftright.tracing import conventions
from shiftright.tracing.counting import Repeats
from shiftright.tracing.otlp import JSON, decode_traces

DATA = Path(__file__).parent.parent / "data" / "otlp_genai" / "replayed.jsonl.gz"
with gzip.open(DATA, "rt", encoding="utf-8") as lines:
    REPLAYED = [json.loads(line) for line in lines]


def counted(payload: Any) -> list[SpanRow]:
    spans = decode_traces(json.dumps(payload).encode(), JSON)
    Repeats().settle(spans)
    return spans


@pytest.mark.parametrize("row", REPLAYED, ids=lambda row: f"{row['emitter']}-{row['cassette'][-40:]}")
def test_real_instrumentations_give_the_provider_s_usage_once(row: dict[str, Any]) -> None:
    spans = counted(row["payload"])
    sums = [
        sum(getattr(span, name) for span in spans)
        for name in ("input_tokens", "output_tokens", "cached_tokens")
    ]
    assert sums == (row["usage"] or [0, 0, 0])
    calls = [span for span in spans if span.operation in conventions.MODEL_CALLS]
    assert calls
    assert all(span.provider and span.model for span in calls)
    assert any(span.input for span in calls) or row["usage"] is None
    roots = [span for span in spans if not span.parent_span_id]
    assert [root.service for root in roots] == ["support-bot"]
    assert [root.release for root in roots] == ["1.4.2"]


def test_the_same_recording_reads_the_same_from_two_instrumentations() -> None:
    by_cassette: dict[str, dict[str, Any]] = {}
    for row in REPLAYED:
        found = max(counted(row["payload"]), key=lambda s: (s.operation == "chat", s.input_tokens))
        by_cassette.setdefault(row["cassette"], {})[row["emitter"]] = found
    pairs = [
        (found["openllmetry-openai"], found["openinference-openai"])
        for found in by_cassette.values()
        if {"openllmetry-openai", "openinference-openai"} <= found.keys()
    ]
    assert len(pairs) > 10
    for one, other in pairs:
        assert (one.operation, one.model, one.provider) == (other.operation, other.model, other.provider)
        assert (one.input_tokens, one.cost_usd) == (other.input_tokens, other.cost_usd)
        assert (one.error is None) == (other.error is None)


@pytest.mark.parametrize(
    ("attributes", "fields"),
    [
        (
            {  # the names before 1.37
                "gen_ai.system": "openai",
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.usage.prompt_tokens": 7,
                "gen_ai.usage.completion_tokens": "3",
            },
            {
                "provider": "openai",
                "operation": "chat",
                "model": "gpt-4o",
                "input_tokens": 7,
                "output_tokens": 3,
            },
        ),
        (
            {  # OpenLLMetry before it followed the conventions
                "traceloop.span.kind": "workflow",
                "traceloop.entity.input": '{"q": 1}',
                "traceloop.association.properties.user_id": "u1",
            },
            {"operation": "agent", "input": '{"q": 1}', "user": "u1", "cost_usd": 0.0},
        ),
        (
            {
                "llm.request.type": "chat",
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": "hi",
                "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.tool_calls.0.name": "f",
                "gen_ai.completion.0.tool_calls.0.arguments": "{}",
                "gen_ai.completion.0.tool_calls.0.id": "c1",
            },
            {
                "operation": "chat",
                "input": '[{"role":"user","content":"hi"}]',
                "output": '[{"role":"assistant","tool_calls":[{"id":"c1","type":"function",'
                '"function":{"name":"f","arguments":"{}"}}]}]',
                "cost_usd": None,
            },
        ),
        (
            {  # Vercel AI SDK
                "ai.operationId": "ai.generateText.doGenerate",
                "ai.model.provider": "openai.chat",
                "ai.model.id": "gpt-4o-mini",
                "ai.prompt.messages": "[]",
                "ai.response.text": "Hello",
                "ai.usage.promptTokens": 9,
                "ai.usage.completionTokens": 4,
                "ai.telemetry.functionId": "greet",
                "ai.telemetry.metadata.userId": "u",
            },
            {
                "operation": "chat",
                "provider": "openai.chat",
                "model": "gpt-4o-mini",
                "input": "[]",
                "output": "Hello",
                "input_tokens": 9,
                "output_tokens": 4,
                "feature": "greet",
                "user": "u",
            },
        ),
        (
            {  # its outer span repeats the usage
                "ai.operationId": "ai.generateText",
                "ai.usage.promptTokens": 9,
                "ai.usage.completionTokens": 4,
            },
            {"operation": "agent", "cost_usd": 0.0},
        ),
        (
            {
                "openinference.span.kind": "RETRIEVER",
                "input.value": "query",
                "retrieval.documents.0.document.content": "first",
                "retrieval.documents.1.document.content": "second",
                "retrieval.documents.1.document.score": 0.5,
            },
            {
                "operation": "retrieval",
                "input": "query",
                "output": '[{"content":"first"},{"content":"second","score":0.5}]',
            },
        ),
        (
            {  # Anthropic's own numbers, without what went through the cache
                "gen_ai.operation.name": "chat",
                "gen_ai.usage.input_tokens": 10,
                "gen_ai.usage.cache_read_input_tokens": 100,
                "gen_ai.usage.cache_creation_input_tokens": 5,
            },
            {"input_tokens": 115, "cached_tokens": 100},
        ),
        (
            {"gen_ai.operation.name": "chat", "operation.cost": 0.25, "gen_ai.usage.output_tokens": "many"},
            {"cost_usd": 0.25, "output_tokens": 0},
        ),
        ({"gen_ai.operation.name": ["odd"], "user.id": 7}, {"operation": "other", "user": "7"}),
    ],
)
def test_names(attributes: dict[str, Any], fields: dict[str, Any]) -> None:
    found = conventions.read(list(attributes.items()))
    assert {name: found.fields.get(name) for name in fields} == fields


def test_a_value_that_loses_is_kept_unless_it_says_the_same() -> None:
    found = conventions.read(
        [
            ("gen_ai.usage.input_tokens", 5),
            ("llm.token_count.prompt", 5),
            ("gen_ai.response.model", "a-2025"),
            ("gen_ai.request.model", "a"),
            ("gen_ai.operation.name", "chat"),
            ("other", 1),
        ]
    )
    assert found.rest == {"gen_ai.request.model": "a", "other": 1}


def call(trace: int, number: int, parent: int | None, tokens: int, **given: Any) -> SpanRow:
    return SpanRow(
        trace_id=f"{trace:032x}",
        span_id=f"{number:016x}",
        parent_span_id="" if parent is None else f"{parent:016x}",
        name="call",
        start_ns=number,
        end_ns=100 - number,
        operation=given.pop("operation", "chat"),
        input_tokens=tokens,
        cost_usd=float(tokens),
        attributes=given,
    )


def tokens(spans: list[SpanRow]) -> list[int]:
    return [span.input_tokens for span in spans]


def test_a_span_around_a_call_repeats_it_also_from_another_request() -> None:
    inside = [call(1, 3, 2, 10), call(1, 2, 1, 10), call(1, 1, None, 0, operation="agent")]
    Repeats().settle(inside)
    assert tokens(inside) == [10, 0, 0]
    assert inside[1].cost_usd == 0.0
    repeats = Repeats()
    first, wrapper, last = [call(2, 3, 2, 10)], [call(2, 2, 1, 0, operation="other")], [call(2, 1, None, 10)]
    for batch in (first, wrapper, last):
        repeats.settle(batch)
    assert tokens(first + last) == [10, 0]
    again = [call(2, 3, 2, 10)]
    repeats.settle(again)
    assert tokens(again) == [10], "the same span sent again is not another one"


def test_calls_inside_of_a_tool_are_calls_of_their_own() -> None:
    spans = [call(1, 3, 2, 10), call(1, 2, 1, 0, operation="tool"), call(1, 1, None, 7)]
    Repeats().settle(spans)
    assert tokens(spans) == [10, 0, 7]


def test_spans_beside_each_other_with_one_response_are_one_call() -> None:
    name = "gen_ai.response.id"
    spans = [
        call(1, 2, 1, 9, **{name: "r"}),
        call(1, 3, 1, 10, **{name: "r"}),
        call(2, 4, 1, 10, **{name: "r"}),
    ]
    Repeats().settle(spans)
    assert tokens(spans) == [0, 10, 10]


def test_memory_is_bounded() -> None:
    repeats = Repeats(largest=10)
    for trace in range(100):
        repeats.settle([call(trace + 1, 2, 1, 5, **{"gen_ai.response.id": str(trace)})])
    assert len(repeats._responses) == len(repeats._around) == 10


def test_wrappers_that_come_together_after_the_call_in_them() -> None:
    repeats = Repeats()
    repeats.settle([call(1, 4, 3, 10)])
    later = [call(1, 1, None, 10), call(1, 2, 1, 10), call(1, 3, 2, 0, operation="other")]
    repeats.settle(later)
    assert tokens(later) == [0, 0, 0]


def test_a_wrapper_that_states_no_usage_leaves_no_cost_unknown() -> None:
    inner, wrapper = call(1, 2, 1, 10), call(1, 1, None, 0)
    wrapper.cost_usd = None
    alone = call(2, 1, None, 0)
    alone.cost_usd = None
    Repeats().settle([inner, wrapper, alone])
    assert (inner.cost_usd, wrapper.cost_usd, alone.cost_usd) == (10.0, 0.0, None)


def test_a_call_told_by_the_gateway_in_another_trace_counts_there() -> None:
    def told(trace: int, start: int, **more: Any) -> SpanRow:
        return call(trace, start, None, 10, **{"gen_ai.response.id": "r"}, **more)

    passed = told(1, 5, **{"url.path": "/v1/chat/completions"})
    told_of_it, hours_later = (told(trace, 4, **{"otel.scope.name": "openinference"}) for trace in (2, 3))
    hours_later.start_ns += 10**13
    hours_later.end_ns += 10**13
    repeats = Repeats()
    for span in (passed, told_of_it, hours_later):
        repeats.settle([span])
    assert tokens([passed, told_of_it, hours_later]) == [10, 0, 10]
    assert told_of_it.attributes["shiftright.usage_on"] == passed.span_id


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"id": "chatcmpl-1", "choices": []}, "chatcmpl-1"),
        ({"generations": [], "llm_output": {"id": "chatcmpl-1"}}, "chatcmpl-1"),
        ({"id": "a word of the model"}, None),
        ({"llm_output": None, "choices": None}, None),
        (["x"], None),
    ],
)
def test_openinference_names_a_response_in_its_answer_only(answer: Any, said: str | None) -> None:
    told = [("openinference.span.kind", "LLM"), ("output.value", json.dumps(answer))]
    assert conventions.read(told).rest.get("gen_ai.response.id") == said


def test_a_client_answered_by_a_feature_repeats_the_calls_in_it() -> None:
    inner = call(1, 3, 2, 10)
    feature = call(1, 2, 1, 0, operation="feature", **{"url.path": "/v1/chat/completions"})
    client = call(1, 1, None, 10)
    repeats = Repeats()
    for batch in ([feature, inner], [client]):
        repeats.settle(batch)
    assert tokens([inner, feature, client]) == [10, 0, 0]


def test_a_call_that_comes_after_the_span_around_it_is_not_counted_again() -> None:
    repeats = Repeats()
    wrapper, inner, apart = call(1, 1, None, 10), call(1, 2, 1, 10), call(1, 4, 3, 7)
    tool = call(1, 3, 1, 0, operation="tool")
    for batch in ([wrapper], [inner], [tool, apart]):
        repeats.settle(batch)
    assert tokens([wrapper, inner, apart]) == [10, 0, 7]
