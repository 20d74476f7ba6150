"""Self-agreement: how far a score that was given, or made, several times for one caption agrees with itself.

    equal   share of pairs of repeats that are equal
    gap     mean absolute difference of two repeats
    icc     (MSB - MSW) / (MSB + (k0 - 1) MSW)         ICC(1) of Shrout and Fleiss 1979: the one-way model

MSB, MSW: mean squares between and within captions; k0 = (N - sum k^2 / N) / (n - 1) where captions have different
numbers k of repeats (Snedecor and Cochran), n captions and N scores in all. Repeats that are missing are left out.

A metric that makes its score several times, as ``judge(repeats=3)`` does, says so in its details of a caption:
``repeats``, column -> a number each time, or None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from capbench import correlation, engine
from capbench.judgements import items_of

if TYPE_CHECKING:
    from capbench.judgements import Judgement
    from capbench.store import Run
    from capbench.types import Array, Summary

NAMES = ("equal", "gap", "icc")


class Statistic(NamedTuple):
    """A value with its 95% bootstrap interval over images; None: there is no such number."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Repeats:
    """One score. captions: those with two repeats or more; most: the largest number of repeats.

    short: the signature of the metric that made it ("": it was given).
    """

    score: str
    equal: Statistic
    gap: Statistic
    icc: Statistic
    captions: int
    most: int
    short: str = ""

    @property
    def statistics(self) -> tuple[Statistic, Statistic, Statistic]:
        """All three, in the order of tables."""
        return self.equal, self.gap, self.icc


def repeats_given(judged: Sequence[Judgement]) -> list[Repeats]:
    """Every score that some caption was given twice or more."""
    names = dict.fromkeys(name for j in judged for name in j.repeats)
    found = [measured(name, [(j.image, own) for j in judged for own in j.repeats.get(name, ())]) for name in names]
    return list(filter(None, found))


def repeats_made(judged: Sequence[Judgement], run: Run, asked: Sequence[Summary]) -> list[Repeats]:
    """Every column with a better side that its metric made twice or more for some caption."""
    captions, place = [], 0
    for j in judged:  # a caption with several ratings is one caption here
        captions += [(j.image, run.ids[place + k]) for k in range(len(j.candidates))]
        place += len(items_of(j))
    made = []
    for s in (s for s in asked if s.better != "none"):
        said = next(x.details for x in run.scored if x.key == engine.key_of(s.metric, s.short))
        numbers = [(image, numbers_in(said.get(id_, {}), s.column)) for image, id_ in captions]
        made.append(measured(s.label, numbers, s.short))
    return list(filter(None, made))


def numbers_in(details: Mapping[str, Any], column: str) -> list[float]:
    """A column's repeats in the details of a caption, NaN where one has no number; none where nothing is said."""
    repeats = details.get("repeats")
    values = repeats.get(column, ()) if isinstance(repeats, Mapping) else ()
    return [np.nan if value is None else float(value) for value in values]


def measured(name: str, given: Sequence[tuple[str, Sequence[float]]], short: str = "") -> Repeats | None:
    """The statistics of one score; None where no caption has it twice. given: image and scores of each caption."""
    there = [(image, [x for x in own if not np.isnan(x)]) for image, own in given]
    kept = [(image, own) for image, own in there if len(own) > 1]
    if not kept:
        return None
    images = np.unique([image for image, _ in kept], return_inverse=True)[1].astype(np.int64)
    scores = [own for _, own in kept]
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
    return Repeats(name, equal, gap, icc, len(scores), max(map(len, scores)), short)


def intraclass(drawn: Array, counts: Array, means: Array, within: Array) -> Array:
    """ICC(1) under each row of weights. within: the sum of squares inside each caption."""
    n, total = drawn.sum(axis=1), drawn @ counts
    grand = (drawn @ (counts * means)) / total
    between = (drawn * counts * (means - grand[:, None]) ** 2).sum(axis=1) / (n - 1)
    inside = (drawn @ within) / (total - n)
    size = (total - (drawn @ counts**2) / total) / (n - 1)
    found: Array = (between - inside) / (between + (size - 1) * inside)
    return found
