"""Programs of LangGraph, LlamaIndex, Instructor and the openai package, recorded: one whole trace each, every model
call counted once, whatever number of instrumentations tell of it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.servers import Provider, Received, whole

import shiftright
from shiftright.core.trace import SpanRow
from shiftright.models import local
from shiftright.store.duckdb import DuckDBTelemetry
from shiftright.tracing import attributes as names

PLAIN = """
import openai
client = openai.OpenAI()
said = client.chat.completions.create(
    model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}]
)
print(said.choices[0].message.content)
"""

LANGGRAPH = """
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

@tool
def weather(city: str) -> str:
    "The weather in a city."
    return f"rain in {city}"

model = ChatOpenAI(model="gpt-4o-mini").bind_tools([weather])
graph = StateGraph(MessagesState)
graph.add_node("ask", lambda state: {"messages": [model.invoke(state["messages"])]})
graph.add_node("tools", ToolNode([weather]))
graph.add_edge(START, "ask")
graph.add_conditional_edges("ask", tools_condition)
graph.add_edge("tools", "ask")
print(graph.compile().invoke({"messages": [HumanMessage("weather in Oslo?")]})["messages"][-1].content)
"""

LLAMAINDEX = """
import os
from llama_index.core import Document, VectorStoreIndex
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

base = os.environ["OPENAI_BASE_URL"]
embedding = OpenAILikeEmbedding(model_name="text-embedding-3-small", api_base=base, api_key="sk")
model = OpenAILike(model="gpt-4o-mini", api_base=base, api_key="sk", is_chat_model=True)
documents = [Document(text="Refunds take two days.")]
index = VectorStoreIndex.from_documents(documents, embed_model=embedding)
print(index.as_query_engine(llm=model, similarity_top_k=1).query("How long does a refund take?"))
"""

EMBEDDED = """
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph

graph = StateGraph(MessagesState)
model = ChatOpenAI(model="say")
graph.add_node("ask", lambda state: {"messages": [model.invoke(state["messages"])]})
graph.add_edge(START, "ask")
print(graph.compile().invoke({"messages": [("user", "Say hello.")]})["messages"][-1].content)
"""

INSTRUCTOR = """
import instructor, openai
from pydantic import BaseModel

class Ticket(BaseModel):
    queue: str

client = instructor.from_openai(openai.OpenAI())
ticket = client.chat.completions.create(
    model="gpt-4o-mini", response_model=Ticket, messages=[{"role": "user", "content": "I was charged twice"}]
)
print(ticket.queue)
"""


@pytest.fixture
def provider() -> Iterator[str]:
    """Speaks OpenAI's chat and embeddings: calls the tool it is offered once, then answers."""
    made = Provider()

    async def play(got: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(got.body)
        told = _embedded(asked) if got.path.endswith("/embeddings") else _answered(asked, len(made.received))
        await whole(json.dumps(told).encode())(got, reader, writer)

    made.plays = [play]
    yield made.url
    made.close()


def _answered(asked: dict[str, Any], number: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "It rains."}
    finish = "stop"
    if asked.get("tools") and asked["messages"][-1]["role"] != "tool":
        tool = asked["tools"][0]["function"]
        given = dict.fromkeys(tool["parameters"]["properties"], "billing")
        function = {"name": tool["name"], "arguments": json.dumps(given)}
        message["content"] = None
        message["tool_calls"] = [{"id": f"call_{number}", "type": "function", "function": function}]
        finish = "tool_calls"
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }


def _embedded(asked: dict[str, Any]) -> dict[str, Any]:
    texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    rows = [{"object": "embedding", "index": i, "embedding": [0.1, 0.2]} for i, _ in enumerate(texts)]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    return {"object": "list", "model": "text-embedding-3-small", "data": rows, "usage": usage}


def recorded(folder: Path, provider: str, program: str, *instrumented: str) -> list[SpanRow]:
    """Spans of a program, run as a user runs it, with these instrumentors (``module:class``) on."""
    for each in instrumented:
        needs("opentelemetry.exporter.otlp.proto.http")
        needs(each.partition(":")[0])
    (folder / ".shiftright").mkdir(exist_ok=True)
    (folder / "program.py").write_text("".join(_switched_on(instrumented)) + program)
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(shiftright.__file__).parents[1]),
        "PYTHONWARNINGS": "ignore",
        "OPENAI_BASE_URL": provider,
        "OPENAI_API_KEY": "sk-mine",
    }
    done = subprocess.run(
        [sys.executable, "-m", "shiftright", "record", "--", sys.executable, "program.py"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), done.stderr
    store = DuckDBTelemetry(folder / ".shiftright" / "telemetry.duckdb")
    try:
        return [span for batch in store.spans() for span in batch]
    finally:
        store.close()


def _switched_on(instrumented: tuple[str, ...]) -> Iterator[str]:
    if not instrumented:
        return
    yield "from opentelemetry import trace\n"
    yield "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter\n"
    yield "from opentelemetry.sdk.trace import TracerProvider\n"
    yield "from opentelemetry.sdk.trace.export import BatchSpanProcessor\n"
    yield "trace.set_tracer_provider(TracerProvider())\n"
    yield "trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))\n"
    for module, _, name in (each.partition(":") for each in instrumented):
        yield f"from {module} import {name}\n{name}().instrument(skip_dep_check=True)\n"


def needs(module: str) -> None:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"{module} is not installed: pip install --group frameworks")


def is_whole(spans: list[SpanRow]) -> bool:
    """One trace, one root, every parent there."""
    ids = {span.span_id for span in spans}
    roots = [span for span in spans if not span.parent_span_id]
    orphans = [span for span in spans if span.parent_span_id and span.parent_span_id not in ids]
    return len({span.trace_id for span in spans}) == 1 and len(roots) == 1 and not orphans


def usage(spans: list[SpanRow]) -> tuple[int, int]:
    return sum(span.input_tokens for span in spans), sum(span.output_tokens for span in spans)


def paid(spans: list[SpanRow]) -> list[float]:
    """What each call cost that counts; no cost may be unknown."""
    costs = [span.cost_usd for span in spans]
    assert None not in costs
    return [cost for cost in costs if cost]


def of_gateway(spans: list[SpanRow]) -> list[SpanRow]:
    return [span for span in spans if names.URL_PATH in span.attributes]


def above(span: SpanRow, spans: list[SpanRow]) -> list[str]:
    """Names of what is around a span, the innermost first."""
    by_id = {each.span_id: each for each in spans}
    found = []
    while (parent := by_id.get(span.parent_span_id)) is not None:
        found.append(parent.name)
        span = parent
    return found


HTTPX = "opentelemetry.instrumentation.httpx:HTTPXClientInstrumentor"
OPENLLMETRY = "opentelemetry.instrumentation.openai:OpenAIInstrumentor"
OPENLLMETRY_LANGCHAIN = "opentelemetry.instrumentation.langchain:LangchainInstrumentor"
OPENINFERENCE = "openinference.instrumentation.openai:OpenAIInstrumentor"
OPENINFERENCE_LANGCHAIN = "openinference.instrumentation.langchain:LangChainInstrumentor"
OPENINFERENCE_LLAMAINDEX = "openinference.instrumentation.llama_index:LlamaIndexInstrumentor"
OPENINFERENCE_INSTRUCTOR = "openinference.instrumentation.instructor:InstructorInstrumentor"

CALL_USD = 100 * 0.15e-6 + 10 * 0.60e-6
EMBEDDING_USD = 7 * 0.02e-6


def test_a_program_of_the_openai_package_alone(tmp_path: Path, provider: str) -> None:
    (call,) = recorded(tmp_path, provider, PLAIN)
    assert (call.operation, call.model) == ("chat", "gpt-4o-mini-2024-07-18")
    assert json.loads(call.output)[0]["content"] == "It rains."
    assert (usage([call]), paid([call])) == ((100, 10), [pytest.approx(CALL_USD)])


@pytest.mark.parametrize(
    "instrumented", [(OPENLLMETRY,), (OPENINFERENCE, HTTPX), (OPENINFERENCE, OPENLLMETRY, HTTPX)]
)
def test_an_instrumented_client_and_the_gateway_tell_of_one_call(
    tmp_path: Path, provider: str, instrumented: tuple[str, ...]
) -> None:
    spans = recorded(tmp_path, provider, PLAIN, *instrumented)
    assert is_whole(spans)
    assert (usage(spans), paid(spans)) == ((100, 10), [pytest.approx(CALL_USD)])


def test_a_client_that_does_not_hand_its_trace_on_is_counted_once(tmp_path: Path, provider: str) -> None:
    spans = recorded(tmp_path, provider, PLAIN, OPENINFERENCE)
    assert (usage(spans), paid(spans)) == ((100, 10), [pytest.approx(CALL_USD)])


def test_langgraph(tmp_path: Path, provider: str) -> None:
    needs("langgraph")
    needs("langchain_openai")
    spans = recorded(tmp_path, provider, LANGGRAPH, OPENLLMETRY_LANGCHAIN, HTTPX)
    assert is_whole(spans)
    assert len(of_gateway(spans)) == 2
    assert (usage(spans), paid(spans)) == ((200, 20), [pytest.approx(CALL_USD)] * 2)
    assert [span.name for span in spans if span.operation == "tool"] == ["execute_tool weather"]


def test_langgraph_by_openinference(tmp_path: Path, provider: str) -> None:
    """Its LangChain spans are never the current ones, so no client can hand them on; nothing is counted twice."""
    needs("langgraph")
    needs("langchain_openai")
    spans = recorded(tmp_path, provider, LANGGRAPH, OPENINFERENCE_LANGCHAIN)
    assert (usage(spans), paid(spans)) == ((200, 20), [pytest.approx(CALL_USD)] * 2)
    graph = [span for span in spans if span not in of_gateway(spans)]
    assert is_whole(graph)
    (tool,) = (span for span in graph if span.operation == "tool")
    assert (tool.name, above(tool, graph)) == ("weather", ["tools", "LangGraph"])
    calls = [span for span in graph if span.operation == "chat"]
    counted = {span.span_id for span in of_gateway(spans)}
    assert {span.attributes[names.USAGE_ON] for span in calls} == counted


def test_llama_index(tmp_path: Path, provider: str) -> None:
    needs("llama_index.llms.openai_like")
    needs("llama_index.embeddings.openai_like")
    spans = recorded(tmp_path, provider, LLAMAINDEX, OPENINFERENCE_LLAMAINDEX, HTTPX)
    root = next(span for span in spans if span.name == "RetrieverQueryEngine.query")
    asked = [span for span in spans if span.trace_id == root.trace_id]
    assert is_whole(asked)
    embedded, answered = sorted(of_gateway(asked), key=lambda span: span.start_ns)
    assert (embedded.operation, answered.operation) == ("embeddings", "chat")
    assert "VectorIndexRetriever.retrieve" in above(embedded, asked)
    assert any(span.operation == "retrieval" and "Refunds" in span.output for span in asked)
    assert (usage(asked), sorted(paid(asked))) == (
        (107, 10),
        [pytest.approx(EMBEDDING_USD), pytest.approx(CALL_USD)],
    )
    assert usage(spans) == (114, 10), "and the document's embedding, before the question"


def test_instructor(tmp_path: Path, provider: str) -> None:
    needs("instructor")
    spans = recorded(tmp_path, provider, INSTRUCTOR, OPENINFERENCE_INSTRUCTOR, OPENINFERENCE, HTTPX)
    assert is_whole(spans)
    (call,) = of_gateway(spans)
    assert "instructor.create" in above(call, spans)[-1]
    assert (usage(spans), paid(spans)) == ((100, 10), [pytest.approx(CALL_USD)])


@pytest.mark.local_model
@pytest.mark.skipif("smollm2-135m" not in local.available(), reason="weights or xllamacpp are not installed")
@pytest.mark.parametrize("instrumented", [(OPENLLMETRY_LANGCHAIN, HTTPX), (OPENINFERENCE_LANGCHAIN,)])
def test_langgraph_on_the_embedded_model_as_a_feature(
    tmp_path: Path, provider: str, instrumented: tuple[str, ...]
) -> None:
    needs("langgraph")
    needs("langchain_openai")
    contract = """\
feature: say
cases: cases.jsonl
variants:
  small: {model: local:smollm2-135m, temperature: 0, max_tokens: 20}
baseline: small
checks:
  right: {score: exact, at_least: 50%}
"""
    (tmp_path / "spec.yaml").write_text(contract)
    (tmp_path / "cases.jsonl").write_text('{"input": "Say hello.", "expected": "Hello."}\n')
    spans = recorded(tmp_path, provider, EMBEDDED, *instrumented)
    (feature,) = of_gateway(spans)
    (call,) = (span for span in spans if span.parent_span_id == feature.span_id)
    assert (feature.operation, feature.feature, call.operation) == ("feature", "say", "chat")
    assert call.input_tokens > 0
    assert call.output_tokens > 0
    assert usage(spans) == (call.input_tokens, call.output_tokens)
    # spans of OpenInference's LangChain are never the current ones: the call then stands in a trace of its own
    assert ("ask" in " ".join(above(call, spans))) == (OPENLLMETRY_LANGCHAIN in instrumented)
