"""Files written by the real tools (tests/data/result_files), and files nobody should have written."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shiftright.datasets import result_files
from shiftright.datasets.result_files import ResultFile, ResultRow
from shiftright.errors import DatasetError

FILES = Path(__file__).parents[1] / "data" / "result_files"


def scores(found: ResultFile) -> list[tuple[str, int, dict[str, float], str | None]]:
    return [(row.case_id, row.repeat, row.scores, row.failure) for row in found.rows]


def test_promptfoo_with_repeats() -> None:
    found = result_files.read(FILES / "promptfoo_one_provider.json")
    assert (found.tool, len(found.rows), found.metrics) == ("promptfoo", 6, ("score", "passed", "same"))
    assert [row.repeat for row in found.rows] == [0, 1, 0, 1, 0, 1]
    assert found.rows[0].input == {"q": "hello"}
    assert (found.rows[0].output, found.rows[0].latency_s, found.rows[0].cost_usd) == ("hello", 0.003, 0.0001)
    assert found.rows[4].failure == "provider exploded"


def test_promptfoo_with_two_providers_asks_which_one() -> None:
    path = FILES / "promptfoo_two_providers.json"
    with pytest.raises(DatasetError, match=r"several providers.*(?s:.)*1 'plain Repeat.*2 'shout"):
        result_files.read(path)
    by_name = result_files.read(f"{path}::shout")
    assert by_name == result_files.read(f"{path}::2")
    assert [row.scores.get("same") for row in by_name.rows] == [0.0, 1.0, None]
    plain = result_files.read(f"{path}::plain")
    assert [row.case_id for row in plain.rows] == [row.case_id for row in by_name.rows]
    with pytest.raises(DatasetError, match="not exactly one 'none'"):
        result_files.read(f"{path}::none")


def test_the_first_promptfoo_format() -> None:
    found = result_files.read(f"{FILES / 'promptfoo_version1.json'}::1")
    assert len(found.rows) == 4
    assert found.rows[0].input == {"year": 1950}


def test_inspect_logs_old_and_new_with_epochs_as_repeats() -> None:
    found = result_files.read(FILES / "inspect" / "epochs_zstandard.eval")
    assert scores(found) == [
        ("sky", 0, {"match": 1.0, "includes": 1.0}, None),
        ("sum", 0, {"match": 1.0, "includes": 1.0}, None),
        ("sky", 1, {"match": 1.0, "includes": 1.0}, None),
        ("sum", 1, {"match": 0.0, "includes": 0.0}, None),
    ]
    assert (found.rows[0].input, found.rows[0].output, found.rows[0].expected) == (
        "Colour of the sky?",
        "blue",
        "blue",
    )
    streamed = result_files.read(FILES / "inspect" / "log_streaming.eval")
    assert {(row.case_id, row.repeat) for row in streamed.rows} == {("1", 0), ("1", 1), ("2", 0), ("2", 1)}
    graded = result_files.read(FILES / "inspect" / "graded.json")
    assert graded.metrics == ("model_graded_fact",)
    unscored = result_files.read(FILES / "inspect" / "unscored.eval")
    assert unscored.metrics == ("exact",)
    assert "no scores" in unscored.warnings[-1]


def test_deepeval() -> None:
    found = result_files.read(FILES / "deepeval_run.json")
    assert found.tool == "deepeval"
    assert [row.scores for row in found.rows] == [{"Same": 1.0}, {"Same": 0.0}, {}]
    assert found.rows[0].tags == ("a",)
    assert found.rows[2].failure == "Same: RuntimeError: exploded"
    assert not found.rows[2].case_id.startswith("test_case")


def test_pytest_junit() -> None:
    found = result_files.read(FILES / "pytest_junit.xml")
    assert scores(found) == [
        ("test_echo::test_upper[hello]", 0, {"passed": 1.0, "score": 0.5}, None),
        ("test_echo::test_upper[world]", 0, {"passed": 0.0, "score": 0.5}, None),
        ("test_echo::test_error", 0, {}, 'failed on setup with "RuntimeError: no database"'),
    ]
    assert "1 skipped" in found.warnings[0]


def test_mlflow_tables() -> None:
    classic = result_files.read(FILES / "mlflow_eval_results_table.json")
    assert (classic.tool, [row.scores["same"] for row in classic.rows]) == ("mlflow", [1.0, 0.0, 1.0])
    genai = result_files.read(FILES / "mlflow_genai_eval_results.csv")
    assert genai.metrics == ("matches", "length")
    assert (genai.rows[1].output, genai.rows[1].expected, genai.warnings) == ("WORLD", "world", ())


def test_pydantic_evals_with_failures_and_repeats() -> None:
    found = result_files.read(FILES / "pydantic_evals_report.json")
    assert found.metrics == ("length", "EqualsExpected")
    assert found.rows[1].scores == {"length": 0.5, "EqualsExpected": 0.0}
    assert (found.rows[2].case_id, found.rows[2].failure) == ("third", "ValueError: exploded")
    repeated = result_files.read(FILES / "pydantic_evals_repeat.json")
    assert [(row.case_id, row.repeat) for row in repeated.rows][:2] == [("first", 0), ("first", 1)]


def test_tables_by_their_usual_column_names(tmp_path: Path) -> None:
    csv = tmp_path / "t.csv"
    csv.write_text(
        "question_id,prediction,answer,correct,fluency_score,latency_ms,cost,category,epoch,note\n"
        "1,A,A,true,0.5,1200,0.01,law,0,x\n2,B,A,no,90%,800,,law,0,\n3,,A,,,,,law,0,\n"
    )
    found = result_files.read(csv)
    assert scores(found) == [
        ("1", 0, {"correct": 1.0, "fluency": 0.5}, None),
        ("2", 0, {"correct": 0.0, "fluency": 0.9}, None),
        ("3", 0, {}, None),
    ]
    assert (found.rows[0].latency_s, found.rows[0].cost_usd, found.rows[0].tags) == (1.2, 0.01, ("law",))
    assert found.warnings == ("Columns not read: note.",)
    jsonl = tmp_path / "t.jsonl"
    jsonl.write_text(
        '{"input": "a", "output": 1, "expected": 1}\n{"input": "b", "output": "1", "expected": "2"}\n'
    )
    assert [row.scores for row in result_files.read(jsonl).rows] == [{"exact": 1.0}, {"exact": 0.0}]
    nested = result_files.from_records([{"id": 1, "scores": {"right": True, "tone": 0.5}}])
    assert nested.rows[0].scores == {"right": 1.0, "tone": 0.5}


def test_our_own_rows_come_back_unchanged(tmp_path: Path) -> None:
    row = ResultRow("a", input={"q": 1}, output="x", scores={"right": 1.0}, group="g", repeat=2, tags=("t",))
    failed = ResultRow("b", failure="timeout", latency_s=1.5, cost_usd=0.1)
    found = ResultFile("shiftright", (row, failed), ("right",))
    path = tmp_path / "rows.json"
    path.write_bytes(result_files.dump(found))
    assert result_files.read(path) == found


@pytest.mark.parametrize(
    "path", [p for p in sorted(FILES.rglob("*.*")) if p.suffix in {".json", ".xml", ".eval"}]
)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_files_are_errors_that_name_the_file(path: Path, share: float, tmp_path: Path) -> None:
    data = path.read_bytes()
    cut = tmp_path / path.name
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DatasetError, match=r"is empty|breaks off|is broken") as caught:
        result_files.read(cut)
    assert caught.value.file == str(cut)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", '{"hello": 1}', "a JSON object with the keys 'hello'; no known tool"),
        ("a.json", "[1, 2]", "a JSON list of 2 values"),
        ("a.bin", "hello", "a .bin file"),
        ("a.json", '{"testCases": []}', "without results"),
        ("a.csv", "colour,size\nred,1\n", "says which case"),
        ("a.csv", "id,size\n1,1\n", "is a score"),
        ("a.csv", "id,score\n1\n", "1 cell under 2 columns"),
        ("a.jsonl", '{"id": 1, "score": 1}\n{"id":', "a.jsonl:2: is JSON that breaks off"),
        ("a.jsonl", '{"id": 1, "score": 1}\n{"id": x}', "a.jsonl:2: is JSON that is broken"),
        ("a.jsonl", '{"id": 1, "score": 1}\n{"id": ' + "[" * 100_000, "a.jsonl:2: is nested too deeply"),
        ("a.csv", "id,score\na,1\nb\0,1\n", "a.csv:3: a cell holds a NUL character"),
        ("a.csv", "id,score,score\na,0,1\n", "a.csv:1: two columns are called 'score'"),
        ("a.csv", b"id,score\na,1\ncaf\xe9,1\n", "a.csv:3: byte 0xe9 is not UTF-8"),
        ("a.jsonl", b'{"id": "a", "score": 1}\n{"id": "caf\xe9"}', "a.jsonl:2: is not UTF-8"),
        ("a.xml", "<html></html>", "with <html>"),
        ("a.json", '{"format": "shiftright.rows/9", "rows": []}', "shiftright.rows/9"),
        ("a.json", '{"format": "shiftright.rows/1", "rows": [{}]}', "does not fit"),
        ("a.json", '{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_foreign_files_say_what_they_are(tmp_path: Path, name: str, text: str | bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(DatasetError) as caught:
        result_files.read(path)
    assert words in str(caught.value)


def test_entity_bombs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xml"
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    path.write_text(f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><testsuites>&a11;</testsuites>')
    with pytest.raises(DatasetError, match="declares a document type"):
        result_files.read(path)
    path.write_text('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuites>&a;</testsuites>')
    with pytest.raises(DatasetError, match="declares a document type"):
        result_files.read(path)


def test_zip_bombs_are_refused_with_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "bomb.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", b"{}")
        with archive.open("samples/a_epoch_1.json", "w") as member:
            for _ in range(101):
                member.write(b"0" * 1_000_000)
    assert path.stat().st_size < 200_000
    with pytest.raises(DatasetError, match="100,000,000 bytes a member"):
        result_files.read(path)


def test_a_zip_that_is_no_log_and_one_with_a_damaged_member(tmp_path: Path) -> None:
    path = tmp_path / "a.eval"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("hello.txt", "x")
    path.write_bytes(buffer.getvalue())
    with pytest.raises(DatasetError, match=r"no header\.json"):
        result_files.read(path)
    shutil.copy(FILES / "inspect" / "epochs_zstandard.eval", path)
    data = bytearray(path.read_bytes())
    at = data.index(b"samples/sky_epoch_1.json") + 60
    data[at : at + 8] = b"\0" * 8
    path.write_bytes(bytes(data))
    with pytest.raises(DatasetError, match="damaged member"):
        result_files.read(path)


DOCUMENTS = [json.loads(path.read_text()) for path in sorted(FILES.glob("*.json"))]
JUNK: list[Any] = [None, 1, -1.5, True, "x", [], {}, [1], {"a": 1}]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(DOCUMENTS), st.randoms(use_true_random=False))
def test_documents_of_another_shape_are_dataset_errors(tmp_path: Path, document: Any, random: Random) -> None:
    def damaged(value: Any) -> Any:
        if random.random() < 0.01:
            return random.choice(JUNK)
        if isinstance(value, dict):
            return {key: damaged(item) for key, item in value.items()}
        return [damaged(item) for item in value] if isinstance(value, list) else value

    path = tmp_path / "r.json"
    path.write_text(json.dumps(damaged(document)))
    with contextlib.suppress(DatasetError):
        assert result_files.read(path).rows


def test_nan_of_python_tools_is_a_missing_score(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    run = {"testCases": [{"name": "a", "input": "x", "metricsData": [{"name": "m", "score": float("nan")}]}]}
    path.write_text(json.dumps(run))
    (row,) = result_files.read(path).rows
    assert (row.scores, row.failure) == ({}, None)


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_nan_in_a_table_is_a_missing_score_too(tmp_path: Path, ending: str) -> None:
    rows = [{"id": "a", "output": "x", "score": float("nan")}, {"id": "b", "output": "y", "score": 1.0}]
    path = tmp_path / f"r.{ending}"
    path.write_text(json.dumps(rows) if ending == "json" else "".join(json.dumps(row) + "\n" for row in rows))
    first, second = result_files.read(path).rows
    assert (first.scores, first.failure, second.scores) == ({}, None, {"score": 1.0})


@pytest.mark.parametrize("word", ["n/a", "N/A", "NaN", "null", "None", "", "-", "#N/A", "<NA>"])
def test_words_for_nothing_are_missing_scores_and_no_errors(tmp_path: Path, word: str) -> None:
    path = tmp_path / "r.csv"
    path.write_text(f"id,score,error\na,{word},{word}\nb,1,\n")
    assert scores(result_files.read(path)) == [("a", 0, {}, None), ("b", 0, {"score": 1.0}, None)]


@pytest.mark.parametrize(
    ("words", "value"),
    [("PASS Passed true TRUE correct Yes 1 100%", 1.0), ("Fail FAILED False incorrect no 0 0%", 0.0)],
)
def test_words_for_right_and_wrong_are_numbers(tmp_path: Path, words: str, value: float) -> None:
    path = tmp_path / "r.csv"
    path.write_text("id,score\n" + "".join(f"{i},{word}\n" for i, word in enumerate(words.split())))
    assert {row.scores["score"] for row in result_files.read(path).rows} == {value}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "a.csv",
            "id;score\na;1\nb;0,5\n",
            "a.csv:3: score is '0,5', a number with a comma\n  Write numbers with",
        ),
        ("a.csv", 'id,score\na,"12,5 %"\n', "a.csv:2: score is '12,5 %', a number with a comma"),
        (
            "a.jsonl",
            '{"id": 1, "score": 1}\n\n{"id": 2, "score": "good"}',
            "a.jsonl:3: score is 'good', which is no",
        ),
        ("a.jsonl", '{"id": 1, "scores": {"tone": "bad"}}', "a.jsonl:1: tone is 'bad'"),
        (
            "a.json",
            '[{"id": 1, "score": 1}, {"id": 2, "score": [1]}]',
            "a.json: row 2: score is [1], which is no",
        ),
        ("a.jsonl", '{"id": 1, "score": 1e999}', "a.jsonl:1: score is inf, which is no finite number"),
        ("a.jsonl", '{"id": 1, "score": 1' + "0" * 400 + "}", "which is no finite number"),
        ("a.csv", "id,score\na,inf\n", "a.csv:2: score is 'inf'"),
        ("a.csv", "id,score\n=1+1,=2-1\n", "a.csv:2: score is '=2-1'"),
        ("a.csv", "id,correct\na,1\nb,Paris\n", "A column that is no score needs another name."),
        (
            "a.json",
            '{"testCases": [{"metricsData": [{"name": "m", "score": "good"}]}]}',
            "a.json: m is 'good'",
        ),
        ("a.json", '[{"id": 1, "m/score": 1}, {"id": 2, "m/score": "good"}]', "a.json: row 2: m is 'good'"),
        (
            "a.json",
            '{"eval": {}, "samples": [{"id": 1, "scores": {"m": 1}}, {"id": 2, "scores": {"m": "B"}}]}',
            "a.json: m is 'B', which is no",
        ),
    ],
)
def test_a_score_that_is_no_number_is_an_error_that_names_it(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DatasetError) as caught:
        result_files.read(path)
    assert words in str(caught.value)
    assert caught.value.file == str(path)
    assert caught.value.hint


def test_what_a_tool_never_scores_with_numbers_is_a_label(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    samples = [{"id": i, "scores": {"right": "C", "tone": "warm"}} for i in range(2)]
    path.write_text(json.dumps({"eval": {}, "status": "success", "samples": samples}))
    found = result_files.read(path)
    assert (found.metrics, found.warnings) == (("right",), ("tone is never a number: left out.",))
    path.write_text(json.dumps([{"id": i, "right/score": 1, "tone/value": "warm"} for i in range(2)]))
    found = result_files.read(path)
    assert (found.metrics, found.warnings) == (("right",), ("Columns not read: tone/value.",))
    path = tmp_path / "a.xml"
    properties = '<property name="author" value="Bob"/><property name="cosine" value="0.5"/>'
    path.write_text(
        f'<testsuite><testcase name="a"><properties>{properties}</properties></testcase></testsuite>'
    )
    assert result_files.read(path).metrics == ("passed", "cosine")
