"""Which checks of a contract live traffic can be scored on, and with what."""

from __future__ import annotations

import msgspec

from shiftright import features, scorers
from shiftright.core.case import digest_of
from shiftright.core.seams import Scorer
from shiftright.core.spec import Check, Spec
from shiftright.errors import Error
from shiftright.evals.scoring import Scoring
from shiftright.features.current import baseline_variant
from shiftright.models.budget import Budget

MEASURED = frozenset({"latency", "cost"})
"""Known of every trace without scoring it."""
FEEDBACK = "feedback"
CHEAP = frozenset({"schema", "regex"})
"""Built-ins that ask nobody and take microseconds: every trace is scored, the rest by lot."""


def why_not(check: Check) -> str | None:
    """Why this check says nothing of live traffic; None where it does."""
    if check.score in scorers.NEEDS_EXPECTED:
        return "needs an expected output, which live traffic has not: shiftright eval decides it"
    if check.score == "judge" and check.params.get("pairwise"):
        return "compares with the baseline's output: shiftright eval decides it"
    return None


class LiveScoring(msgspec.Struct, frozen=True, eq=False):
    """The contract's own scorers, those that live traffic can have: ``cheap`` for every trace, ``asking`` for those
    that are sampled. ``without`` says which could not be built, and why."""

    spec: Spec
    cheap: tuple[Check, ...]
    asking: tuple[Check, ...]
    built: dict[str, Scorer]
    without: dict[str, str]
    digest: str = ""
    """Of all that the checks measure with: a rubric, a schema or code may change while the contract does not."""

    def scoring(self, checks: tuple[Check, ...], budget: Budget | None = None) -> Scoring:
        """As an eval scores, with these checks alone."""
        part = msgspec.structs.replace(self.spec, checks=checks)
        return Scoring(part, self.built, budget=budget)


def live_scoring(spec: Spec) -> LiveScoring:
    """Builds the scorers; imports the user's code where a check or the output's schema needs it."""
    # before they are read: what changes meanwhile is noticed the next time
    digest = digest_of_checks(spec)
    built: dict[str, Scorer] = {}
    without: dict[str, str] = {}
    for check in spec.checks:
        if check.score in MEASURED:
            continue
        if (why := why_not(check)) is not None:
            without[check.name] = why
            continue
        try:
            built[check.name] = scorers.build(check, spec, output_schema=_schema(check, spec))
        except Error as error:
            without[check.name] = f"cannot be scored: {error}"
    there = [check for check in spec.checks if check.name in built]
    cheap = tuple(check for check in there if check.score in CHEAP)
    asking = tuple(check for check in there if check.score not in CHEAP)
    return LiveScoring(spec, cheap, asking, built, without, digest)


def digest_of_checks(spec: Spec) -> str:
    """Looks at the files' times, and reads what changed."""
    return digest_of(*(_digest(check, spec) for check in spec.checks if check.score not in MEASURED))


def _digest(check: Check, spec: Spec) -> str:
    try:
        return scorers.digest(check, spec)
    except (Error, OSError) as error:
        return f"cannot be read: {error}"


def _schema(check: Check, spec: Spec) -> dict[str, object] | None:
    if check.score != "schema" or "schema" in check.params:
        return None
    return features.load(spec, baseline_variant(spec)).output_schema
