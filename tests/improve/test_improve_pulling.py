"""Traces, labels and cases from Langfuse: read over loopback, taken in once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langfuse_server import Project, generation, item, score, served, trace

from shiftright import datasets
from shiftright.core.trace import SpanRow
from shiftright.errors import CredentialsError, StoreError, UsageError
from shiftright.improve.langfuse import Langfuse, pulled
from shiftright.improve.langfuse_api import Trace
from shiftright.improve.observed import of_traces
from shiftright.improve.pulling import Pulled, Taken, Wanted, pull_cases, pull_traces
from shiftright.store import Records
from shiftright.store.duckdb import DuckDBTelemetry


@pytest.fixture
def project() -> Project:
    return Project()


@pytest.fixture
def environment(project: Project) -> Iterator[dict[str, str]]:
    with served(project) as url:
        yield project.environment(url)


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[DuckDBTelemetry]:
    opened = DuckDBTelemetry(tmp_path / "telemetry.duckdb")
    yield opened
    opened.close()


def read(environment: dict[str, str], **wanted: Any) -> list[Any]:
    async def all_of() -> list[Any]:
        return [found async for found in Langfuse(environment).read(Wanted(**wanted))]

    return asyncio.run(all_of())


def spans_of(document: dict[str, Any], feature: str = "") -> tuple[SpanRow, ...]:
    return pulled(msgspec.json.decode(msgspec.json.encode(document), type=Trace), feature).spans


def test_traces_come_page_by_page_and_only_once(
    project: Project, environment: dict[str, str], records: Records, telemetry: DuckDBTelemetry
) -> None:
    project.traces = [trace(number) for number in range(1, 6)]
    project.traces[0]["scores"] = [
        score("right", 1, dataType="BOOLEAN", stringValue="True", source="ANNOTATION", authorUserId="ann"),
        score("tone", 4.5, source="EVAL", comment="kind"),
        score("kind", None, dataType="CATEGORICAL", stringValue="late"),
    ]

    def pull() -> Taken:
        reader = Langfuse(environment)
        return asyncio.run(pull_traces(reader, Wanted(), records, telemetry.append, correct="right"))

    first = pull()
    assert (first.traces, first.spans, first.scores, first.left_out) == (5, 10, 3, [])
    assert sum("traces?" in asked for asked in project.asked) == 3
    again = pull()
    assert (again.traces, again.scores, telemetry.count()) == (5, 0, 10)

    root, call = telemetry.trace(f"{1:032x}")
    assert (root.parent_span_id, call.parent_span_id) == ("", root.span_id)
    assert (root.name, root.user, root.session, root.release) == ("triage", "u-1", "s-1", "r-7")
    assert (call.operation, call.model, call.cost_usd) == ("chat", "gpt-5-mini", 0.003)
    assert (call.input_tokens, call.cached_tokens, call.output_tokens, call.reasoning_tokens) == (14, 4, 5, 3)
    assert call.end_ns - call.start_ns == 1_250_000_000

    correct, tone, kind = records.scores.of_trace(f"{1:032x}")
    assert (correct.score.name, correct.score.value, correct.score.source) == ("correct", 1.0, "human")
    assert (correct.author, tone.author) == ("ann", "langfuse")
    assert (tone.score.value, tone.score.label, tone.score.explanation) == (None, "4.5", "kind")
    assert (kind.score.value, kind.score.label) == (None, "late")
    seen = {each.source: each for each in of_traces(records, telemetry, "triage", limit=10)}
    assert seen[f"trace:{1:032x}"].expected == "delivery"
    assert (seen[f"trace:{2:032x}"].value, seen[f"trace:{2:032x}"].system) == ("parcel 2", "Sort.")


def test_what_is_asked_for_is_what_comes(project: Project, environment: dict[str, str]) -> None:
    project.traces = [trace(1), trace(2, name="other"), trace(3), trace(4, gone=True)]
    found = read(environment, name="triage", limit=1, since_ns=1_700_000_000_000_000_000, feature="triage")
    assert [each.spans[0].feature for each in found] == ["triage"]
    assert found[0].spans[0].operation == "feature"
    assert "fromTimestamp=2023-11-14T22%3A13%3A20" in project.asked[0]
    assert len(project.asked) == 2  # no more is read than was wanted
    *kept, gone = read(environment)
    assert len(kept) == 3
    assert f"{4:032x}" in gone


def test_it_waits_when_it_is_told_to(project: Project, environment: dict[str, str]) -> None:
    project.traces = [trace(1)]
    project.first = [(429, b"slow down"), (503, b""), (429, b"slow down")]
    assert len(read(environment)) == 1
    project.first = [(429, b"slow down")] * 10
    with pytest.raises(StoreError, match="429"):
        read(environment)
    assert len(project.first) == 4


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": 1}', b'{"data": [{}]}', b"[" * 5000])
def test_an_answer_that_is_not_langfuses(project: Project, environment: dict[str, str], body: bytes) -> None:
    project.first = [(200, body)]
    with pytest.raises(StoreError, match="not Langfuse's"):
        read(environment)


def test_keys_and_address_that_are_wrong(environment: dict[str, str]) -> None:
    with pytest.raises(CredentialsError, match="401") as refused:
        read(environment | {"LANGFUSE_SECRET_KEY": "sk-lf-wrong"})
    assert "sk-lf-wrong" not in str(refused.value)
    with pytest.raises(CredentialsError, match="LANGFUSE_PUBLIC_KEY"):
        Langfuse({})
    for host in ("localhost:3000", "http://", "http://a:b", "ftp://a"):
        with pytest.raises(UsageError, match="LANGFUSE_HOST"):
            Langfuse(environment | {"LANGFUSE_HOST": host})
    assert read(environment | {"LANGFUSE_HOST": "", "LANGFUSE_BASE_URL": environment["LANGFUSE_HOST"]}) == []


def test_a_dataset_becomes_a_new_file(project: Project, environment: dict[str, str], tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    project.items = [
        item(1),
        item(2, input={"messages": turns}, sourceTraceId=f"{7:032x}"),
        item(3, status="ARCHIVED"),
        item(4, input=None),
        item(5, datasetName="another"),
    ]
    file = tmp_path / "cases.jsonl"

    def pull(dataset: str) -> Taken:
        return asyncio.run(pull_cases(Langfuse(environment), Wanted(dataset=dataset), file))

    with pytest.raises(UsageError, match="no cases"):
        pull("nothing")
    assert not file.exists()
    taken = pull("support set")
    assert (taken.cases, taken.left_out) == (2, ["item i-3: archived", "item i-4: no input"])
    one, two = datasets.load(file)
    assert (one.id, one.input, one.expected, one.source) == (
        "i-1",
        {"text": "parcel 1"},
        "delivery",
        "langfuse:support set",
    )
    assert (two.value, two.source) == (turns, f"trace:{7:032x}")
    before = file.read_bytes()
    with pytest.raises(UsageError, match="there already"):
        pull("support set")
    assert file.read_bytes() == before


def test_failures_and_steps_keep_their_place() -> None:
    failed = generation(2, parentObservationId=f"{1:016x}", level="ERROR", statusMessage="timed out")
    steps = [
        generation(1, type="AGENT", level="ERROR", statusMessage="gave up"),
        failed,
        generation(3, id="not-hex", parentObservationId="lost", type="EVENT", endTime=None),
    ]
    root, agent, call, event = spans_of(trace(1, id="my trace", observations=steps))
    assert root.error == "gave up"
    assert (call.parent_span_id, call.error) == (agent.span_id, "timed out")
    assert (event.parent_span_id, event.operation, event.start_ns) == (root.span_id, "other", event.end_ns)
    assert agent.input_tokens == 0  # what a step states is the sum of its calls
    assert {span.trace_id for span in (root, agent, call, event)} == {root.trace_id}
    assert len(root.trace_id) == 32


@given(st.text(), st.lists(st.text(), unique=True, max_size=5))
def test_ids_have_opentelemetrys_form_and_stay(trace_id: str, ids: list[str]) -> None:
    document = trace(1, id=trace_id, observations=[generation(1, id=each) for each in ids])
    spans = spans_of(document)
    assert spans == spans_of(document)
    assert len({span.span_id for span in spans}) == len(ids) + 1
    for span in spans:
        assert len(bytes.fromhex(span.trace_id)) == 16
        assert len(bytes.fromhex(span.span_id)) == 8


def test_a_strangers_reader_needs_one_method(records: Records) -> None:
    class Mine:
        async def read(self, wanted: Wanted) -> Any:
            yield Pulled((SpanRow(trace_id="1" * 32, span_id="1" * 16, name="a", start_ns=0, end_ns=1),))
            yield "two: broken"

    kept: list[SpanRow] = []
    taken = asyncio.run(pull_traces(Mine(), Wanted(), records, kept.extend))
    assert (taken.traces, taken.left_out, len(kept)) == (1, ["two: broken"], 1)


def test_the_documented_reader_works(records: Records, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "readers.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {"__name__": "notebook_reader"}
    exec(code, names)
    kept: list[SpanRow] = []
    reader = names["Notebook"]({})
    assert asyncio.run(pull_traces(reader, Wanted(), records, kept.extend)).traces == len(kept) == 1
    file = tmp_path / "cases.jsonl"
    assert asyncio.run(pull_cases(reader, Wanted(dataset="any"), file)).cases == len(datasets.load(file)) == 1
