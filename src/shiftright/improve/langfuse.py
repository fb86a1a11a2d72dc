"""The reader of Langfuse: traces with their observations and scores, and datasets."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import msgspec

from shiftright.core.case import Case, digest_of
from shiftright.core.score import Score, Source
from shiftright.core.trace import Operation, SpanRow
from shiftright.errors import UsageError
from shiftright.improve import langfuse_api as api
from shiftright.improve.cases import messages_of
from shiftright.improve.pulling import Pulled, Wanted
from shiftright.store.rows import ScoreRow
from shiftright.tracing.conventions import MODEL_CALLS

OPERATIONS: Final[Mapping[str, Operation]] = {
    "GENERATION": "chat",
    "EMBEDDING": "embeddings",
    "AGENT": "agent",
    "CHAIN": "agent",
    "TOOL": "tool",
    "RETRIEVER": "retrieval",
    "GUARDRAIL": "guardrail",
}
"""Langfuse's types of observations; any other is "other"."""

AUTHOR = "langfuse"
_USAGE = ("input", "output")
_LARGEST = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Langfuse:
    """Keys and address are LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY and LANGFUSE_HOST (default: Langfuse Cloud, EU).

    Raises:
        CredentialsError: a key is missing.
        UsageError: the host is no address.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._api = api.Api(environment)

    async def read(self, wanted: Wanted) -> AsyncIterator[Pulled | Case | str]:
        """See ``improve.pulling.Reader``."""
        left = wanted.limit
        async with self._api:
            reading = self._traces(wanted) if wanted.dataset is None else self._cases(wanted.dataset)
            async for found in reading:
                yield found
                if left is not None and not isinstance(found, str):
                    left -= 1
                    if not left:
                        return

    async def _traces(self, wanted: Wanted) -> AsyncIterator[Pulled | str]:
        # A fixed end: traces that arrive meanwhile would move what is on which page.
        query = {"orderBy": "timestamp.desc", "fields": "core", "toTimestamp": datetime.now(UTC).isoformat()}
        if wanted.since_ns is not None:
            query["fromTimestamp"] = (_EPOCH + timedelta(microseconds=wanted.since_ns // 1000)).isoformat()
        if wanted.name is not None:
            query["name"] = wanted.name
        async for listed in self._api.pages("traces", query, api.TraceName):
            try:
                trace = await self._api.get(f"traces/{quote(listed.id, safe='')}", {}, api.Trace)
            except (api.TooLarge, UsageError) as cause:
                # Too large, or deleted since it was listed: the others can still be taken.
                yield f"trace {listed.id}: {cause.message}"
                continue
            yield pulled(trace, wanted.feature)

    async def _cases(self, dataset: str) -> AsyncIterator[Case | str]:
        query = {"datasetName": dataset}
        async for item in self._api.pages("dataset-items", query, api.DatasetItem):
            if item.status == "ARCHIVED":
                yield f"item {item.id}: archived"
            elif item.input is None:
                yield f"item {item.id}: no input"
            else:
                yield _case(item, dataset)


def pulled(trace: api.Trace, feature: str) -> Pulled:
    """A Langfuse trace is no span itself: a root is made of it, around its observations."""
    trace_id, root = _trace_id(trace.id), _span_id("trace", trace.id)
    known = {each.id for each in trace.observations}
    spans = []
    for each in trace.observations:
        parent = each.parent_observation_id
        above = _span_id("", parent) if parent in known and parent else root
        spans.append(_span(each, trace, trace_id, above, feature))
    told = SpanRow(
        trace_id=trace_id,
        span_id=root,
        name=trace.name or "trace",
        start_ns=min([_ns(trace.timestamp), *(span.start_ns for span in spans)]),
        end_ns=max([_ns(trace.timestamp), *(span.end_ns for span in spans)]),
        operation="feature" if feature and _text(trace.input) else "other",
        error=_failure(trace.observations),
        feature=feature,
        release=trace.release or trace.version or "",
        user=trace.user_id or "",
        session=trace.session_id or "",
        input=_text(trace.input),
        output=_text(trace.output),
        attributes=_attributes(
            "trace",
            {"metadata": _text(trace.metadata), "tags": trace.tags, "environment": trace.environment},
        ),
    )
    scores = tuple(_score(each, trace_id, feature) for each in trace.scores)
    return Pulled((told, *spans), scores)


def _span(each: api.Observation, trace: api.Trace, trace_id: str, parent: str, feature: str) -> SpanRow:
    operation = OPERATIONS.get(each.type, "other")
    start = _ns(each.start_time)
    span = SpanRow(
        trace_id=trace_id,
        span_id=_span_id("", each.id),
        parent_span_id=parent,
        name=each.name or each.type.lower(),
        start_ns=start,
        end_ns=max(start, _ns(each.end_time)) if each.end_time is not None else start,
        operation=operation,
        error=(each.status_message or "failed") if each.level == "ERROR" else None,
        feature=feature,
        user=trace.user_id or "",
        session=trace.session_id or "",
        model=each.model or "",
        input=_text(each.input),
        output=_text(each.output),
        attributes=_attributes(
            "observation",
            {
                "metadata": _text(each.metadata),
                "model.parameters": _text(each.model_parameters),
                "version": each.version,
                "type": each.type if operation == "other" else None,
                "status_message": None if each.level == "ERROR" else each.status_message,
            },
        ),
    )
    if operation in MODEL_CALLS:
        _set_usage(span, each)
    return span


def _set_usage(span: SpanRow, each: api.Observation) -> None:
    """Langfuse adds up every kind of tokens whose name has "input" in it, and every one with "output"."""
    usage = each.usage_details or {
        kind: count for kind, count in (each.usage or {}).items() if kind in _USAGE
    }
    for kind, amount in usage.items():
        count = max(0, min(_LARGEST, int(amount))) if isinstance(amount, int | float) else 0
        if "output" in kind:
            span.output_tokens += count
            span.reasoning_tokens += count if "reasoning" in kind else 0
        elif "input" in kind:
            span.input_tokens += count
            written = "creation" in kind or "write" in kind
            span.cached_tokens += count if "cache" in kind and not written else 0
    costs = {kind: cost for kind, cost in (each.cost_details or {}).items() if cost is not None}
    total = costs.get("total", sum(costs.values()) if costs else each.calculated_total_cost)
    span.cost_usd = total if total is None or total >= 0 else None


def _score(said: api.Score, trace_id: str, feature: str) -> ScoreRow:
    """A number from 0 to 1 is a value; a category, and a number on another scale, is a label."""
    value = (
        said.value
        if isinstance(said.value, float | int) and said.data_type in ("NUMERIC", "BOOLEAN")
        else None
    )
    label = said.string_value or (said.value if isinstance(said.value, str) else None)
    if value is not None and not 0 <= value <= 1:
        value, label = None, label or f"{value:g}"
    source: Source = "human" if said.source == "ANNOTATION" else "scorer"
    return ScoreRow(
        trace_id=trace_id,
        feature=feature,
        score=Score(said.name, value, label, said.comment, source),
        created_at=_ns(said.timestamp) / 1e9,
        author=said.author_user_id or AUTHOR,
    )


def _case(item: api.DatasetItem, dataset: str) -> Case:
    given: Any = item.input
    if isinstance(given, dict) and set(given) == {"messages"}:
        given = given["messages"]
    messages = messages_of(given)
    source = f"trace:{_trace_id(item.source_trace_id)}" if item.source_trace_id else f"langfuse:{dataset}"
    return Case(
        id=item.id,
        input=None if messages else item.input,
        messages=messages,
        expected=item.expected_output,
        source=source,
    )


def _failure(observations: list[api.Observation]) -> str | None:
    """A trace failed when an outermost step of it did: what is further in may have been tried again."""
    outer = [each for each in observations if not each.parent_observation_id and each.level == "ERROR"]
    return (outer[-1].status_message or "failed") if outer else None


def _trace_id(identifier: str) -> str:
    """OpenTelemetry's ids and UUIDs as they are, any other by its digest."""
    plain = identifier.lower().replace("-", "")
    return plain if re.fullmatch("[0-9a-f]{32}", plain) and int(plain, 16) else digest_of(AUTHOR, identifier)


def _span_id(kind: str, identifier: str) -> str:
    if not kind and re.fullmatch("[0-9a-f]{16}", identifier) and int(identifier, 16):
        return identifier
    return digest_of(AUTHOR, kind, identifier)[:16]


def _ns(moment: datetime) -> int:
    at = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0, (at - _EPOCH) // timedelta(microseconds=1) * 1000)


def _text(raw: msgspec.Raw) -> str:
    text = bytes(raw).decode("utf-8", "replace")
    return "" if text == "null" else text


def _attributes(of: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Under the names that Langfuse's own OpenTelemetry export gives them."""
    return {
        f"langfuse.{of}.{name}": value for name, value in values.items() if value not in (None, "", [], "{}")
    }
