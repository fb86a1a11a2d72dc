"""Each model call is counted once, however many spans tell of it.

An SDK and an instrumentation of it, or two instrumentations, both write a span with the usage of the same call: beside
each other, or one around the other. All spans are kept; the usage stays on one of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from shiftright.core.trace import SpanRow
from shiftright.tracing import attributes as names
from shiftright.tracing.conventions import MODEL_CALLS

# A span of these runs model calls of its own; usage does not belong to what is around it.
_BOUNDARIES = ("tool", "agent", "feature", "retrieval", "guardrail")

# Scopes of SDKs that trace themselves.
_SDKS = ("com.anthropic.sdk",)

Key = tuple[str, str]


class Repeats:
    """Remembers the last ``largest`` model calls, because their spans may come in different requests.

    Two spans of one trace tell of the same call when they name the same response id, or when one is an ancestor of the
    other with no tool, agent or feature between them.
    """

    def __init__(self, largest: int = 50_000) -> None:
        self._largest = largest
        self._responses: OrderedDict[Key, str] = OrderedDict()
        self._around: OrderedDict[Key, str] = OrderedDict()

    def settle(self, spans: Sequence[SpanRow]) -> None:
        """Take the usage away from the spans that repeat another's."""
        calls = [span for span in spans if span.operation in MODEL_CALLS and _has_usage(span)]
        if not calls and not self._around:
            return
        here = {(span.trace_id, span.span_id): span for span in spans}
        calls.sort(key=_trust, reverse=True)
        counted = [span for span in calls if not self._answered_already(span)]
        # The innermost first: what is around it repeats it.
        counted.sort(key=lambda span: (-span.start_ns, span.end_ns))
        for span in counted:
            inner = self._around.get((span.trace_id, span.span_id))
            if inner is not None and inner != span.span_id:
                _clear(span, inner)
            else:
                self._mark_around(span, here)
        # A wrapper that came later than the call in it hands the mark on.
        for span in spans:
            inner = self._around.get((span.trace_id, span.span_id))
            if inner is not None and span.parent_span_id and span.operation not in _BOUNDARIES:
                self._keep(self._around, (span.trace_id, span.parent_span_id), inner)

    def _answered_already(self, span: SpanRow) -> bool:
        response = span.attributes.get(names.RESPONSE_ID)
        if not response:
            return False
        key = (span.trace_id, str(response))
        teller = self._responses.get(key)
        if teller is None or teller == span.span_id:
            self._keep(self._responses, key, span.span_id)
            return False
        _clear(span, teller)
        return True

    def _mark_around(self, span: SpanRow, here: dict[Key, SpanRow]) -> None:
        above = span.parent_span_id
        for _ in range(64):
            if not above:
                return
            key = (span.trace_id, above)
            self._keep(self._around, key, span.span_id)
            parent = here.get(key)
            if parent is None or parent.operation in _BOUNDARIES:
                return
            above = parent.parent_span_id

    def _keep(self, memory: OrderedDict[Key, str], key: Key, value: str) -> None:
        memory[key] = value
        memory.move_to_end(key)
        if len(memory) > self._largest:
            memory.popitem(last=False)


def _trust(span: SpanRow) -> tuple[bool, int, int]:
    """Whom to believe about one call: an SDK about itself, then who saw most (a stream's beginning knows less than its
    end)."""
    own = str(span.attributes.get(names.SCOPE_NAME, "")).startswith(_SDKS)
    return own, span.input_tokens + span.output_tokens, span.end_ns


def _has_usage(span: SpanRow) -> bool:
    return bool(span.input_tokens or span.output_tokens or span.cost_usd)


def _clear(span: SpanRow, teller: str) -> None:
    said = {
        names.INPUT_TOKENS: span.input_tokens,
        names.OUTPUT_TOKENS: span.output_tokens,
        names.CACHE_READ_TOKENS: span.cached_tokens,
        names.REASONING_TOKENS: span.reasoning_tokens,
        names.COST_USD: span.cost_usd,
    }
    kept = {name: value for name, value in said.items() if value}
    span.attributes = {**span.attributes, **kept, names.USAGE_ON: teller}
    span.input_tokens = span.output_tokens = span.cached_tokens = span.reasoning_tokens = 0
    span.cost_usd = 0.0
