"""Which row belongs to which: by id, else by input, never by position."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from recorded_rows import run

from shiftright.datasets.result_files import ResultRow
from shiftright.errors import UsageError
from shiftright.evals.compare import compare


def test_cases_only_one_side_has_are_listed() -> None:
    found = compare(run([1.0] * 10), run([1.0] * 12)[3:])
    assert (found.pairs, found.paired_by) == (7, "id")
    assert found.only_old == ("case-0", "case-1", "case-2")
    assert found.only_new == ("case-10", "case-11")


def test_numbers_that_moved_do_not_pair_different_cases() -> None:
    """A tool that numbers cases by position shifts them all when one is added."""
    old = [msgspec.structs.replace(row, case_id=str(i)) for i, row in enumerate(run([1.0] * 20))]
    added = ResultRow("0", input="a new first question", scores={"score": 1.0})
    new = [added, *(msgspec.structs.replace(row, case_id=str(i + 1)) for i, row in enumerate(old))]
    found = compare(old, new)
    assert (found.pairs, found.paired_by) == (20, "input")
    assert found.broke == found.fixed == ()
    assert found.only_new == ("0",)
    assert "20 cases had another input under the same id: paired by input" in found.notes[-1]


def test_a_few_ids_with_other_inputs_are_left_out_and_named() -> None:
    old = run([1.0] * 20)
    new = [msgspec.structs.replace(row, input="rephrased") if i == 3 else row for i, row in enumerate(old)]
    found = compare(old, new)
    assert (found.pairs, found.paired_by) == (19, "id")
    assert "1 case had another input under the same id: left out (case-3)" in found.notes


def test_ids_that_name_other_cases_everywhere_are_refused() -> None:
    old = run([1.0] * 20)
    new = [msgspec.structs.replace(row, input=f"other {row.input}") for row in old]
    with pytest.raises(UsageError, match="same id in both files but another input"):
        compare(old, new)


def test_ids_alone_suffice_where_a_file_has_no_inputs() -> None:
    old = run([1.0] * 20)
    found = compare(old, [msgspec.structs.replace(row, input=None) for row in old])
    assert (found.pairs, found.paired_by) == (20, "id")


def test_an_id_for_two_cases_is_refused() -> None:
    rows = run([1.0] * 5)
    twice = [*rows, msgspec.structs.replace(rows[1], case_id="case-0")]
    with pytest.raises(UsageError, match="'case-0' stands for 2 different inputs"):
        compare(twice, rows)


def test_an_input_under_two_ids_is_refused_when_only_inputs_could_pair() -> None:
    rows = run([1.0] * 5)
    new = run([1.0] * 5, prefix="other")
    with pytest.raises(UsageError, match="one input stands under 2 ids"):
        compare([*rows, msgspec.structs.replace(rows[0], case_id="again")], new)


@pytest.mark.parametrize("shared", [0, 1])
def test_fewer_than_two_pairs_are_refused(shared: int) -> None:
    old = run([1.0] * 5)
    moved = [
        row if i < shared else msgspec.structs.replace(row, case_id=f"x{i}", input=f"y{i}")
        for i, row in enumerate(old)
    ]
    with pytest.raises(UsageError, match="at least 2 are needed"):
        compare(old, moved)


def test_files_without_ids_pair_by_input(tmp_path: Path) -> None:
    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    rows = [{"input": f"q{i}", "output": "a", "expected": "a", "score": 1} for i in range(30)]
    old.write_text("\n".join(json.dumps(row) for row in rows))
    new.write_text("\n".join(json.dumps(row) for row in rows[::-1]))
    found = compare(old, new)
    assert (found.pairs, found.paired_by, found.baseline) == (30, "input", str(old))
