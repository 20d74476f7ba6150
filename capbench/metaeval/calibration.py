"""What people said where a score is this high: bins of a column beside the mean of what people said in each.

Ratings: bins of the score, with the mean rating. Preferences: bins of the distance between the two scores of a pair,
with the share of pairs in which the preferred one scores higher, a tie as half: a metric whose distances mean something
is right more often where they are wide. Up to ten bins of about equally many rows; equal scores are never split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capbench import correlation

if TYPE_CHECKING:
    from capbench.types import Array, Ints, Summary

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin. least, most, score: the bounds and the mean of the scores (or distances) inside.

    people: the mean rating (or accuracy); low, high: its 95% bootstrap interval over images, None where there are
    fewer than 10 images.
    """

    metric: str
    column: str
    short: str
    least: float
    most: float
    score: float
    people: float
    low: float | None
    high: float | None
    n: int


def bins_of(summary: Summary, scores: Array, people: Array, images: Ints) -> list[Bin]:
    """The bins of one column, the lowest first. scores, people: one a row, without holes. images: the unit of each."""
    if not len(scores):
        return []
    place = bin_places(scores)
    member = (place[:, None] == np.arange(place.max() + 1)).astype(np.float64)
    sums = member * people[:, None]

    def means(weights: Array | None) -> dict[str, Array]:
        """The mean of each bin under each row of weights."""
        drawn = correlation.once(scores) if weights is None else weights
        with np.errstate(invalid="ignore", divide="ignore"):
            return {str(k): row for k, row in enumerate(((drawn @ sums) / (drawn @ member)).T)}

    found, _ = correlation.bootstrapped(means, images)
    made = []
    for k in range(member.shape[1]):
        own, at = scores[place == k], found[str(k)]
        low, high = (float(x) if np.isfinite(x) else None for x in (at.low, at.high))
        ends = float(own.min()), float(own.max()), float(own.mean())
        made.append(Bin(summary.metric, summary.column, summary.short, *ends, at.value, low, high, len(own)))
    return made


def bin_places(scores: Array) -> Ints:
    """The bin of each row: one for each distinct score up to BINS of them, else by the middle of its ranks."""
    values, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    if len(values) <= BINS:
        return which.astype(np.int64)
    middle = np.cumsum(counts) - counts / 2
    tenth = np.minimum((middle * BINS / len(scores)).astype(np.int64), BINS - 1)
    return np.unique(tenth, return_inverse=True)[1][which].astype(np.int64)
