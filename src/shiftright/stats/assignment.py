"""Sample-ratio check: do units arrive in the arms with the probabilities that were logged?"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log
from typing import Any

from numpy.typing import ArrayLike

from shiftright.stats import _inputs
from shiftright.stats._wealth import HUGE

_SHIFTS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # of the log-odds, to either side
_ODDS = tuple(exp(sign * shift) for shift in _SHIFTS for sign in (1.0, -1.0))
_LOG_ODDS = tuple(map(log, _ODDS))


class AssignmentTest:
    """Beside a canary: an alarm once the assignment is proven not to be as logged; it voids the canary.

    A mixture, over shifts of the log-odds from 2 % to sevenfold, of likelihood ratios of the assignments: a martingale
    when every unit is assigned with its ``probability``, which may change per unit. So P(ever alarm | as logged) <=
    alpha. Units must be all that were assigned, whether or not they have an outcome: what is missing in one arm is what
    this test is for.

    Errors: ValueError unless alpha lies in (0, 1). Source: Lindon & Malek 2022 (2011.03567), theorem 1, with a discrete
    prior on the shift in place of a Dirichlet one on the shares, so that ramps are allowed.
    """

    def __init__(self, *, alpha: float = 0.001) -> None:
        self.alpha = _inputs.probability("alpha", alpha)
        self._logs = [0.0] * len(_ODDS)
        self._log_peak = 0.0
        self._n = self._canaries = 0
        self._expected = 0.0

    def update(self, canary: ArrayLike, probability: ArrayLike) -> bool:
        """One assigned unit, or a 1-D array of them in order (``probability`` may be one number for all); True once,
        and ever after, the alarm is raised. Units after the alarm are not used.

        ValueError, with nothing used, on an arm that is not true or false, a probability outside (0, 1), or arrays of
        different lengths.
        """
        size = 1 if isinstance(canary, bool) else _inputs.length(canary)
        arms, chances = _inputs.arms(canary, probability, size)
        logs, goal = self._logs, -log(self.alpha)
        paid_for, paid = 0.0, _LOG_ODDS
        for arm, p in zip(arms, chances, strict=True):
            if self._log_peak >= goal:
                break
            if p != paid_for:
                paid_for, paid = p, tuple(log(1.0 + p * (odds - 1.0)) for odds in _ODDS)
            if arm:
                logs = [e + gain - price for e, gain, price in zip(logs, _LOG_ODDS, paid, strict=True)]
            else:
                logs = [e - price for e, price in zip(logs, paid, strict=True)]
            self._n += 1
            self._canaries += arm
            self._expected += p
            top = max(logs)
            if top > self._log_peak:  # the mixture is at most its largest part
                mixed = top + log(sum([exp(e - top) for e in logs]) / len(logs))
                self._log_peak = max(self._log_peak, mixed)
        self._logs = logs
        return self.alarm

    def state(self) -> dict[str, Any]:
        """All that ``from_state`` needs, as JSON can hold it."""
        return {
            "alpha": self.alpha,
            "n": self._n,
            "canaries": self._canaries,
            "expected": self._expected,
            "logs": list(self._logs),
            "log_peak": self._log_peak,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> AssignmentTest:
        """The test that ``state`` was taken from, exactly. ValueError if it is none."""
        try:
            test = cls(alpha=state["alpha"])
            test._logs = [float(value) for value in state["logs"]]
            test._log_peak, test._expected = float(state["log_peak"]), float(state["expected"])
            test._n, test._canaries = int(state["n"]), int(state["canaries"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the state of an AssignmentTest: {error!r}") from error
        if len(test._logs) != len(_ODDS):
            raise ValueError(f"not the state of an AssignmentTest: {len(test._logs)} shifts")
        return test

    @property
    def alarm(self) -> bool:
        return self._log_peak >= -log(self.alpha)

    @property
    def n(self) -> int:
        """Units used."""
        return self._n

    @property
    def canaries(self) -> int:
        """Units used that were in the canary's arm."""
        return self._canaries

    @property
    def expected(self) -> float:
        """Canary units there should have been: the sum of the probabilities."""
        return self._expected

    @property
    def e_value(self) -> float:
        """Largest evidence so far that the assignment is not as logged; 1 is none, 1/alpha alarms."""
        return min(exp(min(self._log_peak, 690.0)), HUGE)

    @property
    def p_value(self) -> float:
        """Anytime p-value: 1 / e_value."""
        return 1.0 / self.e_value
