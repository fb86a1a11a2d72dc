"""``shiftright review`` from complaint to case, through the command line."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shiftright.core.trace import SpanRow
from shiftright.improve.feedback import Given, take
from shiftright.settings import Settings
from shiftright.store import open_records

SPEC = """\
feature: echo
run: echo:echo
variants: {old: {shout: false}, new: {shout: true}}
baseline: old
cases: {gate: gate.jsonl}
checks:
  right: {score: exact, at_least: 10%}
"""
CODE = """\
from shiftright import variant

def echo(text):
    return text.upper() if variant("echo")["shout"] else text
"""
TRACE = "a" * 32


@pytest.fixture
def project(shiftright: Any, tmp_path: Path) -> Any:
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "echo.py").write_text(CODE)
    rows = [{"id": f"c{i}", "input": f"hello {i}", "expected": f"hello {i}"} for i in range(30)]
    (tmp_path / "gate.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return shiftright


def complain(folder: Path, trace: str = TRACE, words: str = "good \x1b[31mmorning") -> None:
    span = SpanRow(
        trace_id=trace, span_id="b" * 16, name="echo", start_ns=1, end_ns=2, operation="feature", feature="echo",
        input=json.dumps(words), output=json.dumps("no"),
    )  # fmt: skip
    with open_records(Settings.load(folder, env={}).records_url) as records:
        take(records, lambda _: (span,), Given(trace_id=trace, value=0, comment="<b>bad</b>"))


def test_list_show_resolve(project: Any, tmp_path: Path) -> None:
    assert "nothing waits" in project("review").out
    complain(tmp_path)
    (group,) = project("review", "--json").json["groups"]
    assert (group["feature"], group["kind"]) == ("echo", "complaint")
    (review_id,) = group["reviews"]
    listed = project("review", "list", "--feature", "echo").out
    assert review_id in listed
    assert "\x1b" not in listed
    shown = project("review", "show", review_id)
    assert "<b>bad</b>" in shown.out
    assert "1 real" in shown.out
    done = project(
        "review",
        "resolve",
        review_id,
        "1",
        "--correction",
        "morning",
        "--consent",
        "given",
        "--reviewer",
        "ann",
    )
    assert done.code == 0
    assert "must.jsonl" in done.out
    assert project("review", "list", "--json").json == {"groups": []}
    code, out, _ = project("eval", "echo", "--variant", "new", "--json")
    assert code == 1
    assert "must" in json.loads(out)["reasons"][0]


def test_bad_words_are_told(project: Any, tmp_path: Path) -> None:
    complain(tmp_path)
    (review_id,) = project("review", "--json").json["groups"][0]["reviews"]
    for words, message in (
        (("resolve", review_id, "perhaps"), "cannot be resolved"),
        (("resolve", review_id, "real", "--correction", "x"), "consent"),
        (("resolve", review_id, "real", "--correction", "{x", "--consent", "given"), "begins like JSON"),
        (("resolve", review_id, "real", "--consent", "maybe"), "maybe"),
        (("show", "v-zzz"), "no review"),
        (("list", "--kind", "x"), "no kind"),
        (("pairs",), "which answers"),
        (("pairs", "--feature", "echo", "--prefer", "new", "--to", "old"), "no traces"),
        (("start",), "keyboard"),
        (("figures", "echo", "--prefer", "new"), "both"),
    ):
        found = project("review", *words)
        assert found.code == 3, words
        assert message in found.err
    assert project("review", "dismiss", review_id, "--json").json["review"]["status"] == "dismissed"
    late = project("review", "dismiss", review_id)
    assert late.code == 3
    assert f"review {review_id} was already dismissed by " in late.err


def test_blind_pairs_of_a_run(project: Any) -> None:
    project("eval", "echo", "--variant", "new")
    (run,) = project("runs", "--json").json["runs"]
    opened = project("review", "pairs", run["id"], "--limit", "5", "--json").json["opened"]
    assert len(opened) == 5
    shown = project("review", "show", opened[0], "--json").json
    assert {shown["subject"]["left"], shown["subject"]["right"]} == {
        shown["subject"]["input"],
        shown["subject"]["input"].upper(),
    }
    assert "pair" not in shown["subject"]
    for review_id in opened:
        subject = project("review", "show", review_id, "--json").json["subject"]
        assert (
            project("review", "resolve", review_id, "left" if subject["left"].isupper() else "right").code
            == 0
        )
    found = project("review", "figures", "echo", "--prefer", "new", "--to", "old", "--json").json
    assert (found["preference"]["preferred"]["value"], found["preference"]["preferred"]["n"]) == (1.0, 5)
    assert (
        "prefer new to old on 100%"
        in project("review", "figures", "echo", "--prefer", "new", "--to", "old").out
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_at_the_keyboard(project: Any, tmp_path: Path) -> None:
    complain(tmp_path)
    complain(tmp_path, "b" * 32, "how do I cancel")
    ours, theirs = pty.openpty()
    os.write(ours, b"x\n1\nmorning\nn\nq\n")
    done = subprocess.run(
        [sys.executable, "-m", "shiftright", "review", "start", "--reviewer", "ann"],
        cwd=tmp_path, stdin=theirs, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0, done.stderr
    assert "resolved" in done.stdout
    (case,) = [json.loads(line) for line in (tmp_path / "must.jsonl").read_text().splitlines()]
    assert case["expected"] == "morning"
    assert "consent:not_needed" in case["tags"]
