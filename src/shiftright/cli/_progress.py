"""How a run goes: a bar on a terminal, a line every few seconds elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from shiftright.cli._output import tell
from shiftright.evals.report.visible import visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from shiftright.evals.options import Progress, Standing

LINE_EVERY_S = 5.0


Expected = Callable[[], str | None]


def _nothing() -> None:
    """No cost is expected."""


def progress(expected: Expected = _nothing) -> Progress:
    """What fits stderr. ``expected`` gives a sentence to say before the first call (what paid calls may cost);
    it is not asked when nothing is run."""
    return OnTerminal(expected) if sys.stderr.isatty() else InLines(expected)


class InLines:
    """For logs: what is being done, a line every five seconds, nothing in the end."""

    def __init__(self, expected: Expected = _nothing) -> None:
        self._expected = expected
        self._told = 0.0

    def begin(self, feature: str, variant: str, baseline: str | None, notes: tuple[str, ...]) -> None:
        tell(title(feature, variant, baseline))
        _tell_notes(notes, self._expected)
        self._told = time.monotonic()

    def step(self, standing: Standing) -> None:
        now = time.monotonic()
        if now - self._told >= LINE_EVERY_S:
            from shiftright.core.counting import counted

            self._told = now
            tell(f"  {standing.used:,} of at most {counted(standing.available)} · {_figures(standing)}")

    def end(self) -> None:
        """Nothing to take away."""


class OnTerminal:
    """A bar that goes when the result comes."""

    def __init__(self, expected: Expected = _nothing) -> None:
        self._expected = expected
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def begin(self, feature: str, variant: str, baseline: str | None, notes: tuple[str, ...]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        # the notes come again with the result, on the same screen
        _tell_notes((), self._expected)
        self._bar = Progress(
            TextColumn(visible(variant), markup=False),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} cases", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar.start()

    def step(self, standing: Standing) -> None:
        if self._bar is None:
            return
        if self._task is None:
            self._task = self._bar.add_task("", total=standing.available, figures="")
        self._bar.update(
            self._task, completed=standing.used, total=standing.available, figures=_figures(standing)
        )

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _tell_notes(notes: tuple[str, ...], expected: Expected) -> None:
    for note in (*notes, expected()):
        if note:
            tell(f"  note: {note}")


def title(feature: str, variant: str, baseline: str | None) -> str:
    return f"{feature} · {variant}" + (f" against {baseline}" if baseline else "")


def _figures(standing: Standing) -> str:
    from shiftright.core.counting import counted

    calls = standing.calls
    said = counted(calls.made + calls.baseline_made, "call")
    if calls.cached:
        said += f" + {calls.cached:,} reused"
    if standing.cost_usd is None:
        said += " · cost unknown"
    elif standing.cost_usd:
        said += f" · {standing.cost_usd:.4f} USD"
    if standing.open_checks:
        said += f" · open: {', '.join(standing.open_checks)}"
    return said
