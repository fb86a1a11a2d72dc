"""The reasons of a Verdict in plain words. Percentages for levels, points for differences."""

from __future__ import annotations

from collections.abc import Sequence

from shiftright.core import counting
from shiftright.core.spec import Check, Clause
from shiftright.core.verdict import CheckRow, Outcome
from shiftright.decisions.clauses import ClausePlan, natural, resolvable, units_needed
from shiftright.decisions.units import Units

MOST_PLANNED = 1_000_000


def percent(value: float) -> str:
    return f"{value * 100:.1f} %".replace(".0 %", " %")


def points(value: float, *, signed: bool = False) -> str:
    number = f"{value * 100:+.1f}" if signed else f"{value * 100:.1f}"
    number = number.replace("-", "−").removesuffix(".0")
    return f"{number} point" if number in ("1", "+1", "−1") else f"{number} points"


def amount(value: float, score: str) -> str:
    """USD or seconds, with the digits that matter."""
    if score == "latency":
        return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.3g} s"
    return f"{value:.3g} USD" if value >= 0.001 or value == 0 else f"{value:.6f}".rstrip("0") + " USD"


def target(check: Check, clause: Clause) -> str:
    """The clause as a person says it."""
    bound = clause.bound
    match clause.kind:
        case "at_least":
            return f"at least {percent(bound)}"
        case "at_most":
            return f"at most {percent(bound)}"
        case "max_drop":
            return f"drops by less than {points(bound)}"
        case "min_gain":
            return f"gains at least {points(bound)}"
        case "never_fails":
            return "never fails"
        case "p95_at_most":
            return f"95 % within {amount(bound, check.score)}"
        case "mean_at_most":
            return f"mean at most {amount(bound, check.score)}"
        case "each_at_most":
            return f"each at most {amount(bound, check.score)}"


def quantity(kind: str, value: float | None, score: str = "cost") -> str:
    """A tested quantity of a clause of this kind."""
    if value is None:
        return "–"
    if kind in ("max_drop", "min_gain"):
        return points(value, signed=True)
    if kind == "mean_at_most":
        return amount(value, score)
    return percent(value)


def reason(
    plan: ClausePlan,
    *,
    decision: str | None,
    seen: Units,
    regressed: bool = False,
    harm_at: Units | None = None,
    variance: float | None = None,
) -> str:
    """Why a clause stands where it stands.

    ``harm_at`` is what harm was proven on; ``variance`` that of the units seen, None while too few.
    """
    if harm_at is not None:
        what = "a loss is proven" if plan.kind == "max_drop" else "proven to miss the bound"
        return f"{what} on {counted(harm_at)}"
    if decision == "ship":
        return f"proven on {counted(seen)}"
    if decision == "block":
        return _blocked(plan, seen, regressed)
    if plan.kind == "mean_at_most" and not plan.unit:
        return (
            "a mean without an upper limit can be disproven but never proven: add each_at_most to this check"
        )
    if not seen.n:
        return "nothing measured yet"
    return needs(plan, seen, variance)


def _blocked(plan: ClausePlan, seen: Units, regressed: bool) -> str:
    on = f"on {counted(seen)}"
    if plan.kind == "max_drop":
        if regressed:
            return f"a drop of more than {points(plan.bound)} is proven {on}"
        return f"a loss shows {on}{_error(plan)}"
    if plan.kind == "min_gain":
        return f"a gain of {points(plan.bound)} is ruled out {on}{_error(plan)}"
    if regressed:
        return f"proven to miss the bound {on}"
    comfortable = quantity(plan.kind, natural(plan, plan.good), plan.score)
    return f"falls short of {comfortable}, the level that would be comfortable, {on}{_error(plan)}"


def _error(plan: ClausePlan) -> str:
    return f" (wrong at most {percent(plan.beta)} of the time)"


def needs(plan: ClausePlan, seen: Units, variance: float | None = None) -> str:
    """What these units can see and what the clause needs, from the variance seen (else the planned one)."""
    wanted = needed(max(units_needed(plan, variance, seen.share), seen.n + 1))
    sees = resolvable(plan, seen, variance)
    if plan.kind == "p95_at_most":
        return f"{counted(seen)} so far; {wanted} are needed when all are in time"
    if sees <= plan.gap:
        return f"{counted(seen)} so far; {gap(plan)} need {wanted}"
    return f"{resolve(plan, seen, sees)}; {gap(plan)} need {wanted}, or widen the margin"


def resolve(plan: ClausePlan, seen: Units, sees: float) -> str:
    """What too few units tell apart (``sees``), where that is anything at all."""
    verb = "resolves" if seen.n == 1 else "resolve"
    few = "is too few" if seen.n == 1 else "are too few"
    said = f"{verb} {gap(plan, sees)}" if sees < plan.good - plan.low else f"{few} to tell anything"
    return f"your {counted(seen)} {said}"


def gap(plan: ClausePlan, size: float | None = None) -> str:
    """A difference in the tested quantity; the clause's own by default."""
    size = plan.gap if size is None else size
    if plan.kind == "mean_at_most":
        return amount(size * (plan.unit or 1.0), plan.score)
    return "less than 0.1 points" if 0.0 < size < 0.0005 else points(size)


def needed(n: int) -> str:
    """How many cases are needed; beyond a million nobody plans for them."""
    return f"about {two_digits(n):,}" if n <= MOST_PLANNED else f"more than {MOST_PLANNED:,}"


def two_digits(n: int) -> int:
    """A plan is not more exact than that."""
    step: int = 10 ** max(len(str(n)) - 2, 0)
    return round(n / step) * step


def counted(seen: Units) -> str:
    """``37 groups (185 cases)``; where no group has several cases, ``37 cases``."""
    cases = counting.counted(seen.cases)
    return cases if seen.n == seen.cases else f"{counting.counted(seen.n, 'group')} ({cases})"


def board_count(n: int, cases: int | None) -> str:
    """Short, for the board's column ``cases``: ``185 in 37 groups``."""
    return f"{n:,}" if cases in (None, n) else f"{cases:,} in {counting.counted(n, 'group')}"


def invariant(failed: Sequence[str], seen: Units) -> str:
    if failed:
        shown = ", ".join(failed[:3]) + (f" and {len(failed) - 3} more" if len(failed) > 3 else "")
        return f"failed on {len(failed)} of {counting.counted(seen.cases)}: {shown}"
    if not seen.cases:
        return "nothing measured yet"
    return f"held on all {counted(seen)}; {ruled_out(seen)} are ruled out (95 %)"


def ruled_out(seen: Units) -> str:
    """The failure rates that these units, none of which failed, rule out: P(none in n | rate p) = (1-p)^n <= 5 %."""
    what = "rates" if seen.n == seen.cases else "rates of groups with a failure"
    return f"{what} above {percent(1 - 0.05 ** (1 / seen.n))}"


def summary(
    failed_must: Sequence[str], must_cases: int, rows: Sequence[CheckRow], outcome: Outcome
) -> list[str]:
    """The binding reason first."""
    said = []
    if failed_must:
        shown = ", ".join(failed_must[:3]) + (
            f" and {len(failed_must) - 3} more" if len(failed_must) > 3 else ""
        )
        said.append(f"{len(failed_must)} of {counting.counted(must_cases, 'must case')} failed: {shown}")
    worst = "fail" if outcome == "fail" else "inconclusive"
    said += [f"{row.check}: {row.reason}" for row in rows if row.verdict == worst]
    if outcome == "pass":
        said.append("every check is proven")
    return said
