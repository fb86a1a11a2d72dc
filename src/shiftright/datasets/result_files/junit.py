"""pytest and others: JUnit XML (``pytest --junitxml FILE.xml``). A test is a case, ``passed`` its score."""

from __future__ import annotations

from contextlib import suppress
from xml.etree import ElementTree
from xml.parsers import expat

from shiftright.core.counting import counted
from shiftright.datasets.result_files.rows import ResultFile, ResultRow, number_of, score_of
from shiftright.datasets.result_files.source import Source
from shiftright.errors import DatasetError


class JUnit:
    title = "JUnit XML (pytest --junitxml)"
    general = False

    def recognises(self, source: Source) -> bool:
        return source.suffix == ".xml" or source.data[:64].lstrip().startswith((b"<?xml", b"<testsuite"))

    def read(self, source: Source) -> ResultFile:
        _refuse_doctype(source)
        root = ElementTree.fromstring(source.data)  # noqa: S314 - document types, and so entities, are refused above
        if root.tag not in ("testsuites", "testsuite"):
            raise source.error(f"is XML with <{root.tag}>, not the <testsuites> of JUnit")
        rows = []
        skipped = 0
        for case in root.iter("testcase"):
            if case.find("skipped") is not None:
                skipped += 1
            else:
                rows.append(_row(case))
        warnings = (f"{counted(skipped, 'skipped test')} left out.",) if skipped else ()
        return ResultFile("junit", tuple(rows), (), warnings)


def _refuse_doctype(source: Source) -> None:
    """Entities need a document type; no tool's report has one, and a bomb of nested entities does."""
    seen = []
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = lambda *_: seen.append(True)
    try:
        parser.Parse(source.data, True)
    except expat.ExpatError as cause:
        if not seen:
            reason = expat.ErrorString(cause.code)
            raise source.error(f"is XML that breaks off or is broken: {reason}", line=cause.lineno) from None
    if seen:
        raise source.error(
            "declares a document type, which reports never need", hint="Remove the <!DOCTYPE …>."
        )


def _row(case: ElementTree.Element) -> ResultRow:
    error = case.find("error")
    scores = {} if error is not None else {"passed": float(case.find("failure") is None)}
    for item in case.iter("property"):
        name = item.get("name") or "property"
        with suppress(DatasetError):  # a property may be anything, an author's name too
            number = score_of(name, item.get("value"))
            if number is not None and error is None:
                scores[name] = number
    return ResultRow(
        case_id="::".join(part for part in (case.get("classname"), case.get("name")) if part),
        scores=scores,
        failure=None if error is None else (error.get("message") or error.text or "error"),
        latency_s=number_of(case.get("time")),
    )
