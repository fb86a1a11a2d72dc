"""``shiftright report``: a stored run as a page, a pull-request comment, or a CI server's test report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shiftright.cli import _output
from shiftright.errors import UsageError


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or its beginning.")],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one self-contained page.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print what a pull-request comment shows.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML for a CI server.")
    ] = None,
) -> int:
    """Report a run as HTML, Markdown or JUnit XML."""
    if html is None and junit is None and not markdown:
        raise UsageError("say which form", hint=f"shiftright report {run} --html report.html")
    from shiftright.app import App

    with App.here() as app:
        found = app.report(run)
    if html is not None:
        from shiftright.evals.report.html import to_html

        write(html, to_html(found))
    if junit is not None:
        from shiftright.evals.report.junit import to_junit

        write(junit, to_junit(found))
    if markdown:
        from shiftright.evals.report.markdown import to_markdown

        _output.say(to_markdown(found).rstrip("\n"))
    return _output.PASS


def write(path: Path, text: str) -> None:
    """One file, and a line about it."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot write: {error.strerror}", file=path, hint="Name a file in a folder there is."
        ) from None
    _output.tell(f"wrote {path}")
