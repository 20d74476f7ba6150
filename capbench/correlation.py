"""Agreement of two columns of numbers, for many resamples of their rows at once.

    tau-b     = (C - D) / sqrt((P - Tx) (P - Ty))                      Kendall 1945
    tau-c     = (C - D) 2 m / (W^2 (m - 1))                            Stuart 1953
    pearson   = cov(x, y) / (sd(x) sd(y))
    spearman  = pearson of the ranks; ties have the mean of their ranks

C, D: concordant and discordant pairs of rows; P = W (W - 1) / 2: all pairs; Tx, Ty: pairs tied in x, in y;
m: the smaller number of distinct values. Every function takes weights (resamples x rows) that say how
often a row was drawn; copies of one row are ties in both columns, as if the rows had been written out.
Where a column is constant there is no correlation: NaN.

C is counted without a loop over pairs: rows in order of x, with the ranks of y as binary numbers. Two
ranks differ first at one bit; for each bit, a running sum over the rows that agree in the bits above
counts the earlier rows with 0 for each row with 1. That is O(n log n) and whole-array work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from capbench import stats

if TYPE_CHECKING:
    from capbench.types import Array, Ints

CORRELATIONS = ("tau_b", "tau_c", "pearson", "spearman")
WORK = 20_000_000  # rows x resamples of one statistic: 1,000 resamples up to 20,000 rows
LEAST = 200  # resamples, however many rows there are: enough for two digits of a 95% interval


def resamples_for(rows: int) -> int:
    """How many resamples a statistic over so many rows gets."""
    return int(np.clip(WORK // max(rows, 1), LEAST, stats.RESAMPLES))


def correlations(x: Array, y: Array, weights: Array | None = None) -> dict[str, Array]:
    """Every correlation of x and y under each row of weights (default: every row once)."""
    weights = once(x) if weights is None else weights
    if len(x) == 0:
        return {name: np.full(len(weights), np.nan) for name in CORRELATIONS}
    tau_b, tau_c = kendall(x, y, weights)
    return {
        "tau_b": tau_b, "tau_c": tau_c, "pearson": pearson(x, y, weights), "spearman": spearman(x, y, weights),
    }  # fmt: skip


def accuracy(difference: Array, weights: Array | None = None, first: Array | None = None) -> dict[str, Array]:
    """The share of pairs in which the preferred one scores higher.

    difference: score of the preferred - score of the other. ``accuracy`` is strict: a tie is wrong, as
    published. ``accuracy_ties_half`` counts a tie as half, as a coin would settle it. first: 1 where the preferred
    one stands first in its pair; ``accuracy_ties_first`` then lets the first one win a tie, as an argmax does.
    """
    weights = once(difference) if weights is None else weights
    with np.errstate(invalid="ignore", divide="ignore"):
        total = weights.sum(axis=1)
        strict = weights @ (difference > 0).astype(np.float64)
        ties = weights @ (difference == 0).astype(np.float64)
        found = {"accuracy": strict / total, "accuracy_ties_half": (strict + ties / 2) / total}
        if first is not None:
            found["accuracy_ties_first"] = (strict + weights @ ((difference == 0) * first)) / total
        return found


def once(x: Array) -> Array:
    """One resample with every row once."""
    return np.ones((1, len(x)))


def kendall(x: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Tau-b and tau-c under each row of weights."""
    cx, cy = levels(x), levels(y)
    if cx.max() < cy.max():
        cx, cy = cy, cx  # symmetric; the bits are of the column with fewer values
    count = int(cy.max()) + 1
    both = levels(cx * count + cy)
    totals = weights.sum(axis=1)
    pairs = totals * (totals - 1) / 2
    groups_x, groups_y = group_sums(cx, weights), group_sums(cy, weights)
    tied_x, tied_y = tied(groups_x), tied(groups_y)
    untied = pairs - tied_x - tied_y + tied(group_sums(both, weights))
    score = 2 * concordant(cx, cy, weights) - untied
    few = np.minimum((groups_x > 0).sum(axis=1), (groups_y > 0).sum(axis=1)).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        tau_b = score / np.sqrt(pairs - tied_x) / np.sqrt(pairs - tied_y)
        tau_c = 2 * score * few / (totals**2 * (few - 1))
    known = few > 1
    return np.where(known, np.clip(tau_b, -1, 1), np.nan), np.where(known, tau_c, np.nan)


def concordant(cx: Ints, cy: Ints, weights: Array) -> Array:
    """Pairs of rows with x and y both greater in one of the two, under each row of weights."""
    order = np.lexsort((-cy, cx))  # within one x the greater y first, so that no pair tied in x counts
    codes, weights = cy[order], weights[:, order]
    found = np.zeros(len(weights))
    for bit in range(int(codes.max()).bit_length() - 1, -1, -1):
        blocks = codes >> (bit + 1)
        place = np.argsort(blocks, kind="stable")
        ones = (codes[place] >> bit & 1).astype(bool)
        here = weights[:, place]
        low = np.cumsum(np.where(ones, 0.0, here), axis=1)
        begins = np.flatnonzero(np.diff(blocks[place], prepend=-1))
        before = np.concatenate([np.zeros((len(low), 1)), low[:, begins[1:] - 1]], axis=1)
        # the sum over a block's ones of (zeros so far - zeros before the block)
        upper = np.where(ones, here, 0.0)
        found += np.einsum("ij,ij->i", upper, low)
        found -= np.einsum("ij,ij->i", np.add.reduceat(upper, begins, axis=1), before)
    return found


def spearman(x: Array, y: Array, weights: Array) -> Array:
    """Pearson of the ranks that the rows have in each resample."""
    return weighted_pearson(ranks(levels(x), weights), ranks(levels(y), weights), weights)


def pearson(x: Array, y: Array, weights: Array) -> Array:
    """Pearson under each row of weights."""
    return weighted_pearson(x[None, :], y[None, :], weights)


def weighted_pearson(x: Array, y: Array, weights: Array) -> Array:
    """Pearson of columns that are the same for all resamples (1 x rows) or each its own."""
    with np.errstate(invalid="ignore", divide="ignore"):
        total = weights.sum(axis=1, keepdims=True)
        x = x - (weights * x).sum(axis=1, keepdims=True) / total
        y = y - (weights * y).sum(axis=1, keepdims=True) / total
        xx, yy, xy = ((weights * a * b).sum(axis=1) for a, b in ((x, x), (y, y), (x, y)))
        constant = np.sqrt(np.array([spread(x, weights), spread(y, weights)]).min(axis=0)) == 0
        return np.where(constant, np.nan, np.clip(xy / np.sqrt(xx) / np.sqrt(yy), -1, 1))


def spread(x: Array, weights: Array) -> Array:
    """Greatest - least value among the rows that were drawn; 0 where all are equal, without rounding."""
    drawn = weights > 0
    shown = np.broadcast_to(x, weights.shape)
    top = np.max(shown, axis=1, where=drawn, initial=-np.inf)
    bottom = np.min(shown, axis=1, where=drawn, initial=np.inf)
    gap: Array = np.maximum(top - bottom, 0.0)
    return gap


def ranks(codes: Ints, weights: Array) -> Array:
    """The mean rank of each row's value under each row of weights."""
    sums = group_sums(codes, weights)
    each: Array = (np.cumsum(sums, axis=1) - sums / 2 + 0.5)[:, codes]
    return each


def group_sums(codes: Ints, weights: Array) -> Array:
    """The weight of each value (resamples x values)."""
    order = np.argsort(codes, kind="stable")
    begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
    sums: Array = np.add.reduceat(weights[:, order], begins, axis=1)
    return sums


def tied(sums: Array) -> Array:
    """Pairs inside the groups of these sizes."""
    pairs: Array = (sums * (sums - 1)).sum(axis=1) / 2
    return pairs


def levels(values: Array | Ints) -> Ints:
    """Each value as the number of smaller distinct values."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def bootstrapped(
    statistic: Callable[[Array | None], Mapping[str, Array]], units: Ints, seed: int = 0
) -> tuple[dict[str, stats.Interval], dict[str, Array]]:
    """Values with percentile intervals over resampled units, and the resampled values themselves.

    statistic: weights (resamples x rows; None: every row once) -> name -> one value a resample. units: the
    unit of each row; units are drawn whole. Fewer than ``stats.MIN_BAGS`` units have no interval. The same
    seed and units give the same resamples, so two statistics over them are paired.
    """
    names, unit = np.unique(units, return_inverse=True)
    values = {name: float(value[0]) for name, value in statistic(None).items()}
    drawn: dict[str, list[Array]] = {name: [] for name in values}
    count = resamples_for(len(units)) if len(names) >= stats.MIN_BAGS else 0
    for weights in stats.resampled_weights(len(names), count, seed):
        for name, value in statistic(weights[:, unit]).items():
            drawn[name].append(value)
    every = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in drawn.items()}
    return {name: stats.percentile(values[name], [every[name]]) for name in values}, every


__all__ = [
    "CORRELATIONS", "accuracy", "bootstrapped", "correlations", "kendall", "pearson", "spearman",
]  # fmt: skip
