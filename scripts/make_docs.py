"""Writes the pages of docs/ that are made from the code: `make docs`. Tests check that they are current."""

from __future__ import annotations

from pathlib import Path

from shiftright import spec
from shiftright.cli._page import cli_page

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {"cli.md": cli_page, "contract.md": spec.reference}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"wrote docs/{name}")  # noqa: T201  a script's output
