"""Captioners compared on bags: R@1 beside chance for each size of bag, paired differences, and where they differ.

The ranks are those that ``self_retrieval`` stored; nothing is scored here. A bag is the unit: its pictures are each
other's rivals, so intervals resample bags. With a single gallery, which is no sample of galleries, it is the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from capbench import paired, stats
from capbench.compare import Captions, Comparison, captions_of, compare_sides, faults_of
from capbench.errors import NotComparable
from capbench.matching import Metric, Side, key_of, match, read_sides
from capbench.paired import Test
from capbench.stats import Interval
from capbench.store import Run
from capbench.tables import safe
from capbench.types import Bag, Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capbench.types import Array, Ints

FOUND, RANK, CHANCE = "r1", "rank", "chance"  # columns of self_retrieval


class Contender(NamedTuple):
    """A run, and for each set of bags the key of its scores there."""

    run: Run
    keys: Mapping[str, str]


class Score(NamedTuple):
    """R@1 of one system: value and 95% interval, targets with and without a score."""

    interval: Interval
    n: int
    unscored: int


@dataclass(frozen=True, slots=True)
class SizeLine:
    """The bags of one size. size: pictures a bag (0: bags of all sizes). chance: R@1 of a caption that says nothing."""

    size: int
    bags: int
    chance: float
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A picture to be found by its caption: for each system the chance that it comes first, its rank, its caption.

    found: 1 or 0, a share where it is tied, NaN unscored. captions: None where it failed or the run keeps none.
    """

    id: str
    found: tuple[float, ...]
    ranks: tuple[float, ...]
    captions: tuple[str | None, ...]

    @property
    def apart(self) -> tuple[float, float]:
        """How far the systems lie apart in finding it, and in its rank."""
        return spread(self.found), spread(self.ranks)


@dataclass(frozen=True, slots=True)
class BagResult:
    """One bag. members: all its pictures, where the benchmark tells, else its targets. size: those with a vector."""

    id: str
    members: tuple[str, ...]
    targets: tuple[Target, ...]
    size: int

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of its targets that each system finds; NaN where none is scored."""
        return tuple(mean_known(column) for column in zip(*(t.found for t in self.targets), strict=True))

    @property
    def apart(self) -> tuple[float, float, float]:
        """How far the systems lie apart: in the share that they find, in what they find, in ranks."""
        found, ranks = zip(*(t.apart for t in self.targets), strict=True)
        return spread(self.shares), float(sum(found)), float(sum(ranks))


@dataclass(frozen=True, slots=True)
class SetResult:
    """One set of bags: a line for each size, and its bags, those where the systems differ most first.

    unit: what is resampled: "bags", or "pictures" of a single gallery.
    """

    name: str
    signature: str
    unit: str
    lines: tuple[SizeLine, ...]
    bags: tuple[BagResult, ...]


@dataclass(frozen=True, slots=True)
class BagComparison:
    """Everything that was compared on bags. differences: R@1 of each pair on each set, adjusted together."""

    sets: tuple[SetResult, ...]
    differences: Comparison

    @property
    def names(self) -> tuple[str, ...]:
        """The systems."""
        return self.differences.names


def compare_on_bags(
    contenders: Sequence[Contender],
    bags: Mapping[str, Sequence[Bag]],
    *,
    resamples: int = paired.RESAMPLES,
    seed: int = 0,
    test: Test = "both",
) -> BagComparison:
    """Every pair of systems in R@1 of every set of bags.

    bags: for each set its bags in the order of the scores' galleries, with the benchmark's ids (empty: not known).

    Raises:
        NotComparable: some pair has other bags, another encoder or other pictures there; says which.
        BadData: rows and summary of a run do not belong together.
    """
    sides = [only(side, c.keys) for side, c in zip(read_sides([c.run for c in contenders]), contenders, strict=True)]
    pairs = list(combinations(range(len(sides)), 2))
    made = compare_sides(sides, (), pairs, resamples, seed, test, moved=0)
    if made.gaps:
        raise NotComparable(
            "these captioners cannot be compared on bags:", faults_of(made),
            "give the benchmark (-b), so that each is scored on the same bags by the same encoder",
        )  # fmt: skip
    captions = captions_of(sides)
    metrics, _ = match(sides)
    by_key = {metric.key: metric for metric in metrics}
    found = (one_set(name, by_key[contenders[0].keys[name]], bags.get(name, ()), captions) for name in bags)
    return BagComparison(tuple(found), made)


def only(side: Side, keys: Mapping[str, str]) -> Side:
    """The side with R@1 of these sets alone, named after them."""
    names = {key: name for name, key in keys.items()}
    kept = [s for s in side.summaries if s.column == FOUND and key_of(s) in names]
    return replace(side, summaries=tuple(replace(s, label=f"{names[key_of(s)]} R@1") for s in kept))


def one_set(name: str, metric: Metric, bags: Sequence[Bag], captions: Captions) -> SetResult:
    """A set of bags from the matched rows of all systems."""
    rows = [metric.matched.rows[i] for i in sorted(metric.matched.rows)]
    chance = first_known([own.columns[CHANCE] for own in rows])
    numbers = np.maximum(metric.bags, 0)  # one gallery alone has no number
    sizes = sizes_of(chance, numbers, bags)
    groups = [(int(size), sizes == size) for size in np.unique(sizes)]
    if len(groups) > 1:
        groups.append((0, np.ones(len(sizes), bool)))
    lines = [
        SizeLine(size, len(np.unique(numbers[which])), mean_known(chance[which]),
                 tuple(score_of(own, which) for own in rows))
        for size, which in groups
    ]  # fmt: skip
    results = bag_results(metric, rows, numbers, sizes, bags, captions)
    unit = "pictures" if rows[0].bags is None else "bags"
    return SetResult(name, metric.summaries[0].signature, unit, tuple(lines), results)


def sizes_of(chance: Array, numbers: Ints, bags: Sequence[Bag]) -> Array:
    """For each row how many pictures its caption was judged among; of a bag without any score, how many it has."""
    sizes = np.zeros(len(chance))
    for bag in np.unique(numbers):
        own = chance[numbers == bag]
        known = own[~np.isnan(own)]
        sizes[numbers == bag] = round(1 / known[0]) if len(known) else len(bags[bag].members) if bags else 0
    return sizes


def score_of(rows: Rows, which: NDArray[np.bool_]) -> Score:
    """R@1 of some rows with the interval over their bags."""
    column = rows.columns[FOUND][which]
    part = Rows({FOUND: column}, None, None if rows.bags is None else rows.bags[which])
    unscored = int(np.isnan(column).sum())
    return Score(stats.intervals(part)[FOUND], len(column) - unscored, unscored)


def bag_results(
    metric: Metric, rows: Sequence[Rows], numbers: Ints, sizes: Array, bags: Sequence[Bag],
    captions: Captions,
) -> tuple[BagResult, ...]:  # fmt: skip
    """The bags, those where the systems lie furthest apart first; among equals in the order of the set."""
    order = np.argsort(numbers, kind="stable")
    bounds = np.append(np.flatnonzero(np.diff(numbers[order], prepend=-1)), len(order))
    made = []
    for start, end in pairwise(bounds.tolist()):
        number = int(numbers[order[start]])
        targets = [target_of(metric, rows, int(k), captions) for k in order[start:end]]
        members = tuple(map(safe, bags[number].members)) if bags else tuple(t.id for t in targets)
        place = {member: i for i, member in enumerate(members)}
        targets.sort(key=lambda t: place[t.id])
        name = bags[number].id if bags else f"bag {number + 1}"
        made.append(BagResult(name, members, tuple(targets), int(sizes[order[start]])))
    return tuple(sorted(made, key=lambda bag: bag.apart, reverse=True))


def target_of(metric: Metric, rows: Sequence[Rows], row: int, captions: Captions) -> Target:
    """One row of all systems."""
    name = str(metric.ids[row])
    return Target(
        name,
        tuple(float(own.columns[FOUND][row]) for own in rows),
        tuple(float(own.columns[RANK][row]) for own in rows),
        tuple(captions.get(i, {}).get(name, {}).get(0) for i in range(len(rows))),
    )


def first_known(columns: Sequence[Array]) -> Array:
    """Of each row the first number that is known: the galleries are the same for all."""
    made = columns[0]
    for column in columns[1:]:
        made = np.where(np.isnan(made), column, made)
    return made


def mean_known(values: Sequence[float] | Array) -> float:
    """The mean of what is known; NaN where nothing is."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")


def spread(values: Sequence[float]) -> float:
    """The largest difference of two that are known."""
    known = [value for value in values if value == value]  # noqa: PLR0124 -- NaN is the one value that differs from itself
    return max(known) - min(known) if known else 0.0
