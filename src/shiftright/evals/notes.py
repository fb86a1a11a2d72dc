"""Things a reader of a verdict should know beside it."""

from __future__ import annotations

from shiftright import datasets
from shiftright.core.case import Case
from shiftright.decisions import words
from shiftright.decisions.ledger import Decision
from shiftright.evals.target import Target
from shiftright.scorers.judge import Judge


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
    if about.earlier:
        said.append(
            f"{about.earlier} earlier decision{'s' if about.earlier > 1 else ''} on this variant used other "
            "versions of the cases"
        )
    if about.others:
        rate = frozen.clauses[0].alpha if frozen.clauses else 0.05
        said.append(
            f"{about.others} other decision{'s' if about.others > 1 else ''} (other code, contract or variant) used "
            f"some of these cases: each may ship wrongly with {rate:.1%}, all together with at most "
            f"{min(1.0, (about.others + 1) * rate):.0%}"
        )
    if decision.order.skipped:
        said.append(
            f"{words.counted(len(decision.order.skipped), 'added case')} in a group with cases already used: left out"
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
