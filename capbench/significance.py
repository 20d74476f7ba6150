"""Significance and power where no resampling is needed: McNemar, Holm, and what a run of a size can show.

    McNemar   p = min(1, 2 P(X <= min(b, c))),  X ~ Binomial(b + c, 1/2)       exact, two-sided
    Holm      p_(i)' = max_{j <= i} min(1, (m - j + 1) p_(j)),  p_(1) <= ... <= p_(m)
    power     detectable = (z_{1 - alpha/2} + z_power) * se * sqrt(units / wanted)

b, c: items that only the first, only the second gets right (McNemar 1947). Holm 1979 keeps the chance of
one or more false findings in the family at alpha, however the tests depend on each other. se: the
bootstrap standard error of a paired difference over ``units`` units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

ALPHA = 0.05
POWER = 0.8


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of a 0/1 column: 1 where the two systems disagree on no item."""
    n, few = only_first + only_second, min(only_first, only_second)
    if n == 0:
        return 1.0
    k = np.arange(few + 1)
    steps = np.log(n - k[:-1]) - np.log(k[1:])  # ln C(n, k+1) - ln C(n, k)
    terms = np.concatenate([[0.0], np.cumsum(steps)]) - n * math.log(2)
    return float(min(1.0, 2 * np.exp(terms).sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p in the order given. NaN (not tested) stays NaN and is no member of the family."""
    p = np.asarray(p_values, np.float64)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * p[order]))
    return [float(value) for value in adjusted]


def detectable(error: float, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """The difference that a two-sided test at ``alpha`` finds with probability ``power``.

    error: the standard error of the difference. For another number of units, scale it by sqrt(units / wanted).
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * error


def power_of(difference: float, error: float, *, alpha: float = ALPHA) -> float:
    """The probability that a two-sided test at ``alpha`` finds a true difference."""
    normal = NormalDist()
    if error == 0:
        return 0.0 if difference == 0 else 1.0
    reach = normal.inv_cdf(1 - alpha / 2)
    return normal.cdf(difference / error - reach) + normal.cdf(-difference / error - reach)


def units_needed(difference: float, error: float, units: int) -> float:
    """How many units would find this difference with the usual power; infinite for no difference, NaN not known.

    error: the standard error over ``units`` units.
    """
    if math.isnan(difference) or math.isnan(error):
        return math.nan
    return math.inf if difference == 0 else math.ceil(units * (detectable(error) / difference) ** 2)
