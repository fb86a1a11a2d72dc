from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shiftright import datasets
from shiftright.core.case import Case
from shiftright.errors import DatasetError


def test_what_was_there_stays_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    before = b'{ "input":  1 }\r\n\n{"id":"b","input":"\xc3\xa9"}'
    path.write_bytes(before)
    path.chmod(0o640)
    datasets.append(path, [Case("new", input={"q": 2}, expected="x", tags=("t",), group="g", source="log")])
    assert path.read_bytes().startswith(before + b"\n")
    case = datasets.load(path).cases[-1]
    assert (case.id, case.input, case.expected, case.tags, case.group, case.source) == (
        "new", {"q": 2}, "x", ("t",), "g", "log",
    )  # fmt: skip
    assert path.stat().st_mode & 0o777 == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["cases.jsonl"]


def test_a_taken_id_or_a_broken_file_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"id": "a", "input": 1}\n')
    with pytest.raises(DatasetError, match="'a' is taken"):
        datasets.append(path, [Case("b", input=1), Case("a", input=2)])
    assert path.read_text() == '{"id": "a", "input": 1}\n'
    path.write_text("{")
    with pytest.raises(DatasetError, match="not JSON"):
        datasets.append(path, [Case("b", input=1)])
    with pytest.raises(DatasetError, match=r"cannot be added to \.yaml"):
        datasets.append(tmp_path / "c.yaml", [Case("b", input=1)])


def test_csv_takes_what_its_columns_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("id;question;expected\n1;a;b\n")
    datasets.append(path, [Case("2", input={"question": "c;d"}, expected={"q": 1})])
    assert path.read_text() == 'id;question;expected\n1;a;b\n2;"c;d";"{""q"":1}"\n'
    assert datasets.load(path).cases[1].expected == {"q": 1}
    with pytest.raises(DatasetError, match="no column 'tags'"):
        datasets.append(path, [Case("3", input={"question": "c"}, tags=("x",))])


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    program = (
        "import sys\nfrom shiftright import datasets\nfrom shiftright.core.case import Case\n"
        "for i in range(10): datasets.append(sys.argv[1], [Case(f'{sys.argv[2]}{i}', input=sys.argv[2] * 30 + str(i))])"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "abc"]
    assert [process.wait(20) for process in running] == [0, 0, 0]
    assert len(datasets.load(path)) == 30


def test_leaks_are_found_whatever_the_spacing(tmp_path: Path) -> None:
    long = "My card was charged twice in Lisbon"
    cases = [
        Case("text", input=long),
        Case("field", input={"lang": "en", "message": long}),
        Case("other", input="Another message that stands nowhere"),
        Case("short", input="My card"),
        Case("number", input=5),
    ]
    prompt = "Examples:\n  my CARD was\n charged twice in lisbon -> cards\n"
    assert [case.id for case in datasets.leaks(prompt, cases)] == ["text", "field"]
    assert datasets.leaks("nothing", cases) == []
