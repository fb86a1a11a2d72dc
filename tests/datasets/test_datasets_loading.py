from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shiftright import datasets
from shiftright.core.case import digest_of
from shiftright.datasets._reading import MAX_CASE_BYTES
from shiftright.errors import DatasetError


def write(folder: Path, text: str | bytes, name: str = "cases.jsonl") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


ROW = {"id": "a", "input": {"q": "hi"}, "expected": [1], "tags": ["x"], "group": "g", "source": "log"}


def test_a_row_becomes_a_case_with_digests(tmp_path: Path) -> None:
    found = datasets.load(write(tmp_path, lines(ROW)))
    case = found.cases[0]
    assert (case.id, case.input, case.expected, case.tags, case.group) == ("a", {"q": "hi"}, [1], ("x",), "g")
    assert case.input_digest == digest_of({"q": "hi"})
    assert case.digest == digest_of({"q": "hi"}, [1])
    assert (found.name, len(found), found.warnings) == ("cases", 1, ())


def test_conversations_keep_their_tool_calls(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
    ]
    case = datasets.load(write(tmp_path, lines({"messages": turns}))).cases[0]
    assert case.messages is not None
    assert case.messages[1].extra == {"tool_calls": [{"id": "1"}]}
    assert case.value == turns


def test_cases_without_ids_are_named_by_their_input_and_repeats_share_a_group(tmp_path: Path) -> None:
    found = datasets.load(write(tmp_path, lines({"input": "a"}, {"input": "b"}, {"input": "a"})))
    first, other, again = found.cases
    assert again.id == f"{first.id}-2"
    assert first.group == again.group == first.id
    assert other.group is None
    assert "1 case repeats" in found.warnings[0]


def test_the_digest_ignores_order_and_sees_content(tmp_path: Path) -> None:
    rows = [{"id": str(i), "input": i} for i in range(5)]
    digest = datasets.load(write(tmp_path, lines(*rows))).digest
    assert datasets.load(write(tmp_path, lines(*reversed(rows)))).digest == digest
    rows[0]["expected"] = 1
    assert datasets.load(write(tmp_path, lines(*rows))).digest != digest


def test_changed_looks_at_cases_and_not_only_at_the_clock(tmp_path: Path) -> None:
    path = write(tmp_path, lines(ROW))
    found = datasets.load(path)
    assert not found.changed()
    os.utime(path, ns=(1, 1))
    assert not found.changed()
    write(tmp_path, "\n" + lines(ROW))
    assert not found.changed()
    write(tmp_path, lines(ROW | {"input": 1}))
    assert found.changed()
    path.unlink()
    assert found.changed()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "has no cases"),
        ("\n\n", None, "has no cases"),
        (lines(ROW) + '{"input": 1', 2, "not JSON"),
        (lines(ROW) + "[1]\n", 2, "not a JSON object"),
        (lines(ROW, ROW), 2, "'a' is taken by line 1"),
        (lines({"input": 1, "expcted": 2}), 1, "Did you mean 'expected'"),
        (lines({"expected": 1}), 1, "needs input or messages"),
        (lines({"input": 1, "messages": [{"role": "user"}]}), 1, "not both"),
        (lines({"messages": "hi"}), 1, "not a list of turns"),
        (lines({"messages": []}), 1, "not a list of turns"),
        (lines({"messages": [{"content": "x"}]}), 1, "needs a role"),
        (lines({"input": 1, "tags": "x"}), 1, "tags is not a list"),
        (lines({"input": 1, "id": [1]}), 1, "id is not text"),
        (lines({"input": 1, "group": 1.5}), 1, "group is not text"),
        (b'{"input": 1}\n{"input": "caf\xe9"}\n', 2, "0xe9 is not UTF-8"),
        ('{"input": ' + "[" * 100_000, 1, "nested too deeply"),
        ('{"input": "\\ud800"}', 1, "not JSON"),
        ('{"input": NaN}', 1, "not JSON"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, text: str | bytes, line: int | None, words: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DatasetError) as caught:
        datasets.load(path)
    assert (caught.value.file, caught.value.line) == (str(path), line)
    assert words in str(caught.value)
    assert caught.value.hint


def test_a_huge_case_a_foreign_ending_a_missing_file_and_broken_gzip(tmp_path: Path) -> None:
    big = "x" * MAX_CASE_BYTES
    with pytest.raises(DatasetError, match=r"cases.jsonl:2: a case is larger than 10,000,000 bytes"):
        datasets.load(write(tmp_path, lines({"input": 1}, {"input": big})))
    with pytest.raises(DatasetError, match=r"c.csv:2: a case is larger"):
        datasets.load(write(tmp_path, f"input\n{big}x\n", "c.csv"))
    with pytest.raises(DatasetError, match=r"c.yaml:1: a case is larger"):
        datasets.load(write(tmp_path, f"- input: {big}\n", "c.yaml"))
    with pytest.raises(DatasetError, match=r"'.txt' is no format"):
        datasets.load(write(tmp_path, "x", "cases.txt"))
    with pytest.raises(DatasetError, match="No such file"):
        datasets.load(tmp_path / "none.jsonl")
    with pytest.raises(DatasetError, match="gzip"):
        datasets.load(write(tmp_path, gzip.compress(lines(ROW).encode())[:-9], "cases.jsonl.gz"))


def test_all_formats_hold_the_same_cases(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "input": "a,b", "expected": {"q": [1]}, "tags": ["x", "y"], "group": "g"},
        {"id": "2", "input": "c"},
    ]
    yaml = (
        "cases:\n- {id: '1', input: 'a,b', expected: {q: [1]}, tags: [x, y], group: g}\n- {id: 2, input: c}\n"
    )
    csv = 'id,input,expected,tags,group\n1,"a,b","{""q"": [1]}",x;y,g\n2,c,,,\n'
    loaded = [
        datasets.load(write(tmp_path, lines(*rows))),
        datasets.load(write(tmp_path, "\ufeff" + csv, "c.csv")),
        datasets.load(
            write(
                tmp_path,
                csv.replace(";", "|").replace(",", ";").replace("a;b", "a,b").replace("|", ","),
                "d.csv",
            )
        ),
        datasets.load(write(tmp_path, yaml, "c.yaml")),
        datasets.load(write(tmp_path, gzip.compress(lines(*rows).encode()), "z.jsonl.gz")),
    ]
    assert len({found.digest for found in loaded}) == 1
    assert all(found.cases == loaded[0].cases for found in loaded)
    assert loaded[-1].name == "z"


def test_csv_columns_that_are_no_keys_make_up_the_input(tmp_path: Path) -> None:
    found = datasets.load(write(tmp_path, "question,lang,expected\nhi,en,yes\n", "c.csv"))
    assert found.cases[0].input == {"question": "hi", "lang": "en"}
    assert found.cases[0].expected == "yes"


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@cmd", '=HYPERLINK("http://x","y")', "[not json", "007", "true"]
)
def test_formulas_and_numbers_in_csv_are_text_and_round_trip(tmp_path: Path, cell: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    path = write(tmp_path, f"id,input,expected\na,{quoted},{quoted}\n", "c.csv")
    case = datasets.load(path).cases[0]
    assert (case.input, case.expected) == (cell, cell)
    copy = write(tmp_path, "id,input,expected\n", "copy.csv")
    copy.write_text("id,input,expected\nz,first,\n")
    datasets.append(copy, [case])
    assert datasets.load(copy).cases[1] == case


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("input,expected\na\n", 2, "1 cell under 2 columns"),
        ("input,input\na,b\n", 1, "two columns are called 'input'"),
        ("id,expected\na,b\n", 1, "no input column"),
        ('input\n"a\n', 2, "not CSV"),
        ("input,langg\na,b\n", 2, "unknown key 'langg'"),
        ("id,input\n1,a\n1,b\n", 3, "taken by line 2"),
        ("id,input\na\0b,a\n", 2, "id holds a NUL character"),
    ],
)
def test_csv_errors(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(DatasetError, match=words) as caught:
        datasets.load(write(tmp_path, text, "c.csv"))
    assert caught.value.line == line


def test_yaml_errors(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"c.yaml:2: this is not a mapping"):
        datasets.load(write(tmp_path, "- {input: 1}\n- x\n", "c.yaml"))
    with pytest.raises(DatasetError, match="is not a list"):
        datasets.load(write(tmp_path, "a: 1\n", "c.yaml"))
    with pytest.raises(DatasetError, match=r"c.yaml:1: .*second time"):
        datasets.load(write(tmp_path, "- {input: 1, input: 2}\n", "c.yaml"))


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60)
@given(
    rows=st.lists(st.fixed_dictionaries({"input": JSON}, optional={"expected": JSON}), min_size=1, max_size=6)
)
def test_any_json_survives_append_and_load(
    rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    found = datasets.load(write(folder, lines(*rows)))
    copy = folder / "copy.jsonl"
    datasets.append(copy, found.cases)
    assert datasets.load(copy).cases == found.cases
    assert datasets.load(copy).digest == found.digest
    assert len({case.id for case in found}) == len(rows)
