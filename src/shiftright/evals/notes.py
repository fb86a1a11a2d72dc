"""Things a reader of a verdict should know beside it."""

from __future__ import annotations

from shiftright import datasets
from shiftright.core.case import Case
from shiftright.core.counting import counted
from shiftright.decisions.ledger import Decision
from shiftright.decisions.words import percent
from shiftright.evals.target import Target
from shiftright.scorers.judge import Judge
from shiftright.store.rows import DecisionRow

# the parts of a decision that say what was tried
_CANDIDATE = ("clauses", "scorers", "candidate", "baseline")


def of(target: Target, decision: Decision | None, *, repeats: int = 1) -> tuple[str, ...]:
    """Plain sentences, the most consequential first. ``repeats`` is the K that was asked for."""
    said: list[str] = []
    if decision is not None:
        said += _of_decision(decision)
        if repeats != decision.frozen.repeats:
            said.append(_of_repeats(decision.frozen.repeats))
    if target.baseline is not None and target.baseline.digest == target.candidate.digest:
        said.append("both sides are the same code and settings: nothing was changed")
    said += _leaks(target)
    for data in (target.gate, target.must):
        if data is not None:
            said += data.warnings
    return tuple(dict.fromkeys(said))


def labels(target: Target) -> tuple[str, ...]:
    """How many human labels stand behind each judge, without asking it."""
    return tuple(
        f"{name}: as this judge sees it; human labels: {len(scorer.labels)}"
        for name, scorer in target.scorers.items()
        if isinstance(scorer, Judge)
    )


def _of_decision(decision: Decision) -> list[str]:
    said = []
    attempt, frozen = decision.row.attempt, decision.frozen
    if attempt > 1 and frozen.clauses:
        said.append(
            f"this is attempt {attempt} at the same decision: it ships at an error rate of "
            f"{frozen.clauses[0].alpha:.2%} instead of the stated one"
        )
    about = decision.about
    if about.outgrown:
        said.append(
            f"groups of up to {frozen.largest_unit} cases have been added, more than the earlier decision's test was "
            "made for: this is a new decision, and the earlier one stays open"
        )
    if about.earlier > about.outgrown:
        earlier = counted(about.earlier - about.outgrown, "earlier decision")
        said.append(f"{earlier} on this variant used other versions of the cases")
    said += _of_others(decision)
    if decision.order.skipped:
        said.append(
            f"{counted(len(decision.order.skipped), 'added case')} in a group with cases already used: left out"
        )
    if frozen.estimand == "suite":
        said.append(
            "suite mode: the verdict predicts the full run on these cases; it does not speak of traffic"
        )
    return said


def _of_repeats(fixed: int) -> str:
    times = "once" if fixed == 1 else f"{fixed} times"
    return (
        f"the candidate runs {times} a case, as when this decision began: --repeats is for a --new-decision"
    )


def _of_others(decision: Decision) -> list[str]:
    """Many questions to the same cases: each may err at its own rate, and the rates add up."""
    others = decision.about.others
    if not others:
        return []
    alike = [row for row in others if all(row.parts.get(k) == decision.row.parts[k] for k in _CANDIDATE)]
    what = "other code, contract or variant" if len(alike) < len(others) else ""
    if alike:
        mode = "suite mode" if decision.frozen.estimand == "population" else "population mode"
        what += f"{', or ' if what else ''}the same in {mode}, which is another question"
    plans = [plans[0] for row in others if (plans := row.frozen.get("clauses"))]
    rate = sum(plan["alpha"] for plan in plans) + sum(plan.alpha for plan in decision.frozen.clauses[:1])
    return [
        f"{counted(len(others), 'other decision')} ({what}) used some of these cases: "
        f"all together, this one included, ship wrongly with at most {percent(min(1.0, rate))}"
    ]


def refused(before: DecisionRow, decision: Decision) -> str:
    """Why a merge is refused that this decision alone would not refuse."""
    if before.estimand != decision.row.estimand:
        return "harm has been proven on these cases in population mode, which suite mode does not undo"
    return f"attempt {before.attempt} on these cases has proven harm, which no later one undoes"


def _leaks(target: Target) -> list[str]:
    """A gate case that stands in the prompt is no test of it."""
    found: list[Case] = []
    prompts = []
    for side in (target.candidate, target.baseline):
        name = side.feature.variant.get("prompt") if side else None
        if side and isinstance(name, str) and (side.feature.variant.root / name).is_file():
            text = (side.feature.variant.root / name).read_text(encoding="utf-8", errors="replace")
            leaked = datasets.leaks(text, target.gate.cases)
            if leaked:
                prompts.append(name)
                found += leaked
    if not found:
        return []
    shown = ", ".join(case.id for case in found[:3])
    return [
        f"{', '.join(dict.fromkeys(prompts))} contains the text of gate cases ({shown}): they test memory, not skill"
    ]
