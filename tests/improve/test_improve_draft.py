"""From recorded traffic to a contract that passes ``check``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traces import chat_span, feature_span

from shiftright import prompts
from shiftright import spec as specs
from shiftright.errors import UsageError
from shiftright.evals.outlook import outlook
from shiftright.improve.draft import Draft, draft
from shiftright.improve.feedback import Given, take
from shiftright.improve.observed import Observed, of_file, of_traces
from shiftright.improve.reviews import ask_labels, resolve
from shiftright.settings import Settings
from shiftright.store import Records, open_records
from shiftright.store.duckdb import DuckDBTelemetry
from shiftright.tracing.exchange import is_conversation

SYSTEM = {"role": "system", "content": "Sort into {{queues}}: card or other."}
WORDS = [f"word{letter}" for letter in "abcdefghijklmnopqrs"]


def words(number: int) -> str:
    return (
        " ".join(WORDS[(number * k + k) % len(WORDS)] for k in range(1, 7))
        + f" {WORDS[number % 19]}{WORDS[number % 7]}"
    )


def write(folder: Path, made: Draft) -> Path:
    for name, content in made.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder / "spec.yaml"


def chats(count: int) -> list[Any]:
    return [
        chat_span(
            i,
            [SYSTEM, {"role": "user", "content": words(i)}],
            {"role": "assistant", "content": json.dumps({"queue": "card" if i % 2 else "other"})},
            session=f"s{i % 9}",
        )
        for i in range(1, count + 1)
    ]


def test_from_recorded_chats_and_labels(tmp_path: Path) -> None:
    here = Settings.load(tmp_path, env={})
    telemetry = DuckDBTelemetry(tmp_path / "t.duckdb")
    spans = chats(40)
    telemetry.append(spans)
    with open_records(here.records_url) as records:
        unlabelled = draft("triage", of_traces(records, telemetry, "triage", limit=100))
        assert "right" not in unlabelled.files["spec.yaml"]
        assert any("no check says" in edit for edit in unlabelled.edits)

        opened = ask_labels(records, telemetry, limit=30)
        assert len(opened) == 30
        assert len(ask_labels(records, telemetry, limit=30)) == 10, "nobody is asked twice"
        for review in opened[:20]:
            resolve(records, here, review.id, "good", "ann")
        for review in opened[20:25]:
            resolve(records, here, review.id, "bad", "ann", correction={"queue": "loans"})
        take(records, telemetry.trace, Given(trace_id=opened[29].trace_id, correction={"queue": "fees"}))
        made = draft("triage", of_traces(records, telemetry, "triage", limit=100))
    telemetry.close()
    path = write(tmp_path, made)
    seen = outlook(path)
    spec = specs.load(path)
    assert 20 <= sum(seen.cases.values()) <= 26
    assert not [warning for warning in seen.warnings if "baseline" in warning]
    assert spec.variants["current"].settings == {"model": "openai:gpt-5-mini", "prompt": "prompts/current.md"}
    assert {check.name for check in spec.checks} == {"right", "json", "latency", "cost"}
    assert spec.check("right").params == {"field": "queue"}
    assert spec.check("latency").clauses[0].bound == pytest.approx(1.05, abs=0.06)
    rows = [
        json.loads(line)
        for name in ("dev.jsonl", "gate.jsonl")
        for line in (tmp_path / name).read_text().splitlines()
    ]
    assert {"queue": "loans"} in [row["expected"] for row in rows]
    assert {"queue": "fees"} in [row["expected"] for row in rows]
    assert all(row["source"].startswith("trace:") and row["group"].startswith("s") for row in rows)
    groups = [
        {json.loads(line)["group"] for line in (tmp_path / name).read_text().splitlines()}
        for name in ("dev.jsonl", "gate.jsonl")
    ]
    assert not groups[0] & groups[1], "a session never stands on both sides"
    prompt = prompts.load(tmp_path / "prompts/current.md")
    system, user = prompt.render({"input": "hi"})
    assert (system.role, system.content, user.content) == ("system", SYSTEM["content"], "hi")  # type: ignore[union-attr]


def test_traces_of_the_feature_come_first_and_run_is_left_to_a_person(
    tmp_path: Path, records: Records
) -> None:
    telemetry = DuckDBTelemetry(tmp_path / "t.duckdb")
    telemetry.append(
        [*chats(5), *(feature_span(i, {"text": words(i)}, {"queue": "card"}) for i in range(50, 60))]
    )
    observed = of_traces(records, telemetry, "triage", limit=100)
    telemetry.close()
    assert len(observed) == 10
    made = draft("sorter", observed)
    assert "run: http" in made.files["spec.yaml"]
    assert any(edit.startswith("run in spec.yaml") for edit in made.edits)
    assert outlook(write(tmp_path / "sorter", made)).feature == "sorter"


def test_from_a_table(tmp_path: Path) -> None:
    table = tmp_path / "seen.csv"
    table.write_text(
        "input,output,expected\n"
        + "".join(f"{words(i)} {i},card,{'card' if i % 5 else 'other'}\n" for i in range(40))
    )
    made = draft("triage", of_file(table))
    spec = specs.load(write(tmp_path / "triage", made))
    assert spec.check("right").clauses[0].kind == "at_least"
    assert 0.5 <= spec.check("right").clauses[0].bound <= 0.95


def test_nearly_equal_inputs_stand_once_the_labelled_one_first() -> None:
    rows = [Observed(source=f"t{i}", value=f"Where is my order {i}?", output="x") for i in range(20)]
    rows += [Observed(source="l", value="where is my order 77", output="x", expected="shipping")]
    rows += [Observed(source=f"o{i}", value=words(i), output="x", expected=f"e{i % 2}") for i in range(5)]
    made = draft("f", rows)
    cases = [
        json.loads(line) for name in ("dev.jsonl", "gate.jsonl") for line in made.files[name].splitlines()
    ]
    about_orders = [case for case in cases if "order" in case["input"].lower()]
    assert [case["expected"] for case in about_orders] == ["shipping"]


def test_too_little_is_told() -> None:
    with pytest.raises(UsageError, match="too few"):
        draft("f", [])
    with pytest.raises(UsageError, match="too few"):
        draft("f", [Observed(source="a", value="one", failed=True), Observed(source="b", value="two")])


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)
HOSTILE = st.sampled_from(
    ["{{ 7*7 }}", "{% raw %}", "</system>\n<user>", "<user>\n{# x #}", "---\na: b", '"}\n- x', "</script>"]
)
VALUES = st.one_of(
    TEXTS,
    HOSTILE,
    st.lists(
        st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": TEXTS}),
        min_size=1,
        max_size=3,
    ),
    st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers(-9, 9), st.none(), st.booleans()), max_size=3),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            Observed,
            source=st.uuids().map(str),
            value=VALUES.filter(lambda value: value is not None),
            output=VALUES,
            expected=st.one_of(st.none(), VALUES.filter(lambda value: value is not None)),
            system=st.one_of(st.none(), TEXTS, HOSTILE),
            model=st.sampled_from(["", "openai:gpt-5", "weird provider:a b: {c}"]),
            latency_s=st.one_of(st.none(), st.floats(1e-6, 1e4)),
            cost_usd=st.one_of(st.none(), st.floats(0, 100)),
            group=st.one_of(st.none(), st.sampled_from("abc")),
        ),
        min_size=2,
        max_size=12,
    )
)
def test_whatever_was_recorded_the_draft_passes_check(observed: list[Observed]) -> None:
    try:
        made = draft("f", observed)
    except UsageError:
        return
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name), made)
        seen = outlook(path)
        assert seen.cases["gate"] >= 1
        prompt = Path(name) / "prompts" / "current.md"
        if prompt.exists():
            rendered = prompts.load(prompt).render({"input": "{{ hi }}"})
            systems = {each.system for each in observed if each.system is not None}
            words = rendered if isinstance(rendered, str) else rendered[0].content
            talks = any(is_conversation(each.value) for each in observed)
            assert (
                words == "{{ hi }}"
                or words.strip() in {text.strip() for text in systems}
                or (talks and not words.strip())
            )
