"""The contract of one feature, as data. ``shiftright.spec`` reads it from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

ClauseKind = Literal[
    "at_least",
    "at_most",
    "max_drop",
    "min_gain",
    "never_fails",
    "p95_at_most",
    "mean_at_most",
    "each_at_most",
]
RELATIVE: frozenset[str] = frozenset({"max_drop", "min_gain"})
ENFORCED: frozenset[str] = frozenset({"never_fails", "each_at_most"})


class Clause(msgspec.Struct, frozen=True):
    """One condition of a check.

    ``bound`` in the score's own unit: a fraction for quality (``3 points`` is 0.03), USD for cost, seconds for
    latency; 0.0 for ``never_fails``. ``comfortable`` is the good boundary where the contract names one.
    ``line`` is where it stands in the file.
    """

    kind: ClauseKind
    bound: float
    comfortable: float | None = None
    line: int = 0

    @property
    def relative(self) -> bool:
        """Against the baseline."""
        return self.kind in RELATIVE

    @property
    def enforced(self) -> bool:
        """Held on every single request rather than decided on evidence."""
        return self.kind in ENFORCED


class Check(msgspec.Struct, frozen=True):
    """One named condition: a score and what it must satisfy.

    ``score`` is the scorer's name (``latency`` and ``cost`` measure the call itself; ``judge`` asks a model;
    ``module:function`` is a function beside the spec), ``params`` the scorer's own keys. ``month_at_most_usd`` is a
    budget and no condition of an answer: live requests beyond it are refused, and no decision depends on it.
    """

    name: str
    score: str
    params: dict[str, Any] = {}
    clauses: tuple[Clause, ...] = ()
    line: int = 0
    month_at_most_usd: float | None = None

    def clause(self, kind: str) -> Clause | None:
        return next((c for c in self.clauses if c.kind == kind), None)


class Variant(msgspec.Struct, frozen=True):
    """A named configuration of a feature. ``settings`` holds every key the contract gives it (model, prompt, …).

    ``run`` overrides the feature's callable: plain code competes on equal terms. ``root`` is the folder its files
    are relative to.
    """

    name: str
    settings: dict[str, Any] = {}
    run: str | None = None
    root: Path = Path()

    def __getitem__(self, key: str) -> Any:
        return self.settings[key]

    def __contains__(self, key: object) -> bool:
        return key in self.settings

    def get(self, key: str, default: Any = None) -> Any:
        return self.settings.get(key, default)


class Confidence(msgspec.Struct, frozen=True):
    """Error rates of the decision, as fractions."""

    wrong_ship: float = 0.05
    wrong_block: float = 0.20
    false_red: float = 0.05


class Ship(msgspec.Struct, frozen=True):
    """How a release reaches its users.

    ``shadow`` live requests are copied to it first; then ``steps`` of users, rising shares that end at 1.0. It is taken
    back when a check is worse than before by ``back_if_drop`` (a fraction) and given up after ``give_up_s``.
    ``unit`` is what keeps its arm; its outcome counts ``outcome_after_s`` seconds after its first request.
    ``fallback`` is asked in order when the feature fails: variants, ``provider:model``, ``person:GROUP``, who answers
    within ``answer_within_s``.
    """

    shadow: int = 0
    steps: tuple[float, ...] = (1.0,)
    back_if_drop: float = 0.05
    give_up_s: float = 14 * 86400.0
    unit: Literal["user", "conversation"] = "user"
    outcome_after_s: float = 600.0
    fallback: tuple[str, ...] = ()
    answer_within_s: float = 86400.0


class Spec(msgspec.Struct, frozen=True):
    """The contract of one feature.

    ``path`` is the spec file; every relative path in it is relative to ``root``, its folder. ``cases`` maps split
    (``dev``, ``gate``, ``must``) to a file; a single file is the gate. ``digest`` covers the clauses (what the
    decision key needs), not comments or layout. ``live_checks`` are those that only live traffic can decide; no eval
    sees them.
    """

    feature: str
    path: Path
    run: str | None = None
    cases: dict[str, Path] = {}
    checks: tuple[Check, ...] = ()
    variants: dict[str, Variant] = {}
    baseline: str | None = None
    confidence: Confidence = Confidence()
    touches: tuple[str, ...] = ()
    owner: dict[str, Any] = {}
    purpose: str = ""
    value: dict[str, Any] = {}
    live: dict[str, Any] = {}
    data: dict[str, Any] = {}
    live_checks: tuple[Check, ...] = ()
    ship: Ship = Ship()
    digest: str = ""

    @property
    def root(self) -> Path:
        return self.path.parent

    def check(self, name: str) -> Check:
        return next(c for c in self.checks if c.name == name)
