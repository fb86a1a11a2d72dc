"""A stored run as a page, a comment and a test report: what it says, and that nothing in an output can speak for it."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import Project

from shiftright.core.spec import Check, Clause, Spec
from shiftright.evals.looks import look
from shiftright.evals.options import Options, Selection
from shiftright.evals.report.changes import CaseView, CheckView
from shiftright.evals.report.difference import difference
from shiftright.evals.report.gather import RunReport, gather
from shiftright.evals.report.html import to_html
from shiftright.evals.report.junit import to_junit
from shiftright.evals.report.markdown import code, escaped, to_markdown
from shiftright.evals.report.slices import slices
from shiftright.evals.report.visible import short, visible

HOSTILE = "</script><script>alert(1)</script> <img src=x onerror=alert(2)> \u202egpj.exe \x1b[2J | ``` @team ![x](http://e.vil/x.png)"
CODE = f"""\
from shiftright import variant

async def echo(text: str) -> str:
    return text if variant("echo")["flip"] < 0.2 else {HOSTILE!r}
"""


class Page(HTMLParser):
    """Tags, and every attribute through which a page could load or run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "action", "data", "poster", "background") or name.startswith("on"):
                self.loads.append((tag, name))
            if name in ("href", "xlink:href") and not (value or "").startswith("#"):
                self.loads.append((tag, name))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    project = Project(tmp_path_factory.mktemp("hostile"), code=CODE, cases=60)
    rows = [project.case(i, tags=['"><script>alert(3)</script>', "it's"]) for i in range(60)]
    project.write_cases([*rows[:-1], project.case(59, id="<b>59</b>|@x")])
    return report_of(project, "worse")


def report_of(project: Project, variant: str) -> RunReport:
    run = project.evaluate(variant)
    with project.records() as records:
        return gather(run.run_id, project.settings, records)


def test_what_is_gathered(tmp_path: Path) -> None:
    project = Project(tmp_path)
    report = report_of(project, "worse")
    assert report.verdict is not None
    assert (report.verdict.verdict, report.verdict.merge) == ("fail", "no")
    assert {case.change for case in report.cases} >= {"broke", "fails", "passes"}
    for case in report.broke:
        assert (case.baseline[0].output, case.candidate[0].output) == (case.expected, "wrong")
    assert {row.tag for row in report.slices} == {"odd", "even"}
    assert report.command == "shiftright eval echo --variant worse"
    (line,) = report.evidence
    assert line.points[0] == (0, 1.0, 1.0)
    assert line.points[-1][0] == report.rows[0].n
    assert line.points[-1][2] == pytest.approx(report.rows[0].e_block)
    assert report.candidate.answers == len(report.cases)


def test_slices_are_marked_worse_only_where_looking_at_all_of_them_allows_it() -> None:
    def case(i: int, tag: str, loss: float, group: str | None = None) -> CaseView:
        check = CheckView("right", 1.0 - loss, 1.0, passes=not loss, passed=True)
        return CaseView(f"{tag}{i}", "gate", i, True, i, i, (tag,), group, (), (), (check,), "passes")

    def marked(cases: list[CaseView]) -> dict[str, bool]:
        checks = (Check("right", "exact", clauses=(Clause("max_drop", 0.1),)),)
        spec = Spec(feature="f", path=Path("spec.yaml"), checks=checks)
        rows = slices(cases, spec)
        assert [row.worse for row in rows] == sorted((row.worse for row in rows), reverse=True)
        return {row.tag: row.worse for row in rows}

    hurt = [case(i, "hurt", 1.0) for i in range(10)]
    calm = [case(i, f"calm{n}", 0.0) for n in range(99) for i in range(5)]
    assert marked([*hurt, *calm[:5]]) == {"hurt": True, "calm0": False}
    # the same ten losses are one of a hundred slices, or one document's
    assert not any(marked([*hurt, *calm]).values())
    grouped = [case(i, "hurt", 1.0, group=f"g{i % 5}") for i in range(10)]
    assert not any(marked([*grouped, *calm[:5]]).values())


def test_a_run_that_resumed_shows_the_cases_of_both(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.evaluate("same", max_calls=30)
    report = report_of(project, "same")
    assert len(report.cases) == report.rows[0].n
    assert len({case.id for case in report.cases}) == len(report.cases)


def test_cases_that_changed_since_are_said_to(tmp_path: Path) -> None:
    project = Project(tmp_path, cases=60)
    run = project.evaluate("worse")
    project.write_cases([project.case(i, expected="new") for i in range(60)])
    with project.records() as records:
        report = gather(run.run_id, project.settings, records)
        assert not any(case.known for case in report.cases)
        assert "has changed or gone since" in to_html(report)
        (project.folder / "spec.yaml").unlink()
        report = gather(run.run_id, project.settings, records)
    assert report.gone
    assert report.verdict is not None
    assert "cannot be read any more" in to_html(report)


def test_nothing_of_an_output_becomes_html(hostile: RunReport) -> None:
    text = to_html(hostile)
    page = Page(text)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert page.loads == []
    assert not re.search(r"https?://", re.sub(r"http://e\.vil/x\.png", "", text))
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "⟨U+202E⟩" in text
    assert "␛[2J" in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_the_page_says_what_matters(hostile: RunReport) -> None:
    text = to_html(hostile)
    for words in (
        "Merge?",
        "Release?",
        "clause by clause",
        "How the evidence grew",
        "How to reproduce",
        "Cost and latency",
    ):
        assert words in text
    assert hostile.run.variant_digest in text
    assert str(hostile.run.seed) in text
    assert text.count("<svg") == 1
    # without scripts all of it is there, and no filter that would do nothing
    assert text.count("<details") == len(hostile.cases)
    assert '<form class="filters" hidden' in text


def test_markdown_is_short_and_means_nothing_it_should_not(hostile: RunReport) -> None:
    text = to_markdown(hostile)
    lines = text.splitlines()
    assert len(lines) < 60
    outside = re.sub(r"(`+) .*? \1", "", text)  # what stands in no code span
    assert "<script" not in outside
    assert "![" not in outside
    assert "@team" not in outside
    widths = {line.replace(r"\|", "").count("|") for line in lines if line.startswith("| `")}
    assert widths == {5}, "no output opens a cell of its own"


def test_junit_is_xml_a_ci_server_reads(hostile: RunReport) -> None:
    root = ElementTree.fromstring(to_junit(hostile))
    suites = {suite.get("name"): suite for suite in root}
    contract = suites["echo.worse.contract"]
    assert (contract.get("tests"), contract.get("failures")) == ("2", "2")
    gate = suites["echo.worse.gate"]
    assert gate.get("failures") == "0", "a single case turns nothing red"
    assert int(gate.get("skipped") or 0) == sum(bool(case.worst) for case in hostile.cases)


@given(st.text())
def test_visible_leaves_nothing_that_acts(text: str) -> None:
    shown = visible(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    assert visible(shown) == shown


@given(st.text(), st.integers(2, 80))
def test_short_is_one_line_of_at_most_that_width(text: str, width: int) -> None:
    line = short(text, width)
    assert "\n" not in line
    assert len(line) <= width


@given(st.text(alphabet="`|@<a\\ "))
def test_a_code_span_cannot_be_ended_from_inside(text: str) -> None:
    span = code(text)
    fence = re.match("`+", span)
    assert fence is not None
    inner = span[len(fence[0]) : -len(fence[0])]
    assert max((len(run) for run in re.findall("`+", inner)), default=0) < len(fence[0])
    assert "<script" not in escaped("<script>")


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_difference_loses_no_text(before: str, now: str) -> None:
    old, new = difference(before, now)
    assert "".join(piece.text for piece in old) == visible(before)
    assert "".join(piece.text for piece in new) == visible(now)
    if before == now:
        assert not any(piece.changed for piece in (*old, *new))


def test_outputs_that_differ_in_the_order_of_keys_alone_look_alike() -> None:
    old, new = difference({"a": 1, "b": "x" * 80}, {"b": "x" * 80, "a": 1})
    assert not any(piece.changed for piece in (*old, *new))
    assert msgspec.json.decode("".join(piece.text for piece in old)) == {"a": 1, "b": "x" * 80}


def test_a_look_and_a_run_without_a_baseline_have_pages_too(tmp_path: Path) -> None:
    spec = "feature: echo\nrun: echo:echo\nvariants:\n  worse: {flip: 0.45}\ncases: cases.jsonl\n"
    project = Project(tmp_path, spec=spec + "checks:\n  right: {score: exact, at_least: 90%}\n", cases=80)
    report = report_of(project, "worse")
    assert report.baseline is None
    assert {case.change for case in report.cases} == {"fails", "passes"}
    assert "fail on both sides" not in to_html(report)
    assert "Before" not in to_html(report)
    assert "against" not in to_markdown(report).splitlines()[0]
    with project.records() as records:
        seen = asyncio.run(
            look("echo", project.settings, records, Selection(limit=3), Options(variant="worse"))
        )
        page = to_html(gather(seen.run_id, project.settings, records))
    assert "nothing was decided" in page


def test_a_huge_output_is_cut_on_the_page_which_says_so(tmp_path: Path) -> None:
    huge = 'async def echo(text: str) -> str:\n    return "x" * 300_000\n'
    text = to_html(report_of(Project(tmp_path, code=huge, cases=3), "worse"))
    assert len(text) < 400_000
    assert "20,000 of 300,000 characters; shiftright show RUN --json has all" in text
