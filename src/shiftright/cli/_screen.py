"""Rich, but calm: a console that is plain where nobody looks, and text that cannot take it over."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from shiftright.evals.report.visible import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

NARROW = 84
WIDEST = 120
UNSEEN = 100

STYLE = {
    "pass": "green",
    "yes": "green",
    "fail": "red",
    "no": "red",
    "inconclusive": "yellow",
    "error": "red",
}
SIGN = {"pass": "✓", "yes": "✓", "fail": "✗", "no": "✗", "inconclusive": "?", "error": "!"}


def console() -> Console:
    """Colours on a terminal without NO_COLOR; at least 60 and at most 120 columns, 100 into a file or pipe."""
    from rich.console import Console

    seen = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if seen or "COLUMNS" in os.environ else UNSEEN
    return Console(
        width=max(60, min(width, WIDEST)),
        color_system="auto" if seen else None,
        no_color=bool(os.environ.get("NO_COLOR")) or not seen,
        force_terminal=seen,
        highlight=False,
        markup=False,
        emoji=False,
    )


def text(words: str, style: str = "") -> Text:
    """Anybody's words as text of that style and nothing else."""
    from rich.text import Text

    # as a span: a sum of texts then keeps each part's own style
    return Text().append(visible(words), style)


def answer(word: str) -> Text:
    """``pass``, ``no``, … with the sign that says it without colour."""
    return text(f"{SIGN.get(word, ' ')} {word}", f"bold {STYLE.get(word, '')}".strip())
