"""Systems compared on the same items: paired bootstrap, approximate randomisation, McNemar.

    interval      percentiles of first - second over resampled units (paired bootstrap; Koehn 2004)
    permutation   p = (1 + #{|d*| >= |d|}) / (1 + resamples); d*: each unit's rows are swapped between the
                  two systems with probability 1/2 (approximate randomisation; Noreen 1989, Riezler 2005)
    bootstrap     p = 2 (1 + min(#{d* <= 0}, #{d* >= 0})) / (1 + resamples); d*: resampled differences, so that
                  p < 0.05 where the interval leaves 0 out
    both          the larger of the two (the default; docs/decisions/two-tests.md says why)
    mcnemar       exact, in the place of all of these, for 0/1 columns with one row a unit

All resamples of all metrics of all systems are one matrix product a chunk and system. A row that is
unscored in one of two systems is left out of both, for that pair only. Where no system has holes the
sums are shared by all pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from capbench.significance import detectable, mcnemar
from capbench.stats import CHUNK, ROUNDING, UnitSums, common, minus, percentile, resampled_weights, units

if TYPE_CHECKING:
    from capbench.stats import Reduce
    from capbench.types import Array, Rows

RESAMPLES = 10_000
EQUAL = 1e-9  # items whose scores differ by less are ties: the last digits depend on the order of summation
Test = Literal["both", "permutation", "bootstrap"]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Matched:
    """One metric of several systems. rows: system -> its rows, the same in the same order for all.

    columns: those that are compared; the others are statistics that ``reduce`` folds.
    """

    rows: Mapping[int, Rows]
    reduce: Reduce | None
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """First - second in one column.

    first, second: both scores on the rows that both have. p: two-sided, not adjusted, of ``test``; NaN where there
    are too few galleries. p_permutation, p_bootstrap: of either test, NaN if it was not asked for. error: standard
    error of the difference. higher, equal, lower: rows by first against second. n: rows scored in both; only_first,
    only_second: rows that the other one has no score for.
    """

    first: float
    second: float
    value: float
    low: float
    high: float
    p: float
    test: str
    p_permutation: float
    p_bootstrap: float
    error: float
    units: int
    higher: int
    equal: int
    lower: int
    n: int
    only_first: int
    only_second: int

    @property
    def effect(self) -> float:
        """Standardised: the difference in standard deviations of a unit's difference (Cohen's d_z)."""
        spread = self.error * float(np.sqrt(self.units))
        return self.value / spread if spread > 0 else 0.0 if self.value == 0 else float("nan")

    def detectable(self, units: int = 0) -> float:
        """The difference that so many units (default: as many as there are) show with 80% power at 5%."""
        return detectable(self.error * float(np.sqrt(self.units / units)) if units else self.error)


class Side(NamedTuple):
    """One system of a pair: the sums of its metrics side by side, on the rows that count for that pair."""

    matrix: Array
    parts: Mapping[int, UnitSums]
    ends: Mapping[int, int]

    def part(self, metric: int, totals: Array) -> Array:
        """The columns of one metric."""
        end = self.ends[metric]
        return totals[:, end - self.parts[metric].table.shape[1] : end]


class Contest(NamedTuple):
    """A pair of systems: the keys of its two sides, and the metrics that both have."""

    pair: Pair
    sides: tuple[str, str]
    metrics: tuple[int, ...]


Key = tuple[int, Pair, str]  # metric, pair, column


class Arena(NamedTuple):
    """Metrics with equally many units, the pairs of systems, and each side once."""

    metrics: Sequence[Matched]
    contests: tuple[Contest, ...]
    sides: Mapping[str, Side]
    units: int

    def compared(self) -> list[Key]:
        """Everything that is compared."""
        return [(k, c.pair, name) for c in self.contests for k in c.metrics for name in self.metrics[k].columns]


def differences(
    metrics: Sequence[Matched],
    pairs: Sequence[Pair],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    test: Test = "both",
) -> dict[Key, Difference]:
    """First - second for each metric (by its place), pair of systems and column.

    Pairs of which one system lacks the metric are left out of it.
    """
    groups: dict[int, list[int]] = {}
    for k, metric in enumerate(metrics):
        for rows in list(metric.rows.values())[:1]:
            groups.setdefault(units(rows)[1], []).append(k)
    found: dict[Key, Difference] = {}
    for n, places in groups.items():
        arena = prepare(metrics, places, pairs, n)
        drawn = bootstrapped(arena, resamples, seed)
        extreme = {} if test == "bootstrap" else permuted(arena, resamples, seed)
        for contest in arena.contests:
            for k in contest.metrics:
                parts = [arena.sides[key].parts[k] for key in contest.sides]
                scores = [part.scores(part.totals()) for part in parts]
                for name in metrics[k].columns:
                    key = (k, contest.pair, name)
                    both = float(scores[0][name][0]), float(scores[1][name][0])
                    values = np.concatenate(drawn[key]) if parts[0].resampled and drawn[key] else np.zeros(0)
                    found[key] = conclude(metrics[k], contest.pair, name, both, values, extreme.get(key), test, n)
    return found


def prepare(metrics: Sequence[Matched], places: Sequence[int], pairs: Sequence[Pair], n: int) -> Arena:
    """The contests, and each side once: a system without holes has one for all its opponents."""
    contests: list[Contest] = []
    sides: dict[str, Side] = {}
    for i, j in pairs:
        mine = tuple(k for k in places if i in metrics[k].rows and j in metrics[k].rows)
        if not mine:
            continue
        keys = []
        both = {k: common(metrics[k].rows[i], metrics[k].rows[j]) for k in mine}
        for system, which in ((i, 0), (j, 1)):
            whole = all(not np.isnan(c).any() for k in mine for c in both[k][which].columns.values())
            key = f"{system}:{mine}" if whole else f"{system}:{mine}:{(i, j)}"
            if key not in sides:
                parts = {k: UnitSums.of(both[k][which], metrics[k].reduce) for k in mine}
                ends = np.cumsum([part.table.shape[1] for part in parts.values()])
                matrix = np.hstack([part.table for part in parts.values()])
                sides[key] = Side(matrix, parts, dict(zip(mine, ends.tolist(), strict=True)))
            keys.append(key)
        contests.append(Contest((i, j), (keys[0], keys[1]), mine))
    return Arena(metrics, tuple(contests), sides, n)


def bootstrapped(arena: Arena, resamples: int, seed: int) -> dict[Key, list[Array]]:
    """The resampled differences, chunk by chunk."""
    drawn: dict[Key, list[Array]] = {key: [] for key in arena.compared()}
    for weights in resampled_weights(arena.units, resamples, seed):
        under = {}
        for key, side in arena.sides.items():
            totals = weights @ side.matrix
            under[key] = {k: part.scores(side.part(k, totals)) for k, part in side.parts.items()}
        for contest in arena.contests:
            first, second = (under[key] for key in contest.sides)
            for k in contest.metrics:
                for name in arena.metrics[k].columns:
                    drawn[k, contest.pair, name].append(minus(first[k][name], second[k][name]))
    return drawn


def permuted(arena: Arena, resamples: int, seed: int) -> dict[Key, tuple[int, int]]:
    """How many swapped differences are at least as large as the real one, and of how many."""
    sides = arena.sides
    whole = {key: {k: part.totals() for k, part in side.parts.items()} for key, side in sides.items()}
    limits: dict[Key, Array] = {}
    for contest in arena.contests:
        for k in contest.metrics:
            real, against = (sides[key].parts[k].scores(whole[key][k]) for key in contest.sides)
            for name in arena.metrics[k].columns:
                slack = ROUNDING * (np.abs(real[name]) + np.abs(against[name]))
                limits[k, contest.pair, name] = np.abs(real[name] - against[name]) - slack
    counted = dict.fromkeys(limits, (0, 0))
    for swap in swaps(arena.units, resamples, seed):
        moved = {key: swap @ side.matrix for key, side in sides.items()}
        for contest in arena.contests:
            first, second = contest.sides
            for k in contest.metrics:
                trade = sides[second].part(k, moved[second]) - sides[first].part(k, moved[first])
                ours = sides[first].parts[k].scores(whole[first][k] + trade)
                theirs = sides[second].parts[k].scores(whole[second][k] - trade)
                for name in arena.metrics[k].columns:
                    swapped = np.abs(ours[name] - theirs[name])
                    swapped = swapped[~np.isnan(swapped)]
                    key = (k, contest.pair, name)
                    hits, every = counted[key]
                    counted[key] = hits + int((swapped >= limits[key]).sum()), every + len(swapped)
    return counted


def swaps(n: int, resamples: int, seed: int) -> Iterator[Array]:
    """Which units are swapped in each resample: each with probability 1/2 (resamples x units of 0 and 1)."""
    generator = np.random.default_rng([seed, 1])  # a stream of its own beside the bootstrap's
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        bits = np.frombuffer(generator.bytes(size * ((n + 7) // 8)), np.uint8).reshape(size, -1)
        yield np.unpackbits(bits, axis=1, count=n).astype(np.float64)


def conclude(
    metric: Matched, pair: Pair, name: str, both: tuple[float, float], drawn: Array, counted: tuple[int, int] | None,
    test: Test, n_units: int,
) -> Difference:  # fmt: skip
    """One column's difference from its resamples. counted: of the permutation test (None: not asked for)."""
    first, second = (metric.rows[system].columns[name] for system in pair)
    mine, theirs = ~np.isnan(first), ~np.isnan(second)
    shared = mine & theirs
    a, b = first[shared], second[shared]
    gap = a - b
    tied = np.abs(gap) <= EQUAL * np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
    higher, lower = int((~tied & (gap > 0)).sum()), int((~tied & (gap < 0)).sum())
    value = float(minus(np.array(both[0]), np.array(both[1])))
    interval = percentile(value, [drawn])
    known = drawn[~np.isnan(drawn)]
    swapped = resampled = float("nan")
    if len(known) and not np.isnan(value):
        if counted is not None:
            swapped = (1 + counted[0]) / (1 + counted[1])
        if test != "permutation":
            few = min(int((known <= 0).sum()), int((known >= 0).sum()))
            resampled = min(1.0, 2 * (1 + few) / (1 + len(known)))
    p, used = float(np.fmax(swapped, resampled)), str(test)
    if np.isnan(p):
        used = ""
    elif metric.reduce is None and is_binary(metric.rows[pair[0]], a, b):
        p, used = mcnemar(higher, lower), "mcnemar"
    return Difference(
        both[0], both[1], value, interval.low, interval.high, p, used, swapped, resampled,
        float(known.std()) if len(known) else float("nan"), n_units, higher, len(a) - higher - lower, lower, len(a),
        int((mine & ~theirs).sum()), int((theirs & ~mine).sum()),
    )  # fmt: skip


def is_binary(rows: Rows, first: Array, second: Array) -> bool:
    """Whether McNemar's test applies: only 0 and 1, some of either, and no two rows of one unit."""
    alone = rows.bags is None or len(np.unique(rows.bags)) == len(rows.bags)
    values = np.unique(np.concatenate([first, second]))
    return alone and len(values) > 0 and bool(np.isin(values, (0.0, 1.0)).all())
