"""Telemetry in DuckDB: what goes in comes out once, whatever the order, the size and the clock."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shiftright.core.trace import SpanRow, TraceFilter
from shiftright.errors import StoreError, UsageError
from shiftright.store.duckdb import DuckDBTelemetry
from shiftright.store.telemetry import open_telemetry

HOUR = 3_600_000_000_000
NOW = 1_794_000_000_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBTelemetry]:
    opened = DuckDBTelemetry(tmp_path / "telemetry.duckdb")
    yield opened
    opened.close()


def span(trace: int, number: int = 0, parent: int | None = None, **given: Any) -> SpanRow:
    start = given.pop("start_ns", NOW + trace * 1_000_000_000)
    given.setdefault("name", f"span {number}")
    return SpanRow(
        trace_id=f"{trace + 1:032x}",
        span_id=f"{number + 1:016x}",
        parent_span_id="" if parent is None else f"{parent + 1:016x}",
        start_ns=start,
        end_ns=given.pop("end_ns", start + 50_000_000),
        **given,
    )


def ids(store: DuckDBTelemetry, **where: Any) -> list[str]:
    return [row.trace_id for row in store.traces(TraceFilter(**where)).data]


def test_a_span_comes_back_as_it_was(store: DuckDBTelemetry) -> None:
    whole = span(
        1,
        operation="chat",
        error="it broke",
        service="shop",
        feature="triage",
        variant="rules",
        release="r1",
        user="u",
        session="s",
        provider="openai",
        model="gpt",
        input_tokens=3,
        output_tokens=4,
        cached_tokens=1,
        reasoning_tokens=2,
        cost_usd=None,
        input='[{"role":"user"}]',
        output="ok \x00 ✓",
        attributes={"a": [1, 2.5, None, {"b": True}], "ü": "x"},
    )
    assert store.append([whole]) == [whole]
    assert store.trace(whole.trace_id) == (whole,)
    assert store.trace("f" * 32) == ()
    assert store.trace("no id") == ()


def test_a_trace_is_the_sum_of_its_spans_whatever_order_they_come_in(store: DuckDBTelemetry) -> None:
    root = span(
        1, feature="f", user="u", name="root", input="Q" * 500, end_ns=NOW + 3_000_000_000, release="r"
    )
    calls = [
        span(1, n, 0, operation="chat", model="m", input_tokens=10, output_tokens=1, cost_usd=0.5)
        for n in (1, 2)
    ]
    store.append([calls[1]])
    early = store.traces().data[0]
    assert (early.name, early.feature, early.spans, early.cost_usd) == ("span 2", "", 1, 0.5)
    store.append([calls[0]])
    store.append([root])
    (row,) = store.traces().data
    assert (row.name, row.feature, row.user, row.model, row.spans) == ("root", "f", "u", "m", 3)
    assert (row.input_tokens, row.output_tokens, row.cost_usd) == (20, 2, 1.0)
    assert row.duration_ms == 2000.0
    assert row.input_preview == "Q" * 200
    assert [s.span_id[-1] for s in store.trace(row.trace_id)] == ["1", "2", "3"]


def test_a_trace_without_a_root_is_there(store: DuckDBTelemetry) -> None:
    store.append([span(1, 5, 9, error="lost"), span(1, 6, 9)])
    (row,) = store.traces().data
    assert (row.spans, row.error, row.name) == (2, "lost", "span 5")
    assert ids(store, failed=True) == [row.trace_id]


@given(order=st.permutations(range(12)), cuts=st.sets(st.integers(1, 11)))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_any_batches_give_the_same_traces(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], cuts: set[int]
) -> None:
    spans = [
        span(n // 4, n, None if n % 4 == 0 else n - n % 4, cost_usd=0.25, output_tokens=n) for n in range(12)
    ]
    store = DuckDBTelemetry(tmp_path_factory.mktemp("t") / "t.duckdb")
    mixed = [spans[n] for n in order]
    edges = [0, *sorted(cuts), 12]
    for first, last in itertools.pairwise(edges):
        store.append(mixed[first:last])
        assert store.append(mixed[:last]) == ()
    rows = store.traces().data
    assert [(row.trace_id[-1], row.spans, row.cost_usd) for row in rows] == [
        ("3", 4, 1.0),
        ("2", 4, 1.0),
        ("1", 4, 1.0),
    ]
    assert [row.output_tokens for row in rows] == [38, 22, 6]
    assert store.count() == 12
    store.close()


def test_duplicates_are_not_stored_twice_even_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    first = DuckDBTelemetry(path)
    spans = [span(n % 3, n) for n in range(9)]
    assert len(first.append([*spans, *spans])) == 9
    first.close()
    again = DuckDBTelemetry(path)
    late = span(7, 1, start_ns=NOW - HOUR)
    assert again.append([*spans, late]) == [late]
    assert again.count() == 10
    assert sum(row.spans for row in again.traces().data) == 10
    again.close()


def test_filters(store: DuckDBTelemetry) -> None:
    store.append(
        [
            span(0, feature="a", user="u1", service="x", session="s", variant="v", release="r1"),
            span(0, 1, 0, operation="chat", model="m1", provider="p", cost_usd=2.0, output="Grüße aus Köln"),
            span(1, feature="b", user="u2", error="bad", end_ns=NOW + 9_000_000_000),
            span(1, 1, 0, operation="chat", model="m2", attributes={"k.x": "7", "n": 7}),
            span(2, feature="a"),
        ]
    )
    t0, t1, t2 = (f"{n:032x}" for n in (1, 2, 3))
    assert ids(store) == [t2, t1, t0]
    assert ids(store, feature="a") == [t2, t0]
    assert ids(store, feature="a", model="m1") == [t0]
    assert ids(store, user="u2") == [t1]
    assert ids(store, service="x", session="s", variant="v", release="r1") == [t0]
    assert ids(store, failed=True) == [t1]
    assert ids(store, failed=False) == [t2, t0]
    assert ids(store, min_ms=5000) == [t1]
    assert ids(store, min_cost_usd=1.5) == [t0]
    assert ids(store, text="grüsse") == []
    assert ids(store, text="GRÜßE AUS") == [t0]
    assert ids(store, attribute=("k.x", "7")) == [t1]
    assert ids(store, attribute=("n", "7")) == [t1]
    assert ids(store, attribute=("n", "8")) == []
    assert ids(store, attribute=('"; DROP TABLE spans; --', "'")) == []
    assert ids(store, since_ns=NOW + 1_000_000_000) == [t2, t1]
    assert ids(store, until_ns=NOW + 1_000_000_000) == [t0]
    assert store.values("feature") == ("a", "b")
    assert store.values("model") == ("m1", "m2")
    assert store.values("provider") == ("p",)


def test_text_is_looked_for_in_the_last_day_unless_a_time_is_given(store: DuckDBTelemetry) -> None:
    store.append([span(0, input="needle", start_ns=NOW - 30 * HOUR), span(1, input="hay", start_ns=NOW)])
    assert ids(store, text="needle") == []
    assert ids(store, text="needle", since_ns=0) == [f"{1:032x}"]


def test_pages_cover_everything_once(store: DuckDBTelemetry) -> None:
    # Some start at the same moment, some hours apart, some in the future.
    starts = [NOW, NOW, NOW, NOW - HOUR, NOW - 100 * HOUR, NOW + 90_000 * HOUR, 0]
    store.append([span(n, start_ns=starts[n % 7]) for n in range(35)])
    seen: list[str] = []
    cursor = None
    while True:
        page = store.traces(limit=4, cursor=cursor)
        seen += [row.trace_id for row in page.data]
        if (cursor := page.next_cursor) is None:
            break
    assert len(seen) == len(set(seen)) == 35
    assert sorted(s.trace_id for batch in store.spans() for s in batch) == sorted(seen)
    with pytest.raises(UsageError, match="no cursor"):
        store.traces(cursor="1; DROP TABLE parts")


def test_rollups(store: DuckDBTelemetry) -> None:
    spans = []
    for n in range(10):
        end = NOW + 1_000_000 * (n + 1)
        spans.append(
            span(n, 0, release="a" if n < 6 else "b", start_ns=NOW, end_ns=end, error="x" if n == 0 else None)
        )
        spans.append(
            span(
                n,
                1,
                0,
                operation="chat",
                model="m",
                start_ns=NOW,
                cost_usd=0.1 if n else None,
                input_tokens=2,
            )
        )
    store.append(spans)
    a, b = store.rollups(by="release")
    assert (a.group, a.traces, a.errors, a.unpriced, a.input_tokens) == ("a", 6, 1, 1, 12)
    assert a.cost_usd == pytest.approx(0.5)
    assert a.p50_ms == pytest.approx(3.5)
    assert (b.traces, b.errors) == (4, 0)
    assert a.start_ns % HOUR == 0
    (model,) = store.rollups(by="model", bucket="day")
    assert (model.group, model.traces, model.unpriced) == ("m", 10, 1)
    (failed,) = store.rollups(TraceFilter(failed=True))
    assert failed.traces == 1


def test_enormous_values_are_cut_with_a_mark(store: DuckDBTelemetry) -> None:
    large = "x" * 5_000_000
    store.append([span(1, input=large, attributes={"a": large, "b": 1, "c": [large]})])
    (kept,) = store.trace(f"{2:032x}")
    assert kept.input.endswith("… [cut here: 5000000 characters]")
    assert kept.attributes["a"].endswith("[cut here: 5000000 characters]")
    assert kept.attributes["b"] == 1
    assert len(msgspec.json.encode(kept)) < 2_000_000


def test_what_cannot_be_stored_as_it_is_does_not_take_others_with_it(store: DuckDBTelemetry) -> None:
    store.append([span(1, input="\ud800 half"), span(2, input_tokens=2**70), span(3)])
    assert store.count() == 3
    assert store.trace(f"{2:032x}")[0].input == "\\ud800 half"
    with pytest.raises(StoreError, match="not hexadecimal"):
        store.append([msgspec.structs.replace(span(4), trace_id="zz")])


def test_retention_by_age_and_size(store: DuckDBTelemetry) -> None:
    import random

    words = [f"{random.Random(7).getrandbits(4000):x}"[n : n + 400] for n in range(500)]
    for hour in range(6):
        store.append(
            [
                span(hour * 1000 + n, start_ns=NOW + hour * HOUR + n, input=words[n % 500] + str(n * hour))
                for n in range(1000)
            ]
        )
    assert store.prune(older_than_ns=NOW + 2 * HOUR) == 2000
    assert store.count() == 4000
    assert min(row.start_ns for row in store.traces(limit=5000).data) == NOW + 2 * HOUR
    assert store.prune(keep_bytes=10**12) == 0
    assert store.prune(keep_bytes=0) == 4000
    assert store.traces().data == ()


def test_a_user_is_forgotten_everywhere(store: DuckDBTelemetry) -> None:
    store.append([span(1, user="u"), span(1, 1, 0, input="theirs"), span(2, user="v"), span(3, 1, 0)])
    store.append([span(3, user="u")])
    assert sorted(store.traces_of("user", "u")) == [f"{number:032x}" for number in (2, 4)]
    assert store.erase("user", "u") == 4
    assert store.count() == 1
    assert ids(store) == [f"{3:032x}"]


def test_a_session_and_a_trace_are_forgotten(store: DuckDBTelemetry) -> None:
    store.append([span(1, session="s"), span(2, session="t"), span(3), span(3, 1, 0)])
    assert (store.traces_of("session", "s"), store.erase("session", "s")) == ((f"{2:032x}",), 1)
    assert (store.traces_of("trace", f"{4:032x}"), store.erase("trace", f"{4:032x}")) == ((f"{4:032x}",), 2)
    assert (store.traces_of("trace", "f" * 32), store.erase("trace", "no id")) == ((), 0)
    assert ids(store) == [f"{3:032x}"]


def test_one_process_owns_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    code = (
        "import sys; from shiftright.store.duckdb import DuckDBTelemetry;"
        f"s = DuckDBTelemetry({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match=f"in use by process {other.pid}") as caught:
            DuckDBTelemetry(path)
        assert "serve" in str(caught.value)
        other.communicate()


def test_a_file_that_is_no_store_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match="cannot be read or written"):
        DuckDBTelemetry(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be kept"):
        DuckDBTelemetry(tmp_path / "file" / "t.duckdb")


def test_the_url_says_where(tmp_path: Path) -> None:
    store = open_telemetry(f"duckdb:///{tmp_path / 'a' / 't.duckdb'}")
    assert store.place == str(tmp_path / "a" / "t.duckdb")
    store.close()
    with pytest.raises(UsageError, match="cannot be kept"):
        open_telemetry("mysql://x")


def test_counts_are_limited_and_their_sums_are_numbers(store: DuckDBTelemetry) -> None:
    store.append(
        [span(1, n, None if n == 0 else 0, model="m", input_tokens=2**62, output_tokens=-1) for n in range(3)]
    )
    row = store.traces(TraceFilter()).data[0]
    assert (row.input_tokens, row.output_tokens) == (3 * 10**9, 0)
    store.append([span(1, 9, 0, model="m", input_tokens=1, start_ns=NOW + 1_000_000_001)])
    with store._cursor() as cursor:
        cursor.execute(f"UPDATE parts SET input_tokens = {2**63 - 1}")
        cursor.execute(f"UPDATE spans SET input_tokens = {2**63 - 1}")
    assert store.traces(TraceFilter()).data[0].input_tokens == 2**63 - 1
    assert [store.rollups(by=by)[0].input_tokens for by in ("", "model")] == [2**63 - 1] * 2


@pytest.mark.parametrize("end", [0, NOW - 3_000_000])
def test_a_span_that_ends_before_it_begins_is_found(store: DuckDBTelemetry, end: int) -> None:
    store.append([span(0, start_ns=NOW, end_ns=end), span(0, 1, 0, start_ns=NOW + 5, end_ns=0)])
    assert len(store.trace(f"{1:032x}")) == 2
    assert ids(store) == [f"{1:032x}"]


def test_a_clock_that_is_ahead_hides_nobody_elses_text(store: DuckDBTelemetry) -> None:
    now = time.time_ns()
    store.append([span(0, start_ns=now - HOUR, input="where is my card")])
    store.append([span(1, start_ns=now + 75 * 365 * 24 * HOUR, input="where is my card")])
    assert len(ids(store, text="my card")) == 2


def test_what_traces_are_listed_by_is_short(store: DuckDBTelemetry) -> None:
    long = "x" * 100_000
    store.append([span(0, name=long, user=long, session=long, model=long, feature=long, service=long)])
    store.append([span(0, 1, 0, name=long, model=long)])
    (row,) = store.traces().data
    (kept, _) = store.trace(row.trace_id)
    for text in (
        kept.name,
        kept.user,
        kept.session,
        kept.model,
        kept.feature,
        kept.service,
        row.name,
        row.user,
    ):
        assert len(text) == 256
        assert text.endswith("x…")
