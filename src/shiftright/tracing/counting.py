"""Each model call is counted once, however many spans tell of it.

An SDK and an instrumentation of it, or two instrumentations, both write a span with the usage of the same call: beside
each other, or one around the other. All spans are kept; the usage stays on one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from shiftright.core.trace import SpanRow
from shiftright.tracing import attributes as names
from shiftright.tracing.conventions import MODEL_CALLS

# A span of these runs model calls of its own; usage does not belong to what is around it.
_BOUNDARIES = ("tool", "agent", "feature", "retrieval", "guardrail")

# Scopes of SDKs that trace themselves.
_SDKS = ("com.anthropic.sdk",)

# How far the clocks of a program and of the gateway may be apart.
_SKEW_NS = 1_000_000_000

Key = tuple[str, str]
V = TypeVar("V")


class _Passed(NamedTuple):
    """A call that passed through the gateway."""

    span_id: str
    start_ns: int
    end_ns: int

    def within(self, span: SpanRow) -> bool:
        return span.start_ns - _SKEW_NS <= self.start_ns and self.end_ns <= span.end_ns + _SKEW_NS


class _Memory(Generic[V]):
    """Values by key, at least the last half of ``largest``: when the younger half is full the older one is forgotten.

    Of a key its hash is kept, 64 bits that nobody outside can foresee: the keys themselves would take 20 MB.
    """

    def __init__(self, largest: int) -> None:
        self._half = max(1, largest // 2)
        self._young: dict[int, V] = {}
        self._old: dict[int, V] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, *key: str) -> V | None:
        known = hash(key)
        found = self._young.get(known)
        return self._old.get(known) if found is None else found

    def keep(self, value: V, *key: str) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[hash(key)] = value


class Repeats:
    """Remembers the last ``largest`` model calls, because their spans may come in different requests.

    Two spans of one trace tell of the same call when they name the same response id, or when one is an ancestor of the
    other with no tool, agent or feature between them. Across traces, a span tells of the call that passed through our
    gateway while it ran and was answered with the same response id: the program did not hand its trace on.
    """

    def __init__(self, largest: int = 50_000) -> None:
        self._responses: _Memory[str] = _Memory(largest)
        self._around: _Memory[str] = _Memory(largest)
        self._counted: _Memory[str] = _Memory(largest)
        self._passed: _Memory[_Passed] = _Memory(largest)

    def settle(self, spans: Sequence[SpanRow]) -> None:
        """Take the usage away from the spans that repeat another's."""
        calls = [span for span in spans if span.operation in MODEL_CALLS and _has_usage(span)]
        passed = [span for span in spans if _is_gateway(span)]
        if not calls and not passed and not self._around:
            return
        here = {(span.trace_id, span.span_id): span for span in spans}
        # A wrapper that came later than the call in it hands the mark on.
        for span in spans:
            inner = self._around.get(span.trace_id, span.span_id)
            if inner is not None and span.operation not in _BOUNDARIES:
                self._mark_around(span, inner, here)
        for span in passed:
            self._remember_passed(span)
            if span.operation in _BOUNDARIES:
                # A client was answered by a feature, and told of its usage as of one call.
                self._mark_around(span, span.span_id, here)
        calls.sort(key=_trust, reverse=True)
        counted = [span for span in calls if not self._answered_already(span)]
        # The innermost first: what is around it repeats it.
        counted.sort(key=lambda span: (-span.start_ns, span.end_ns))
        for span in counted:
            inner = self._around.get(span.trace_id, span.span_id)
            if inner is not None and inner != span.span_id:
                _clear(span, inner)
            elif outer := self._counted_around(span, here):
                _clear(span, outer)
            else:
                self._mark_around(span, span.span_id, here)
                self._counted.keep(span.span_id, span.trace_id, span.span_id)
        for span in spans:
            if span.cost_usd is None and not _has_usage(span):
                # A wrapper that states no usage would make the whole trace's cost unknown.
                inner = self._around.get(span.trace_id, span.span_id)
                if inner is not None and inner != span.span_id:
                    _clear(span, inner)

    def _answered_already(self, span: SpanRow) -> bool:
        response = str(span.attributes.get(names.RESPONSE_ID) or "")
        if not response:
            return False
        teller = self._responses.get(span.trace_id, response)
        if teller is None or teller == span.span_id:
            self._responses.keep(span.span_id, span.trace_id, response)
            return self._passed_already(span, response)
        _clear(span, teller)
        return True

    def _remember_passed(self, span: SpanRow) -> None:
        if response := str(span.attributes.get(names.RESPONSE_ID) or ""):
            passed = _Passed(span.span_id, span.start_ns, span.end_ns)
            self._passed.keep(passed, response)

    def _passed_already(self, span: SpanRow, response: str) -> bool:
        """Was it told by the gateway, as a feature's or in a trace of the gateway's own?"""
        known = self._passed.get(response)
        if known is None or known.span_id == span.span_id or not known.within(span):
            return False
        _clear(span, known.span_id)
        return True

    def _mark_around(self, span: SpanRow, teller: str, here: dict[Key, SpanRow]) -> None:
        """What is around ``span`` up to the next boundary repeats the call that ``teller`` counts."""
        above = span.parent_span_id
        for _ in range(64):
            if not above:
                return
            self._around.keep(teller, span.trace_id, above)
            parent = here.get((span.trace_id, above))
            if parent is None or parent.operation in _BOUNDARIES:
                return
            above = parent.parent_span_id

    def _counted_around(self, span: SpanRow, here: dict[Key, SpanRow]) -> str | None:
        """A span around this one, up to the next boundary, that came earlier with the usage of the same call."""
        above = span.parent_span_id
        for _ in range(64):
            if not above:
                return None
            if (teller := self._counted.get(span.trace_id, above)) is not None:
                return teller
            parent = here.get((span.trace_id, above))
            if parent is None or parent.operation in _BOUNDARIES:
                return None
            above = parent.parent_span_id
        return None


def _trust(span: SpanRow) -> tuple[bool, int, int]:
    """Whom to believe about one call: the gateway and an SDK about itself, then who saw most (a stream's beginning
    knows less than its end)."""
    own = _is_gateway(span) or str(span.attributes.get(names.SCOPE_NAME, "")).startswith(_SDKS)
    return own, span.input_tokens + span.output_tokens, span.end_ns


def _is_gateway(span: SpanRow) -> bool:
    """Its spans come by no instrumentation, and carry how the request ended."""
    return names.SCOPE_NAME not in span.attributes and names.URL_PATH in span.attributes


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
