"""``shiftright aa FEATURE``: the baseline's stored repeats against themselves."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from shiftright import datasets, scorers
from shiftright import spec as specs
from shiftright.core.answer import Answer
from shiftright.core.case import Case
from shiftright.core.spec import Spec
from shiftright.datasets.result_files import ResultRow
from shiftright.errors import UsageError
from shiftright.evals.compare.aa import REPLICATIONS, report
from shiftright.evals.compare.aa_report import AaReport
from shiftright.evals.compare.sources import Recorded
from shiftright.evals.scoring import Scoring
from shiftright.evals.target import Side, choose_variant, load_side, quality
from shiftright.settings import Settings
from shiftright.store import Records

_MARGIN = 0.03
_JUDGE = "judge"


async def aa_feature(
    feature: str,
    settings: Settings,
    records: Records,
    *,
    margin: float | None = None,
    replications: int = REPLICATIONS,
) -> AaReport:
    """How often would gates turn away this feature's unchanged baseline? Nothing is run: stored answers are scored.

    ``margin`` is the largest harmless drop; without it each check has its own ``max_drop``, or 3 points. Judges are
    left out, since asking them costs.

    Raises:
        UsageError: for an unknown feature, when no check can be scored, or no answer was repeated.
    """
    spec = specs.load(specs.find(feature, settings.root))
    checks = tuple(check for check in spec.checks if quality(check) and check.score != _JUDGE)
    if not checks:
        raise UsageError(
            f"{spec.feature} has no check that scores an output without a judge", hint="Add one to checks."
        )
    side = load_side(spec, choose_variant(spec, spec.baseline, None))
    rows = await _rows(msgspec.structs.replace(spec, checks=checks), side, records)
    again = f"shiftright plan {spec.feature} runs the baseline twice on the dev cases."
    if not rows:
        raise UsageError(f"no answers of {spec.feature} ({side.name}) are stored", hint=again)
    notes = [f"{check.name}: a judge, left out" for check in spec.checks if check.score == _JUDGE]
    drops = {check.name: clause.bound for check in checks if (clause := check.clause("max_drop"))}
    if margin is None:
        notes += [
            f"{check.name} has no max_drop: 3 points taken" for check in checks if check.name not in drops
        ]
    return report(
        [Recorded(side.name, rows, tuple(notes))],
        f"{spec.feature} ({side.name})",
        margin=_MARGIN if margin is None else margin,
        margins=drops if margin is None else {},
        scales={check.name: (1.0, 0.0) for check in checks if check.clause("at_most")},
        confidence=spec.confidence,
        replications=replications,
        hint=again,
    )


async def _rows(spec: Spec, side: Side, records: Records) -> tuple[ResultRow, ...]:
    answers: dict[str, dict[int, Answer]] = {}
    for (digest, repeat), stored in records.answers.get(side.digest, include_failed=True).items():
        answers.setdefault(digest, {})[repeat] = stored.answer
    scoring = Scoring(spec, {check.name: scorers.build(check, spec) for check in spec.checks})
    rows = []
    for case in _cases(spec):
        for repeat, answer in sorted(answers.get(case.input_digest, {}).items()):
            scores = await scoring.score(case, answer)
            values = {name: score.value for name, score in scores.items() if score.value is not None}
            rows.append(
                ResultRow(case_id=case.digest, scores=values, repeat=repeat, group=case.group, tags=case.tags)
            )
    return tuple(rows)


def _cases(spec: Spec) -> Iterable[Case]:
    """Each case once, of all splits."""
    loaded = [datasets.load(path) for path in dict.fromkeys(spec.cases.values())]
    return {case.digest: case for data in loaded for case in data.cases}.values()
