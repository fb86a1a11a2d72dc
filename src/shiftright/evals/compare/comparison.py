"""Findings that show themselves."""

from __future__ import annotations

from shiftright.evals.compare.findings import Findings
from shiftright.evals.compare.html import render_html
from shiftright.evals.compare.showing import as_markdown, as_text


class Comparison(Findings, frozen=True, kw_only=True):
    """Findings as ``compare`` gives them: readable in a REPL and in a notebook.

    Encoded as JSON it is what ``shiftright compare --json`` prints.
    """

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_markdown_(self) -> str:
        return as_markdown(self)

    def _repr_html_(self) -> str:
        return render_html(self)
