from __future__ import annotations

import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_rows import FULL, failed, stored

from shiftright.core.answer import Answer, Span
from shiftright.errors import StoreError
from shiftright.store import Records
from shiftright.store.rows import StoredAnswer

plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_an_answer_comes_back_as_it_went_in(records: Records) -> None:
    a = stored()
    records.answers.put([a])
    assert records.answers.by_ids([a.id, "unknown"]) == {a.id: a}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(output=plain)
def test_any_json_output_comes_back(records: Records, output: object) -> None:
    a = stored(answer=Answer(output=output))
    records.answers.put([a])
    assert records.answers.by_ids([a.id])[a.id] == a


spans = st.builds(
    Span,
    st.text(),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(-1, 50),
    st.dictionaries(st.text(), plain, max_size=4),
    st.none() | st.text(),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(spans, max_size=20))
def test_any_trace_comes_back(records: Records, found: list[Span]) -> None:
    a = stored(answer=Answer(spans=tuple(found)))
    records.answers.put([a])
    assert records.answers.by_ids([a.id])[a.id] == a


def test_reading_a_variant_leaves_spans_out(records: Records) -> None:
    a = stored()
    records.answers.put([a])
    (found,) = records.answers.get("v0").values()
    assert found.answer.spans == ()
    assert found.answer.output == FULL.output


def test_the_answer_stored_last_is_the_one_found(records: Records) -> None:
    records.answers.put([stored(answer=Answer(output=1))])
    records.answers.put([stored(answer=Answer(output=2)), stored(answer=Answer(output=3), repeat=1)])
    found = records.answers.get("v0")
    assert {key: a.answer.output for key, a in found.items()} == {("i0", 0): 2, ("i0", 1): 3}


def test_a_failed_answer_is_kept_but_never_hides_a_success(records: Records) -> None:
    records.answers.put([stored(answer=Answer(output=1)), failed(), failed("i1")])
    assert list(records.answers.get("v0")) == [("i0", 0)]
    found = records.answers.get("v0", include_failed=True)
    assert found["i0", 0].answer.output == 1
    failure = found["i1", 0].answer.failure
    assert failure is not None
    assert failure.message == "no answer\x00 in 2 s"


@pytest.mark.parametrize("output", [float("nan"), [1, {"x": float("inf")}], "\ud800", object(), {1.5: sys}])
def test_what_is_not_json_is_refused_whole(records: Records, output: object) -> None:
    with pytest.raises(StoreError, match=r"case c7: .* cannot be stored"):
        records.answers.put([stored(), stored("i1", Answer(output=output), case_id="c7")])
    assert records.answers.get("v0") == {}


def test_an_id_is_stored_once(records: Records) -> None:
    a = stored()
    records.answers.put([a])
    with pytest.raises(StoreError):
        records.answers.put([stored("i1"), a])
    assert len(records.answers.get("v0")) == 1


def test_text_is_data_never_sql(records: Records) -> None:
    nasty = "x'; DROP TABLE answers; -- %s %(a)s ? :b"
    a = stored(nasty, Answer(output=nasty), variant=nasty, case_id=nasty)
    records.answers.put([a])
    assert records.answers.get(nasty) == {(nasty, 0): a}


@pytest.mark.parametrize("strange", [stored(case_id="\ud800"), stored(repeat=2**70)])
def test_columns_that_no_database_can_hold(records: Records, strange: StoredAnswer) -> None:
    with pytest.raises(StoreError):
        records.answers.put([stored("i1"), strange])
    assert records.answers.get("v0") == {}


def test_a_zero_byte_in_an_id_is_kept_or_refused(records: Records) -> None:
    a = stored(case_id="c\x00")
    try:
        records.answers.put([a])
    except StoreError as error:
        assert "NUL" in error.message  # noqa: PT017
        assert records.answers.get("v0") == {}
    else:
        assert records.answers.by_ids([a.id]) == {a.id: a}
