"""Bootstrap intervals from stored per-item rows; nothing is scored again.

The resampling unit is the item, or the bag where rows have bags. Every resample is one row of a
weight matrix, so all columns of all resamples are one matrix product (and for scores that are not
means, the metric's ``reduce`` of the summed statistics). Corpus statistics such as CIDEr's idf stay
fixed under resampling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from capbench.types import Array, Ints, Rows

    Reduce = Callable[[Mapping[str, Array]], Mapping[str, Array]]

RESAMPLES = 1000
LEVEL = 0.95
MIN_BAGS = 10  # below this many galleries a bootstrap over galleries says nothing: no interval is given
CHUNK = 100  # resamples a matrix product: 100 x 5,000 float64 weights are 4 MB


class Interval(NamedTuple):
    """A value and its percentile bootstrap interval; NaN where nothing was scored."""

    value: float
    low: float
    high: float


def intervals(
    rows: Rows, reduce: Reduce | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """The score of each column with its interval.

    reduce: the metric's own fold of summed columns; columns that it does not return are means.
    """
    n = units(rows)[1]
    values = scores(rows, np.ones((1, n)), reduce)
    drawn: dict[str, list[Array]] = {name: [] for name in values}
    for weights in resampled_weights(n, enough(rows, n, resamples), seed):
        for name, part in scores(rows, weights, reduce).items():
            drawn[name].append(part)
    return {name: percentile(float(value[0]), drawn[name]) for name, value in values.items()}


def paired_differences(
    first: Rows, second: Rows, reduce: Reduce | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """First - second for each column, over the same resampled units.

    Both must have the same rows in the same order; a row that is unscored in one is left out of both.
    """
    first, second = common(first, second)
    n = units(first)[1]
    values = {
        name: value - scores(second, np.ones((1, n)), reduce)[name]
        for name, value in scores(first, np.ones((1, n)), reduce).items()
    }
    drawn: dict[str, list[Array]] = {name: [] for name in values}
    for weights in resampled_weights(n, enough(first, n, resamples), seed):
        theirs = scores(second, weights, reduce)
        for name, part in scores(first, weights, reduce).items():
            drawn[name].append(part - theirs[name])
    return {name: percentile(float(value[0]), drawn[name]) for name, value in values.items()}


def scores(rows: Rows, weights: Array, reduce: Reduce | None) -> dict[str, Array]:
    """Each column's score under each row of unit weights (resamples x units)."""
    per_row = weights if rows.bags is None else weights[:, units(rows)[0]]
    sums, counts = {}, {}
    for name, column in rows.columns.items():
        scored = ~np.isnan(column)
        sums[name] = per_row @ np.where(scored, column, 0.0)
        counts[name] = per_row @ scored.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        result = {name: sums[name] / counts[name] for name in sums}
        if reduce is not None:
            own = dict(reduce(sums))
            result |= {n: np.where((counts[n] > 0) & np.isfinite(own[n]), own[n], np.nan) for n in own}
    return result


def units(rows: Rows) -> tuple[Ints, int]:
    """The resampling unit of each row, numbered from 0, and how many there are."""
    n = len(next(iter(rows.columns.values())))
    if rows.bags is None:
        return np.arange(n, dtype=np.int64), n
    names, unit = np.unique(rows.bags, return_inverse=True)
    return unit.astype(np.int64), len(names)


def enough(rows: Rows, n: int, resamples: int) -> int:
    """No resample at all where there are too few galleries."""
    return 0 if rows.bags is not None and n < MIN_BAGS else resamples


def resampled_weights(n: int, resamples: int, seed: int) -> Iterator[Array]:
    """How often each unit is drawn in each resample, chunk by chunk so that memory stays flat."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        draws = generator.integers(0, n, (size, n)) + n * np.arange(size)[:, None] if n else np.zeros((size, 0), int)
        yield np.bincount(draws.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def percentile(value: float, drawn: list[Array]) -> Interval:
    """The percentile interval at LEVEL of all resamples that have a value."""
    every = np.concatenate(drawn) if drawn else np.zeros(0)
    every = every[~np.isnan(every)]
    if len(every) == 0 or np.isnan(value):
        return Interval(value, float("nan"), float("nan"))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(every, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def common(first: Rows, second: Rows) -> tuple[Rows, Rows]:
    """Both with NaN wherever either is NaN."""
    if set(first.columns) != set(second.columns):
        raise ValueError("the two runs have different columns")
    holes = {n: np.isnan(first.columns[n]) | np.isnan(second.columns[n]) for n in first.columns}
    return tuple(  # type: ignore[return-value]
        type(r)({n: np.where(holes[n], np.nan, c) for n, c in r.columns.items()}, r.items, r.bags)
        for r in (first, second)
    )
