"""Bootstrap intervals from stored per-item rows; nothing is scored again.

The resampling unit is the item, or the bag where rows have bags. A metric's rows are first summed by
unit; every resample is one row of a weight matrix, so all columns of all metrics of a run under all
resamples are one matrix product a chunk (and for scores that are not means, the metric's ``reduce`` of the
summed statistics). Corpus statistics such as CIDEr's idf stay fixed under resampling.

``capbench.paired`` compares systems, ``capbench.significance`` holds what needs no resampling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from capbench.types import Array, Ints, Rows

    Reduce = Callable[[Mapping[str, Array]], Mapping[str, Array]]

RESAMPLES = 1000  # of a run's own intervals; comparisons take ten times as many (docs/decisions/resamples.md)
LEVEL = 0.95
MIN_BAGS = 10  # below this many galleries a bootstrap over galleries says nothing: no interval is given
CHUNK = 100  # resamples a matrix product: 100 x 5,000 float64 weights are 4 MB
ROUNDING = 1e-12  # a difference below this share of the two scores is the order of summation, not a difference


class Interval(NamedTuple):
    """A value and its percentile bootstrap interval; NaN where nothing was scored."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class UnitSums:
    """A metric's columns summed by resampling unit: all that resampling needs to know.

    table: units x (one sum for each of ``names``, then the distinct counts of scored rows).
    counted: for each name, the column of the table that has its counts.
    resampled: False where there are too few galleries.
    """

    names: tuple[str, ...]
    table: Array
    counted: tuple[int, ...]
    reduce: Reduce | None
    resampled: bool

    @classmethod
    def of(cls, rows: Rows, reduce: Reduce | None) -> UnitSums:
        """Sum rows by unit; unscored rows add nothing and are not counted."""
        unit, n = units(rows)
        names = tuple(rows.columns)
        sums: list[Array] = []
        counts: list[Array] = []
        places: dict[bytes, int] = {}
        counted = []
        for column in rows.columns.values():
            scored = ~np.isnan(column)
            sums.append(by_unit(np.where(scored, column, 0.0), rows, unit, n))
            pattern = scored.tobytes()
            if pattern not in places:
                places[pattern] = len(names) + len(places)
                counts.append(by_unit(scored.astype(np.float64), rows, unit, n))
            counted.append(places[pattern])
        resampled = rows.bags is None or n >= MIN_BAGS
        return cls(names, np.column_stack([*sums, *counts]), tuple(counted), reduce, resampled)

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self.table)

    def totals(self) -> Array:
        """The table's sums (1 x columns), each by itself: no bit depends on what stands beside it."""
        ones = np.ones((1, self.units))
        return np.column_stack([ones @ np.ascontiguousarray(column) for column in self.table.T])

    def scores(self, totals: Array) -> dict[str, Array]:
        """Each column's score from weighted sums of the table (resamples x columns)."""
        sums = {name: totals[:, k] for k, name in enumerate(self.names)}
        counts = {name: totals[:, k] for name, k in zip(self.names, self.counted, strict=True)}
        with np.errstate(invalid="ignore", divide="ignore"):
            result = {name: sums[name] / counts[name] for name in sums}
            if self.reduce is not None:
                own = dict(self.reduce(sums))
                result |= {n: np.where((counts[n] > 0) & np.isfinite(own[n]), own[n], np.nan) for n in own}
        return result


def by_unit(column: Array, rows: Rows, unit: Ints, n: int) -> Array:
    """A column's sum in each unit."""
    return column if rows.bags is None else np.bincount(unit, column, n).astype(np.float64)


def intervals(
    rows: Rows, reduce: Reduce | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """The score of each column with its interval.

    reduce: the metric's own fold of summed columns; columns that it does not return are means.
    """
    return intervals_together([UnitSums.of(rows, reduce)], resamples, seed)[0]


def intervals_together(
    parts: Sequence[UnitSums], resamples: int = RESAMPLES, seed: int = 0
) -> list[dict[str, Interval]]:
    """``intervals`` of several metrics of a run; those with equally many units share their resamples."""
    drawn: list[dict[str, list[Array]]] = [{name: [] for name in part.names} for part in parts]
    for places in same_units(parts):
        table = np.hstack([parts[k].table for k in places])
        ends = np.cumsum([parts[k].table.shape[1] for k in places])[:-1]
        for weights in resampled_weights(len(table), resamples, seed):
            for k, totals in zip(places, np.split(weights @ table, ends, axis=1), strict=True):
                for name, score in parts[k].scores(totals).items():
                    drawn[k][name].append(score)
    return [
        {name: percentile(float(value[0]), own[name]) for name, value in part.scores(part.totals()).items()}
        for part, own in zip(parts, drawn, strict=True)
    ]


def same_units(parts: Sequence[UnitSums]) -> list[list[int]]:
    """The parts that can be resampled, grouped by their number of units."""
    groups: dict[int, list[int]] = {}
    for k, part in enumerate(parts):
        if part.resampled:
            groups.setdefault(part.units, []).append(k)
    return list(groups.values())


def paired_differences(
    first: Rows, second: Rows, reduce: Reduce | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """First - second for each column, over the same resampled units.

    Both must have the same rows in the same order; a row that is unscored in one is left out of both.
    """
    ours, theirs = (UnitSums.of(rows, reduce) for rows in common(first, second))
    mine, others = ours.scores(ours.totals()), theirs.scores(theirs.totals())
    drawn: dict[str, list[Array]] = {name: [] for name in mine}
    for weights in resampled_weights(ours.units, resamples if ours.resampled else 0, seed):
        against = theirs.scores(weights @ theirs.table)
        for name, part in ours.scores(weights @ ours.table).items():
            drawn[name].append(minus(part, against[name]))
    return {name: percentile(float(minus(mine[name], others[name])[0]), drawn[name]) for name in mine}


def minus(first: Array, second: Array) -> Array:
    """First - second; exactly 0 where they differ by rounding only."""
    difference = first - second
    noise = np.abs(difference) <= ROUNDING * (np.abs(first) + np.abs(second))
    return np.where(noise, 0.0, difference)


def units(rows: Rows) -> tuple[Ints, int]:
    """The resampling unit of each row, numbered from 0, and how many there are."""
    n = len(next(iter(rows.columns.values())))
    if rows.bags is None:
        return np.arange(n, dtype=np.int64), n
    names, unit = np.unique(rows.bags, return_inverse=True)
    return unit.astype(np.int64), len(names)


def resampled_weights(n: int, resamples: int, seed: int) -> Iterator[Array]:
    """How often each unit is drawn in each resample, chunk by chunk so that memory stays flat."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        draws = generator.integers(0, n, (size, n)) + n * np.arange(size)[:, None] if n else np.zeros((size, 0), int)
        yield np.bincount(draws.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def percentile(value: float, drawn: Sequence[Array]) -> Interval:
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
    return masked(first, holes), masked(second, holes)


def masked(rows: Rows, holes: Mapping[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]) -> Rows:
    """Rows with NaN in the holes."""
    columns = {name: np.where(holes[name], np.nan, column) for name, column in rows.columns.items()}
    return type(rows)(columns, rows.items, rows.bags)
