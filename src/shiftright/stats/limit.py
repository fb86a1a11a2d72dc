"""The limit printed beside every cost: what no test with these error rates can beat."""

from __future__ import annotations

from math import ceil, inf, log, log1p

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats import _inputs
from shiftright.stats._bets import Array


def expected_calls_limit(
    xs: ArrayLike,
    *,
    bad: float,
    good: float,
    alpha: float,
    beta: float,
    p_ship: float,
    p_block: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> float:
    """Fewest increments, on average, that *any* sequential test needs on the empirical law of ``xs``, shape
    (n,).

    For any test that wrongly ships with probability <= alpha and ships this law with probability
    ``p_ship``, E[n] >= kl(p_ship, alpha) / KL_inf(law; mean <= bad); blocking likewise with beta and mean
    >= good. The larger one. ``p_block`` defaults to 1 - p_ship; ``low`` and ``high`` to the range of xs. A
    side counts 0 where its probability does not exceed its error, inf where the law cannot be told from its
    null at all.

    Errors: ValueError on bad boundaries, probabilities outside their range, NaN, or an empty ``xs``.
    Source: Wald 1945; Garivier & Kaufmann 2016, lemma 1; Honda & Takemura 2010 for KL_inf.
    """
    law = np.asarray(xs, np.float64)
    if law.ndim != 1 or law.size == 0 or not np.isfinite(law).all():
        raise ValueError("xs must be a non-empty 1-D array of finite numbers")
    low = float(law.min()) if low is None else float(low)
    high = float(law.max()) if high is None else float(high)
    _inputs.boundaries(min(low, bad), bad, good, max(high, good))
    law = np.array(_inputs.increments(law, low, high))
    p_block = 1.0 - p_ship if p_block is None else p_block
    for name, share in (("p_ship", p_ship), ("p_block", p_block)):
        if not -1e-12 <= share <= 1.0 + 1e-12:
            raise ValueError(f"{name} must lie in [0, 1], got {share}")
    alpha, beta = _inputs.probability("alpha", alpha), _inputs.probability("beta", beta)
    ship = _side(p_ship, alpha, law, bad, low)
    block = _side(p_block, beta, -law, -good, -high)
    return max(ship, block)


def _side(reached: float, error: float, law: Array, null: float, low: float) -> float:
    if reached <= error:
        return 0.0
    information = kl_inf(law, null, low=low)
    return inf if information <= 0.0 else binary_kl(reached, error) / information


def binary_kl(p: float, q: float) -> float:
    """Relative entropy of Bernoulli(p) to Bernoulli(q), in nats; 0 < q < 1."""
    p = min(max(p, 0.0), 1.0)
    return (p * log(p / q) if p > 0.0 else 0.0) + ((1.0 - p) * log((1.0 - p) / (1.0 - q)) if p < 1.0 else 0.0)


def kl_inf(xs: ArrayLike, null: float, *, low: float) -> float:
    """Least relative entropy, in nats per increment, from the law of ``xs`` to a law on [low, inf) with
    mean <= null.

    The dual (Honda & Takemura 2010, theorem 8) is the growth rate of the best constant bet: max over 0 <=
    bet <= 1/(null - low) of E log(1 + bet (x - null)). Infinite where no law with that mean exists.
    """
    values, counts = np.unique(np.asarray(xs, np.float64), return_counts=True)
    gains, weights = values - null, counts / counts.sum()
    if weights @ gains <= 1e-12 * float(np.abs(gains).max()):  # a mean on the null, but for rounding
        return 0.0
    if null <= low:
        return inf
    left, right = 0.0, 1.0 / (null - low)
    for _ in range(100):
        middle = 0.5 * (left + right)
        if float((weights * gains / np.maximum(1.0 + middle * gains, 1e-300)).sum()) > 0.0:
            left = middle
        else:
            right = middle
    return max(0.0, float(weights @ np.log(np.maximum(1.0 + left * gains, 1e-300))))


def clean_cases_needed(gap: float, room: float, error: float) -> int:
    """Fewest perfect increments that can prove a claim: log(1/error) / -log(1 - gap/room).

    ``gap``: distance between the boundaries; ``room``: from the far boundary to the worst value. With room
    1 this is the rule "299 clean cases for 1 %, at 5 %". A claim with fewer cases than this is impossible,
    whatever the method.
    """
    if not gap > 0.0:
        raise ValueError(f"gap must be positive, got {gap}")
    if gap >= room:
        return 1
    return ceil(log(1.0 / error) / -log1p(-gap / room))
