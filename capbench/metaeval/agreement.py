"""How well scores agree with people: every statistic of every column, and who is better than whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench import correlation, engine, stats
from capbench.judgements import ALL, Judgement, Kind
from capbench.metaeval.calibration import Bin, bins_of
from capbench.metaeval.repeats import Repeats, repeats_given, repeats_made

if TYPE_CHECKING:
    from capbench.store import Run
    from capbench.types import Array, Ints, Summary

STATISTICS: Mapping[Kind, tuple[str, ...]] = {
    "ratings": correlation.CORRELATIONS,
    "preferences": ("accuracy", "accuracy_ties_half", "accuracy_ties_first"),
}


@dataclass(frozen=True, slots=True)
class Result:
    """One statistic of one column in one group (``all``: every row).

    low, high: the 95% bootstrap interval over images. n: ratings or pairs that were used; unscored: those
    that were left out because the metric gave no score. None: there is no such number.
    """

    metric: str
    column: str
    label: str
    statistic: str
    group: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int
    signature: str
    short: str


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean score of a column over the captions of a group, or of one corpus where there are several."""

    metric: str
    column: str
    group: str
    corpus: str
    value: float | None
    n: int
    short: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that one call found. ranks: (metric's short signature, column) -> rank, the best first."""

    name: str
    kind: Kind
    rows: int
    images: int
    groups: tuple[str, ...]
    results: tuple[Result, ...]
    means: tuple[Mean, ...]
    ranks: Mapping[tuple[str, str], int]
    bins: tuple[Bin, ...]
    repeats: tuple[Repeats, ...]
    run: Run
    asked: tuple[Summary, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """A column beside what people said: one entry a rating, or a pair (x: preferred - other)."""

    summary: Summary
    x: Array
    means: Array
    keep: Any


def measured(name: str, judged: Sequence[Judgement], run: Run, asked: Sequence[Summary]) -> Evaluation:
    """Every statistic of every column that has a better side, overall and in each group."""
    kind = judged[0].kind
    repeats = [len(j.people) for j in judged]
    people = np.array([p for j in judged for p in j.people])
    images = np.repeat(np.unique([j.image for j in judged], return_inverse=True)[1], repeats)
    labels = np.repeat(np.array([j.group for j in judged], object), repeats)
    corpora = np.repeat(np.array([j.corpus for j in judged], object), repeats)
    groups = (ALL, *sorted({g for g in labels if g}))
    columns = [column_of(s, run, people, kind) for s in asked if s.better != "none"]
    results, means = [], []
    draws: list[Array] = []
    for column in columns:
        s = column.summary
        for group in groups:
            inside = np.ones(len(people), bool) if group == ALL else labels == group
            used = inside & column.keep
            if group == ALL or inside.sum() < len(people):  # a group of all rows has the numbers of all
                found, drawn = agreement(kind, column.x[used], people[used], images[used])
            if group == ALL:
                draws.append(drawn[STATISTICS[kind][0]])
            counts = int(used.sum()), int(inside.sum() - used.sum())
            results += [
                Result(
                    s.metric, s.column, s.label, statistic, group, known(at.value), known(at.low), known(at.high),
                    *counts, s.signature, s.short,
                )
                for statistic, at in found.items()
            ]  # fmt: skip
            means.append(mean_of(column, inside, group))
        names = dict.fromkeys(corpora)
        means += [mean_of(column, corpora == one, ALL, one) for one in names if len(names) > 1]
    ranks = ranked(kind, columns, draws, people, images)
    bins = [b for column in columns for b in calibrated(column, kind, people, images)]
    return Evaluation(
        name, kind, len(people), len(np.unique(images)), groups, tuple(results), tuple(means), ranks, tuple(bins),
        (*repeats_given(judged), *repeats_made(judged, run, asked)), run, tuple(asked),
    )  # fmt: skip


def calibrated(column: Measured, kind: Kind, people: Array, images: Ints) -> list[Bin]:
    """What people said where the column says this much: ratings by score, or accuracy by distance of the pair."""
    used, s = column.keep, column.summary
    if kind == "ratings":
        return bins_of(s, column.means[used], people[used], images[used])
    x = column.x[used]
    return bins_of(s, np.abs(x), np.where(x == 0, 0.5, (x > 0).astype(np.float64)), images[used])


def mean_of(column: Measured, inside: Any, group: str, corpus: str = "") -> Mean:
    """The mean score over some of the judgements."""
    s, used = column.summary, inside & column.keep
    value = known(column.means[used].mean()) if used.any() else None
    return Mean(s.metric, s.column, group, corpus, value, int(used.sum()), s.short)


def column_of(summary: Summary, run: Run, people: Array, kind: Kind) -> Measured:
    """The scores of a column in the order of the judgements; the better side up."""
    key = engine.key_of(summary.metric, summary.short)
    rows = next(s.rows for s in run.scored if s.key == key)
    values = rows.columns[summary.column]
    items = np.arange(len(values)) if rows.items is None else rows.items
    has = ~np.isnan(values)
    sums = np.bincount(items[has], values[has], minlength=len(run.ids))
    counts = np.bincount(items[has], minlength=len(run.ids))
    with np.errstate(invalid="ignore"):
        scores = np.where(counts > 0, sums / counts, np.nan)
    up = -scores if summary.better == "low" else scores
    if kind == "ratings":
        return Measured(summary, up, scores, ~np.isnan(scores))
    pairs = up.reshape(-1, 2)
    first = people.astype(np.int64)
    each = np.arange(len(pairs))
    x = pairs[each, first] - pairs[each, 1 - first]
    return Measured(summary, x, scores.reshape(-1, 2).mean(axis=1), ~np.isnan(x))


def agreement(kind: Kind, x: Array, people: Array, images: Ints) -> tuple[Any, Any]:
    """The statistics with intervals, and their resampled values."""
    if kind == "preferences":
        first = (people == 0).astype(np.float64)
        return correlation.bootstrapped(lambda weights: correlation.accuracy(x, weights, first), images)
    return correlation.bootstrapped(lambda weights: correlation.correlations(x, people, weights), images)


def ranked(
    kind: Kind, columns: Sequence[Measured], draws: Sequence[Array], people: Array, images: Ints
) -> dict[tuple[str, str], int]:
    """1 + how many columns agree better beyond chance in the first statistic, on the rows that both have."""
    head = STATISTICS[kind][0]
    ranks = {}
    for i, mine in enumerate(columns):
        better = 0
        for j, theirs in enumerate(columns):
            if np.array_equal(mine.keep, theirs.keep):
                difference = draws[j] - draws[i]
            else:
                both = mine.keep & theirs.keep
                ours, others = (agreement(kind, c.x[both], people[both], images[both])[1] for c in (mine, theirs))
                difference = others[head] - ours[head]
            better += int(i != j and stats.percentile(0.0, [difference]).low > 0)
        ranks[mine.summary.short, mine.summary.column] = 1 + better
    return ranks


def known(value: float) -> float | None:
    """A finite number, or None."""
    return float(value) if np.isfinite(value) else None
