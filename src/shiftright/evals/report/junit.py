"""``report RUN --junit``: the contract's clauses and the cases as a CI server shows tests.

A failed clause, a failed ``must`` case and a refused merge are failures; what is undecided is skipped. A gate case that
broke is skipped with its reason: single cases decide nothing, so they must not turn a proven run red.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from shiftright.core.verdict import CheckRow, Merge
from shiftright.evals.report.changes import CaseView
from shiftright.evals.report.gather import RunReport
from shiftright.evals.report.visible import short, visible

# What XML 1.0 has no way to write, even escaped, and ``visible`` leaves: two non-characters.
_NO_XML = re.compile("[\ufffe\uffff]")
WIDTH = 300


def to_junit(report: RunReport) -> str:
    """An XML document."""
    root = Element("testsuites", name=_xml(f"shiftright {report.run.feature}"))
    name = f"{report.run.feature}.{report.run.variant}"
    verdict = report.verdict
    merge, reasons = (verdict.merge, verdict.reasons) if verdict else (None, ())
    contract(root, f"{name}.contract", merge, reasons, report.rows)
    must = [case for case in report.cases if case.split == "must"]
    _cases(_suite(root, f"{name}.must"), f"{name}.must", must, "failure")
    _cases(
        _suite(root, f"{name}.gate"),
        f"{name}.gate",
        [c for c in report.cases if c.split != "must"],
        "skipped",
    )
    return document(root)


def contract(
    root: Element, name: str, merge: Merge | None, reasons: Sequence[str], rows: Sequence[CheckRow]
) -> None:
    """A suite of the merge (None: not decided) and of each clause."""
    tests = _suite(root, name)
    if merge is not None:
        test = _test(tests, name, "merge")
        if merge == "no":
            _say(test, "failure", "; ".join(reasons))
    for row in rows:
        _clause(_test(tests, name, f"{row.check} {row.clause}"), row)


def document(root: Element) -> str:
    """The whole, counted and indented."""
    for suite in root:
        _count(suite)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _clause(test: Element, row: CheckRow) -> None:
    said = f"{row.target}: {row.reason}"
    if row.verdict == "fail":
        _say(test, "failure", said)
    elif row.verdict == "error":
        _say(test, "error", said)
    elif row.verdict == "inconclusive":
        _say(test, "skipped", f"inconclusive: {said}")


def _cases(suite: Element, classname: str, cases: Sequence[CaseView], bad: str) -> None:
    for case in cases:
        test = _test(suite, classname, case.id)
        if case.candidate:
            test.set("time", f"{case.candidate[0].latency_s:.3f}")
        if case.worst:
            said = "; ".join(
                f"{check.name}: {check.failure or check.explanation or 'not passed'}"
                for check in case.checks
                if not check.passes
            )
            _say(test, bad, f"{case.change}: {said}")


def _suite(root: Element, name: str) -> Element:
    return SubElement(root, "testsuite", name=_xml(name))


def _test(suite: Element, classname: str, name: str) -> Element:
    return SubElement(suite, "testcase", classname=_xml(classname), name=_xml(name))


def _say(test: Element, kind: str, words: str) -> None:
    SubElement(test, kind, message=_xml(short(words, WIDTH))).text = _xml(words)


def _count(suite: Element) -> None:
    suite.set("tests", str(len(suite.findall("testcase"))))
    for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{kind}"))))


def _xml(text: str) -> str:
    return _NO_XML.sub("�", visible(text))
