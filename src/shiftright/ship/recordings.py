"""``recordings/``: the model answers behind a feature's decisions, committed for runners that have no keys."""

from __future__ import annotations

from pathlib import Path

from shiftright.core.answer import Answer
from shiftright.core.case import Case
from shiftright.errors import UsageError
from shiftright.evals.history import History
from shiftright.evals.scoring import Scoring
from shiftright.evals.target import Side, Target, resolve
from shiftright.features import call
from shiftright.models import recordings
from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.store.rows import CachedCall

FOLDER = "recordings"


def read(root: Path, records: Records) -> int:
    """Make every recorded answer known to the records; those that are known stay as they are.

    Raises:
        StoreError: for a line that is no recorded answer.
    """
    added = 0
    for path in sorted((root / FOLDER).glob("*.jsonl")):
        calls = recordings.read(path)
        known = records.model_cache.get_many([(call.key, call.repeat) for call in calls])
        new = [call for call in calls if (call.key, call.repeat) not in known]
        records.model_cache.put_many(new)
        added += len(new)
    return added


async def record(
    feature: str, settings: Settings, records: Records, *, variant: str, before: str | None, base: str
) -> tuple[Path, int]:
    """Write down what the models answered for the cases that this decision has used.

    The feature is run once more on them; its models are asked from the records, so that nothing is paid twice.

    Returns:
        The file, and how many answers it holds now.

    Raises:
        UsageError: for a feature with sealed cases: their answers are written down nowhere.
    """
    target = resolve(feature, settings.root, settings.home, variant=variant, baseline=before, base=base)
    if target.gate.sealed:
        raise UsageError(
            f"the cases of {target.spec.feature} are sealed: what models answer to them is not recorded",
            hint="Share records instead: SHIFTRIGHT_RECORDS_URL",
        )
    cache = recordings.Listening(records.model_cache)
    scoring = Scoring(target.spec, target.scorers, cache=cache)
    for case in _used(target, settings, records):
        before = await _asked(target.baseline, case, cache, scoring, None) if target.baseline else None
        await _asked(target.candidate, case, cache, scoring, before)
    path = settings.root / FOLDER / f"{target.spec.feature}.jsonl"
    known = {(c.key, c.repeat): c for c in (recordings.read(path) if path.exists() else ())}
    known |= {key: CachedCall(*key, body) for key, body in cache.heard.items()}
    if known:
        recordings.write(path, known.values())
    return path, len(known)


async def _asked(
    side: Side,
    case: Case,
    cache: recordings.Listening,
    scoring: Scoring,
    before: Answer | None,
) -> Answer:
    """One side's answer to the case, and its scores beside the other side's answer: judges ask models too."""
    answer = await call(
        side.feature, case.value, case_id=case.id, repeat=side.first_repeat, cache=cache, record=False
    )
    await scoring.score(case, answer, before or answer, repeat=side.first_repeat)
    return answer


def _used(target: Target, settings: Settings, records: Records) -> list[Case]:
    """The cases that the newest decision on this candidate has used, and every ``must`` case."""
    book = History(settings.root, records).book(target.spec.feature)
    rows = [used for row, used in book.rows if row.parts.get("candidate") == target.candidate.digest]
    ids = {row.case_id for used in rows for row in used}
    must = target.must.cases if target.must else ()
    return [*must, *(case for case in target.gate.cases if case.id in ids)]
