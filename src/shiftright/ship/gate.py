"""``shiftright gate``: may this change merge? Every feature it touches against what serves today.

The variant that serves is compared with the one that served at the merge-base; each other variant that the change
touches with itself. A variant that is new serves nobody: its release decides (docs/decisions/pull-request-gate.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from shiftright import datasets
from shiftright import spec as specs
from shiftright.core.case import Split
from shiftright.core.spec import Spec
from shiftright.core.verdict import Calls, CheckRow, Merge, Outcome
from shiftright.errors import BaselineStale, CredentialsError, Error, MissingDependency
from shiftright.evals import merge_base
from shiftright.evals.evaluate import evaluate
from shiftright.evals.options import Options, Progress
from shiftright.evals.target import DEFAULT, Side, load_side, needs_baseline
from shiftright.features.current import baseline_variant, named_variant
from shiftright.settings import Settings
from shiftright.ship import memory, recordings
from shiftright.ship.loosened import loosened, measured_otherwise, signed
from shiftright.ship.touched import Change, Touched, change, removed, touched
from shiftright.store import Records

Require = Literal["merge", "release"]
_WORST: tuple[Outcome, ...] = ("error", "fail", "inconclusive", "pass")
UNCHANGED = "neither code, settings, cases nor contract differ in what they mean"


class VariantGate(msgspec.Struct, frozen=True):
    """One variant: an EvalRun's answers, or why there was no eval (``run_id`` is then None). ``before`` is the
    variant at the base that it was compared with."""

    variant: str
    baseline: str | None
    verdict: Outcome
    merge: Merge
    before: str | None = None
    reasons: tuple[str, ...] = ()
    checks: tuple[CheckRow, ...] = ()
    calls: Calls = Calls()
    cost_usd: float | None = 0.0
    run_id: str | None = None
    stored: bool = False
    notes: tuple[str, ...] = ()


class FeatureGate(msgspec.Struct, frozen=True):
    """One feature that the change touches. ``looser`` is what became easier, ``signed_by`` who agreed to that;
    ``files`` are the files that touch it."""

    feature: str
    verdict: Outcome
    merge: Merge
    reasons: tuple[str, ...]
    calls: Calls
    cost_usd: float | None
    variants: tuple[VariantGate, ...]
    looser: tuple[str, ...] = ()
    signed_by: str | None = None
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Gate(msgspec.Struct, frozen=True):
    """``verdict`` is the worst of the features' and ``merge`` is no where one's is; without features both are good.
    ``base`` is the commit that the change was compared with."""

    verdict: Outcome
    merge: Merge
    base: str
    features: tuple[FeatureGate, ...]
    notes: tuple[str, ...] = ()

    def exit_code(self, require: Require = "merge") -> int:
        """0 yes, 1 no, 2 not proven (only where a release is required), 3 could not be decided."""
        if self.merge == "no":
            return 1
        if self.verdict == "error":
            return 3
        return {"fail": 1, "inconclusive": 2}.get(self.verdict, 0) if require == "release" else 0


async def gate(
    settings: Settings,
    open_records: Callable[[], Records],
    *,
    base: str | None = None,
    only: Path | None = None,
    sign_off: str | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Gate:
    """Decide about every feature that the change since the merge-base with ``base`` touches.

    Args:
        only: look at the contract at this path and at no other.
        sign_off: the owner's name, where CI knows that they agree to a looser contract.
        options: the caps and ``concurrency`` of each eval.

    Raises:
        SpecError: without git history, or when a contract cannot be read.
        StoreError: when records or the lock cannot be used.
    """
    since = change(settings.root, base)
    concerned = [t for t in touched(settings.root, since) if only is None or t.spec.path.resolve() == only]
    copy = merge_base.copy_of(settings.root, settings.home, since.commit) if since.files else settings.root
    gone = removed(settings.root.resolve(), copy, since) if only is None else []
    if not concerned and not gone:
        return Gate("pass", "yes", since.commit, ())
    records = open_records()
    notes = memory.recall(settings.root, since.commit)
    recordings.read(settings.root, records)
    judge = _Judge(settings, records, since, sign_off, options or Options(), progress)
    features = [*(_missing(spec, sign_off) for spec in gone), *[await judge.feature(t) for t in concerned]]
    return Gate(
        _worst([feature.verdict for feature in features]),
        "no" if any(feature.merge == "no" for feature in features) else "yes",
        since.commit,
        tuple(features),
        notes,
    )


class _Judge:
    def __init__(
        self,
        settings: Settings,
        records: Records,
        since: Change,
        sign_off: str | None,
        options: Options,
        progress: Progress | None,
    ) -> None:
        self._settings, self._records, self._since = settings, records, since
        self._sign_off, self._options, self._progress = sign_off, options, progress

    async def feature(self, touched: Touched) -> FeatureGate:
        try:
            return await self._feature(touched)
        except (CredentialsError, MissingDependency) as error:
            answer = _undecided("", error)
        except Error as error:
            answer = _failed("", error)
        return _sum(touched, [answer])

    async def _feature(self, touched: Touched) -> FeatureGate:
        new, old = touched.spec, self._old(touched.spec)
        if old is None:
            return _sum(touched, [await self._new(new)])
        looser, owner = loosened(old, new), None
        notes = [f"what {said} measures was changed" for said in measured_otherwise(old, new)]
        if looser:
            owner = self._sign_off or signed(self._records, new)
            if owner is None:
                return _sum(touched, [_unsigned(new, looser)], looser=looser, notes=notes)
        answers = [await self._variant(new, old, *pair) for pair in self._pairs(new, old)]
        return _sum(touched, answers, looser=looser, signed_by=owner, notes=notes)

    def _old(self, spec: Spec) -> Spec | None:
        root, home = self._settings.root, self._settings.home
        path = merge_base.contract_at(spec, root, home, self._since.commit)
        return None if path is None else specs.load(path)

    def _pairs(self, new: Spec, old: Spec) -> Iterator[tuple[str, str | None]]:
        """Variants with the variant at the base that each is compared with; None: there is none."""
        serves, served = baseline_variant(new).name, _name(old, baseline_variant(old).name)
        if not new.variants:
            yield DEFAULT, served
        for name in new.variants:
            yield name, served if name == serves else name if name in old.variants else None

    async def _variant(self, new: Spec, old: Spec, name: str, before: str | None) -> VariantGate:
        if before is None:
            why = f"{name} is new and serves nobody: shiftright eval {new.feature} --variant {name}"
            return VariantGate(name, None, "inconclusive", "yes", reasons=(why,))
        serves = name in (DEFAULT, baseline_variant(new).name)
        if not self._differs(new, old, name, before) and not (serves and _examined_otherwise(new, old)):
            return VariantGate(name, before, "pass", "yes", before, (UNCHANGED,))
        return await self._evaluated(new, name, self._since.commit, before)

    def _differs(self, new: Spec, old: Spec, name: str, before: str) -> bool:
        now = _side(new, name).digest
        return now != _side(old, before).digest

    async def _new(self, spec: Spec) -> VariantGate:
        """A contract that was not there: what it demands by itself is looked at, what it compares cannot be."""
        name = _name(spec, baseline_variant(spec).name)
        if needs_baseline(spec):
            why = f"{spec.feature} is new: there is nothing at {self._since.commit[:12]} to compare it with"
            return VariantGate(name, None, "inconclusive", "yes", reasons=(why,))
        return await self._evaluated(spec, name, None, None)

    async def _evaluated(self, spec: Spec, name: str, base: str | None, before: str | None) -> VariantGate:
        options = msgspec.structs.replace(self._options, variant=name, base=base, baseline=before)
        path = str(spec.path.resolve())
        try:
            try:
                run = await evaluate(path, self._settings, self._records, options, self._progress)
            except BaselineStale:  # its answers have been set aside: now it runs afresh
                run = await evaluate(path, self._settings, self._records, options, self._progress)
        except (CredentialsError, MissingDependency) as error:
            return _undecided(name, error)
        except Error as error:
            return _failed(name, error)
        verdict = run.verdict
        return VariantGate(
            variant=name,
            baseline=run.baseline,
            before=before,
            verdict=verdict.verdict,
            merge=verdict.merge,
            reasons=verdict.reasons,
            checks=verdict.checks,
            calls=run.calls,
            cost_usd=run.cost_usd,
            run_id=run.run_id,
            stored=run.stored,
            notes=run.notes,
        )


def _side(spec: Spec, name: str) -> Side:
    return load_side(spec, named_variant(spec, name))


def _name(spec: Spec, variant: str) -> str:
    return variant if spec.variants else DEFAULT


def _examined_otherwise(new: Spec, old: Spec) -> bool:
    """Does the contract ask another thing, or of other cases?"""
    return new.digest != old.digest or any(
        _cases_digest(new, split) != _cases_digest(old, split) for split in ("gate", "must")
    )


def _cases_digest(spec: Spec, split: Split) -> str | None:
    path = spec.cases.get(split)
    return None if path is None else datasets.load(path).digest


def _undecided(name: str, error: Error) -> VariantGate:
    """No key, no package: this runner cannot ask. That proves no harm, and nothing else either."""
    why = f"not decided here: {error.message}"
    return VariantGate(
        name, None, "inconclusive", "yes", reasons=(why, "where the keys are: shiftright gate")
    )


def _failed(name: str, error: Error) -> VariantGate:
    return VariantGate(name, None, "error", "yes", reasons=(str(error).replace("\n", " "),))


def _unsigned(spec: Spec, looser: Sequence[str]) -> VariantGate:
    said = f"the contract is looser and its owner has not agreed: {'; '.join(looser)}"
    how = f"shiftright sign {spec.feature} --as owner --by NAME, or in CI: shiftright gate --sign-off NAME"
    return VariantGate("", None, "inconclusive", "no", reasons=(said, how))


def _missing(spec: Spec, sign_off: str | None) -> FeatureGate:
    """A contract that is taken away is the loosest of all."""
    said = (f"the contract of {spec.feature} is removed",)
    if sign_off is None:
        why = f"{said[0]} and its owner has not agreed"
        hint = "in CI: shiftright gate --sign-off NAME"
        return FeatureGate(spec.feature, "inconclusive", "no", (why, hint), Calls(), 0.0, (), said)
    return FeatureGate(spec.feature, "pass", "yes", said, Calls(), 0.0, (), said, sign_off)


def _sum(
    touched: Touched,
    answers: Sequence[VariantGate],
    *,
    looser: Sequence[str] = (),
    signed_by: str | None = None,
    notes: Sequence[str] = (),
) -> FeatureGate:
    """The worst of the variants; the reasons are the worst one's."""
    binding = min(answers, key=lambda answer: (answer.merge != "no", _WORST.index(answer.verdict)))
    costs = [answer.cost_usd for answer in answers]
    return FeatureGate(
        feature=touched.spec.feature,
        verdict=_worst([answer.verdict for answer in answers]),
        merge=binding.merge,
        reasons=binding.reasons,
        calls=Calls(
            sum(answer.calls.made for answer in answers),
            sum(answer.calls.baseline_made for answer in answers),
            sum(answer.calls.cached for answer in answers),
        ),
        cost_usd=None if None in costs else sum(cost or 0.0 for cost in costs),
        variants=tuple(answer for answer in answers if answer.variant),
        looser=tuple(looser),
        signed_by=signed_by,
        notes=tuple(notes),
        files=touched.files,
    )


def _worst(verdicts: Sequence[Outcome]) -> Outcome:
    return min(verdicts, key=_WORST.index)
