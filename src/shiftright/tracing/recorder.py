"""The spans of one feature call, kept in memory and cheap enough to record on every call.

    with Recorder() as recorder:
        with span("retrieve", **{"k": 5}) as step:
            step.set("hits", 3)
    spans = recorder.spans()

A span is the child of the span around it in the same asyncio task; a task inherits the span it was started in.
Without a recorder ``span`` records nothing.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from time import perf_counter_ns
from types import TracebackType
from typing import Any

from shiftright.core.answer import Span
from shiftright.core.text import storable
from shiftright.tracing import attributes as names

MAX_SPANS = 1_000
MAX_ATTRIBUTE_BYTES = 64 * 1024
_SCALARS = (bool, int, float, type(None))

_active: ContextVar[tuple[Recorder, int] | None] = ContextVar("shiftright.tracing", default=None)


class Recorder:
    """Records every ``span`` of its block, and of the tasks started in it: at most ``MAX_SPANS`` of them with
    ``MAX_ATTRIBUTE_BYTES`` of attributes in all."""

    __slots__ = ("_bytes", "_dropped_attributes", "_dropped_spans", "_open", "_start", "_token")

    def __init__(self) -> None:
        self._start = perf_counter_ns()
        self._open: list[OpenSpan] = []
        self._bytes = 0
        self._dropped_spans = 0
        self._dropped_attributes = 0

    def __enter__(self) -> Recorder:
        self._token = _active.set((self, -1))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _active.reset(self._token)

    def spans(self) -> tuple[Span, ...]:
        """What was recorded, in the order of starting; a span still running ends now.

        When something was dropped, a last span named ``dropped`` says how much.
        """
        if not self._open:
            return ()
        now = self._elapsed_us()
        taken = [
            Span(s.name, s.start_us, now if s.end_us < 0 else s.end_us, s.parent, s.attributes, s.error)
            for s in self._open
        ]
        if self._dropped_spans or self._dropped_attributes:
            counts = {
                names.DROPPED_SPANS: self._dropped_spans,
                names.DROPPED_ATTRIBUTES: self._dropped_attributes,
            }
            taken.append(Span("dropped", now, now, -1, counts))
        return tuple(taken)

    def _elapsed_us(self) -> int:
        return (perf_counter_ns() - self._start) // 1000

    def _admit(self, span: OpenSpan) -> int:
        """The span's index, or -1 when there is no room."""
        if len(self._open) >= MAX_SPANS:
            self._dropped_spans += 1
            return -1
        self._open.append(span)
        return len(self._open) - 1

    def _keep(self, name: str, value: Any) -> bool:
        size = len(name) + (len(value) if isinstance(value, (str, bytes)) else 8)
        if self._bytes + size > MAX_ATTRIBUTE_BYTES:
            self._dropped_attributes += 1
            return False
        self._bytes += size
        return True


class OpenSpan:
    """A span while it runs: a context manager that takes attributes with ``set``."""

    __slots__ = ("_recorder", "_token", "attributes", "end_us", "error", "name", "parent", "start_us")

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        self.name = storable(name)
        self.attributes = attributes
        self.error: str | None = None
        self.start_us = 0
        self.end_us = -1
        self.parent = -1
        self._recorder: Recorder | None = None
        self._token: Token[tuple[Recorder, int] | None] | None = None

    @property
    def recorded(self) -> bool:
        """Whether anybody keeps this span: without, describing it is wasted work."""
        return self._recorder is not None

    def set(self, name: str, value: Any) -> None:
        """Add an attribute. Anything that is not a string, number, truth value or list of them becomes its text."""
        if self._recorder is None:
            return
        name, value = storable(name), _plain(value)
        if self._recorder._keep(name, value):
            self.attributes[name] = value

    def __enter__(self) -> OpenSpan:
        active = _active.get()
        if active is None:
            return self
        recorder, self.parent = active
        index = recorder._admit(self)
        if index < 0:
            return self
        self._recorder = recorder
        self._token = _active.set((recorder, index))
        given, self.attributes = self.attributes, {}
        for name, value in given.items():
            self.set(name, value)
        self.start_us = recorder._elapsed_us()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._recorder is None or self._token is None:
            return
        self.end_us = self._recorder._elapsed_us()
        if error is not None:
            self.error = storable(f"{type(error).__name__}: {str(error)[:500]}")
        try:
            _active.reset(self._token)
        except ValueError:
            # A stream may be closed by another task than the one that opened it; that task's context has no span
            # of ours to go back from.
            self._token = None


def span(name: str, /, **attributes: Any) -> OpenSpan:
    """A step of the current call: ``with span("retrieve", k=5) as step: …``."""
    return OpenSpan(name, attributes)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return storable(str(value))
