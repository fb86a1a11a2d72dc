"""DataFrames, and how a comparison shows itself in a notebook and in a REPL."""

from __future__ import annotations

import asyncio

import msgspec
import pandas as pd
import pytest
from recorded_rows import run

from shiftright.datasets.result_files import ResultRow
from shiftright.errors import DatasetError
from shiftright.evals.compare import Comparison, compare

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e<img src=x onerror=alert(2)>"


def frame(scores: list[float], **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"c{i}" for i in range(len(scores))], "score": scores, **columns})


def test_two_frames() -> None:
    found = compare(frame([1, 0] * 50), frame([0, 0] * 50))
    assert (found.pairs, found.baseline, found.variant, found.merge) == (100, "old", "new", "no")


def test_columns_keep_their_meaning() -> None:
    data = frame(
        [1.0, 0.0], group=["g", "g"], tags=[["x"], ["x", "y"]], latency_ms=[500, 1500], output=["a", None]
    )
    found = compare(data, data)
    assert found.units == 1
    assert found.amounts[0].old == 1.0


def test_a_named_index_is_an_id_and_a_counting_one_is_not() -> None:
    data = frame([1.0, 0.0, 1.0])
    assert compare(data.set_index("id"), data).pairs == 3
    with pytest.raises(DatasetError, match="which case"):
        compare(data[["score"]], data[["score"]])


def test_other_numbers_are_metrics_where_no_column_is_a_score() -> None:
    data = pd.DataFrame(
        {"id": ["a", "b"], "faithful": [1.0, 0.5], "relevant": [True, False], "why": ["x", "y"]}
    )
    assert [row.check for row in compare(data, data).checks] == ["faithful", "relevant"]
    mixed = data.assign(score=[1.0, 1.0])
    assert [row.check for row in compare(mixed, mixed).checks] == ["score"]
    assert [row.check for row in compare(mixed, mixed, metric="faithful").checks] == ["faithful"]


def test_cells_that_are_missing_are_missing() -> None:
    data, holes = frame([1.0, 1.0, 1.0]), frame([1.0, float("nan"), 1.0], output=["a", "b", pd.NA])
    found = compare(data, holes)
    assert found.checks[0].estimate == 0.0
    assert "score: cases with a value in one file only: 1 (c1), no proof of anything" in found.notes
    msgspec.json.encode(found)


def test_words_in_a_column_of_scores_are_an_error_that_names_the_row() -> None:
    data = frame([1.0, 1.0])
    with pytest.raises(DatasetError, match="new: row 1: score is 'good', which is no finite number"):
        compare(data, data.assign(score="good"))


def hostile() -> Comparison:
    old = [
        ResultRow(f"{HOSTILE}{i}", HOSTILE, HOSTILE, HOSTILE, {HOSTILE: 1.0}, tags=(HOSTILE,))
        for i in range(30)
    ]
    new = [msgspec.structs.replace(row, scores={}, output=None, failure=HOSTILE) for row in old]
    return compare(old, [*new, ResultRow("extra", "q", scores={HOSTILE: 1.0})])


def test_html_holds_no_markup_of_strangers() -> None:
    page = hostile()._repr_html_()
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "http" not in page


def test_text_and_markdown_hold_no_control_characters_or_markup() -> None:
    found = hostile()
    assert "\x1b" not in repr(found)
    assert "\u202e" not in repr(found)
    markdown = found._repr_markdown_()
    assert "<script" not in markdown
    assert "&lt;script&gt;" in markdown


def test_it_shows_itself_in_a_running_loop() -> None:
    async def cell() -> Comparison:
        return compare(frame([1.0] * 40), frame([1.0] * 40))

    found = asyncio.run(cell())
    assert repr(found).startswith("MERGE? yes   RELEASE? inconclusive")
    assert "Merge?" in found._repr_html_()
    assert found._repr_markdown_().startswith("**MERGE? yes")


def test_repr_names_what_is_compared() -> None:
    text = repr(compare(run([1.0] * 40), run([0.0] * 40)))
    assert "old → new: 40 cases paired by id" in text
    assert "broke: 40 (case-0, case-1, case-2, case-3, case-4, …)" in text
