"""The evidence of one clause as a small SVG: two lines that climb towards two thresholds.

Blue and orange, solid and dashed, so that no colour has to be told from another to read it.
"""

from __future__ import annotations

from html import escape
from math import ceil, log10

from shiftright.core.counting import counted
from shiftright.evals.report.evidence import Trajectory

WIDTH, HEIGHT = 520, 150
LEFT, RIGHT, TOP, BOTTOM = 46, 96, 14, 24
# Evidence below a hundredth says no more than a hundredth does.
LEAST = 0.01


def chart(line: Trajectory) -> str:
    """Self-contained SVG; its text is our own but for the check's name, which is escaped."""
    most_cases = max(line.points[-1][0], 1)
    top = max(line.ship_at, line.block_at, *(max(e for e in point[1:]) for point in line.points))
    ceiling = log10(min(max(top, 10.0), 1e9)) * 1.08
    least = min(min(point[1:]) for point in line.points)
    floor = min(log10(max(least, LEAST)), log10(0.3))

    def x(cases: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * cases / most_cases

    def y(evidence: float) -> float:
        level = min(max(log10(max(evidence, LEAST)), floor), ceiling)
        return TOP + (HEIGHT - TOP - BOTTOM) * (ceiling - level) / (ceiling - floor)

    def path(side: int) -> str:
        return " ".join(f"{x(point[0]):.1f},{y(point[side]):.1f}" for point in line.points)

    title = escape(f"{line.check}, {line.clause}: evidence by cases used")
    last, most = line.points[-1], counted(most_cases, "case")
    marks = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(10.0**p):.1f}" y2="{y(10.0**p):.1f}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{y(10.0**p) + 3:.1f}" text-anchor="end">{_power(p)}</text>'
        for p in range(ceil(floor), int(ceiling) + 1, 1 if ceiling - floor < 5 else 2)
    )
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        f"<title>{title}</title>{marks}"
        f"{_thresholds(line, y(line.ship_at), y(line.block_at))}"
        f'<polyline class="ship" points="{path(1)}"/><polyline class="block" points="{path(2)}"/>'
        f'<circle class="ship" cx="{x(last[0]):.1f}" cy="{y(last[1]):.1f}" r="3"/>'
        f'<circle class="block" cx="{x(last[0]):.1f}" cy="{y(last[2]):.1f}" r="3"/>'
        f'<text class="tick" x="{LEFT}" y="{HEIGHT - 6}">0</text>'
        f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{most}</text></svg>'
    )


def _thresholds(line: Trajectory, ship: float, block: float) -> str:
    """Both, their words at least a line apart."""
    apart = 12.0
    words = {"ship": ship, "block": block}
    if abs(ship - block) < apart:
        upper, lower = sorted(words, key=words.__getitem__)
        middle = (ship + block) / 2
        words = {upper: middle - apart / 2, lower: middle + apart / 2}
    said = {"ship": f"ships at {line.ship_at:.3g}", "block": f"blocks at {line.block_at:.3g}"}
    return "".join(
        f'<line class="at {side}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>'
        f'<text class="label {side}" x="{WIDTH - RIGHT + 8}" y="{words[side] + 3:.1f}">{said[side]}</text>'
        for side, height in (("ship", ship), ("block", block))
    )


def _power(power: int) -> str:
    return f"{10.0**power:g}" if power < 4 else f"1e{power}"
