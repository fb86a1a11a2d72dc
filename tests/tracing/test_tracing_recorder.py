from __future__ import annotations

import asyncio

import msgspec
import pytest

from shiftright.core.answer import Span
from shiftright.tracing import attributes
from shiftright.tracing.recorder import MAX_ATTRIBUTE_BYTES, MAX_SPANS, Recorder, span


def test_nothing_is_recorded_without_a_recorder() -> None:
    with span("alone", size=1) as step:
        step.set("more", 2)
    assert not step.recorded


def test_spans_nest_and_keep_their_order() -> None:
    with Recorder() as recorder:
        with span("outer", size=3) as outer:
            with span("inner"):
                pass
            outer.set("late", True)
        with span("after"):
            pass
    spans = recorder.spans()
    assert [(s.name, s.parent) for s in spans] == [("outer", -1), ("inner", 0), ("after", -1)]
    assert spans[0].attributes == {"size": 3, "late": True}
    assert spans[0].start_us <= spans[1].start_us <= spans[1].end_us <= spans[0].end_us <= spans[2].start_us


def test_each_task_nests_under_the_span_it_was_started_in() -> None:
    async def step(name: str) -> None:
        with span(name):
            await asyncio.sleep(0)
            with span(f"{name}.inner"):
                await asyncio.sleep(0)

    async def main() -> None:
        with span("root"):
            await asyncio.gather(step("a"), step("b"))

    with Recorder() as recorder:
        asyncio.run(main())
    spans = recorder.spans()
    parents = {s.name: (spans[s.parent].name if s.parent >= 0 else None) for s in spans}
    assert parents == {"root": None, "a": "root", "b": "root", "a.inner": "a", "b.inner": "b"}


def test_two_recorders_do_not_mix() -> None:
    async def call(name: str) -> tuple[Span, ...]:
        with Recorder() as recorder, span(name):
            await asyncio.sleep(0)
        return recorder.spans()

    async def main() -> list[tuple[Span, ...]]:
        return await asyncio.gather(call("a"), call("b"))

    assert [[s.name for s in spans] for spans in asyncio.run(main())] == [["a"], ["b"]]


def test_an_error_is_kept_with_its_span() -> None:
    with Recorder() as recorder, pytest.raises(ValueError, match="broken"), span("step"):
        raise ValueError("broken")
    assert recorder.spans()[0].error == "ValueError: broken"


def test_a_span_still_running_ends_now() -> None:
    with Recorder() as recorder:
        open_span = span("running")
        open_span.__enter__()
        (found,) = recorder.spans()
        assert found.end_us >= found.start_us
        open_span.__exit__(None, None, None)


def test_a_span_closed_in_another_context() -> None:
    """As happens to a stream that another task closes."""
    with Recorder() as recorder:
        step = span("stream")

        async def enter() -> None:
            step.__enter__()

        async def leave() -> None:
            step.__exit__(None, None, None)

        async def main() -> None:
            await asyncio.create_task(enter())
            await asyncio.create_task(leave())

        asyncio.run(main())
        with span("next"):
            pass
    assert [(s.name, s.parent) for s in recorder.spans()] == [("stream", -1), ("next", -1)]


def test_what_is_dropped_is_said() -> None:
    with Recorder() as recorder:
        for _ in range(MAX_SPANS + 7):
            with span("step"):
                pass
        with span("late"):
            pass
    spans = recorder.spans()
    assert len(spans) == MAX_SPANS + 1
    assert spans[-1].name == "dropped"
    assert spans[-1].attributes[attributes.DROPPED_SPANS] == 8
    with Recorder() as recorder, span("step") as step:
        step.set("kept", "x" * 100)
        step.set("too much", "x" * MAX_ATTRIBUTE_BYTES)
    first, dropped = recorder.spans()
    assert list(first.attributes) == ["kept"]
    assert dropped.attributes[attributes.DROPPED_ATTRIBUTES] == 1


def test_values_become_plain_data() -> None:
    with Recorder() as recorder, span("step", path=ValueError("x"), many=(1, {"a": 1}), none=None):
        pass
    assert recorder.spans()[0].attributes == {"path": "x", "many": [1, "{'a': 1}"], "none": None}


def test_text_that_is_not_unicode_can_be_stored() -> None:
    with (
        Recorder() as recorder,
        pytest.raises(ValueError, match="half"),
        span("step \ud800", a="\ud800", b=["\ud800"]),
    ):
        raise ValueError("half \ud800")
    (step,) = recorder.spans()
    assert msgspec.json.decode(msgspec.json.encode(step), type=Span) == step
    assert step.error == "ValueError: half \\ud800"
