"""Self-agreement: how far a score that was given several times for one caption agrees with itself.

    equal   share of pairs of repeats that are equal
    gap     mean absolute difference of two repeats
    icc     (MSB - MSW) / (MSB + (k0 - 1) MSW)         ICC(1) of Shrout and Fleiss 1979: the one-way model

MSB, MSW: mean squares between and within captions; k0 = (N - sum k^2 / N) / (n - 1) where captions have different
numbers k of repeats (Snedecor and Cochran), n captions and N scores in all. Repeats that are missing are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from capbench import correlation

if TYPE_CHECKING:
    from capbench.judgements import Judgement
    from capbench.types import Array, Ints

NAMES = ("equal", "gap", "icc")


class Statistic(NamedTuple):
    """A value with its 95% bootstrap interval over images; None: there is no such number."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Repeats:
    """One score. captions: those with two repeats or more; most: the largest number of repeats."""

    score: str
    equal: Statistic
    gap: Statistic
    icc: Statistic
    captions: int
    most: int

    @property
    def statistics(self) -> tuple[Statistic, Statistic, Statistic]:
        """All three, in the order of tables."""
        return self.equal, self.gap, self.icc


def repeats_of(judged: Sequence[Judgement]) -> tuple[Repeats, ...]:
    """Every score that some caption was given twice or more."""
    names = dict.fromkeys(name for j in judged for name in j.repeats)
    made = []
    for name in names:
        given = [
            (j.image, [x for x in own if not np.isnan(x)])
            for j in judged
            for own in j.repeats.get(name, ())
        ]  # fmt: skip
        kept = [(image, own) for image, own in given if len(own) > 1]
        if kept:
            images = np.unique([image for image, _ in kept], return_inverse=True)[1].astype(np.int64)
            made.append(measured(name, [own for _, own in kept], images))
    return tuple(made)


def measured(name: str, scores: Sequence[Sequence[float]], images: Ints) -> Repeats:
    """The statistics of one score. scores: two or more for each caption; images: the unit of each."""
    pairs = [[abs(x - y) for x, y in combinations(own, 2)] for own in scores]
    table = np.array([
        (len(own), np.mean(own), np.var(own) * len(own), len(gaps), gaps.count(0.0), sum(gaps))
        for own, gaps in zip(scores, pairs, strict=True)
    ])  # fmt: skip

    def of(weights: Array | None) -> dict[str, Array]:
        """The statistics under each row of weights."""
        drawn = correlation.once(table[:, 0]) if weights is None else weights
        compared = drawn @ table[:, 3]
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = ((drawn @ table[:, 4]) / compared, (drawn @ table[:, 5]) / compared)
            return dict(zip(NAMES, (*shares, intraclass(drawn, *table[:, :3].T)), strict=True))

    found, _ = correlation.bootstrapped(of, images)
    equal, gap, icc = (Statistic(*(float(x) if np.isfinite(x) else None for x in found[key])) for key in NAMES)
    return Repeats(name, equal, gap, icc, len(scores), max(map(len, scores)))


def intraclass(drawn: Array, counts: Array, means: Array, within: Array) -> Array:
    """ICC(1) under each row of weights. within: the sum of squares inside each caption."""
    n, total = drawn.sum(axis=1), drawn @ counts
    grand = (drawn @ (counts * means)) / total
    between = (drawn * counts * (means - grand[:, None]) ** 2).sum(axis=1) / (n - 1)
    inside = (drawn @ within) / (total - n)
    size = (total - (drawn @ counts**2) / total) / (n - 1)
    found: Array = (between - inside) / (between + (size - 1) * inside)
    return found
