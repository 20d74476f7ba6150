"""Verdicts from scores: on each item the run that a metric scores better wins."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from capbench.arena.verdicts import Verdict, Verdicts, Winner
from capbench.compare import known_columns
from capbench.errors import Fault, NotComparable, UsageError
from capbench.matching import Metric, Side, match, read_sides
from capbench.paired import EQUAL
from capbench.store import Run


def by_metric(runs: Sequence[Path | Run], column: str) -> Verdicts:
    """A verdict for each pair of runs and row that both have a score for; scores closer than 1e-9 are a tie.

    column: by name or label; its better side wins. Where a metric has several rows of an item (samples, galleries),
    each is a contest of that item. The judge is ``by COLUMN``.

    Raises:
        UsageError: fewer than two runs, no such column, several metrics that have it, or one without a better side.
        NotComparable: a run's number has another signature, or is over other items; says in what they differ.
        MissingPart, BadData: a run is not finished or cannot be read.
    """
    if len(runs) < 2:
        raise UsageError("one run alone has no contests", "give two or more runs")
    sides = read_sides(runs)
    known_columns(sides, [column])
    metrics, gaps = match(sides, [column])
    if gaps:
        faults = dict.fromkeys(Fault(f"{sides[g.first].name}, {sides[g.second].name}: {g.label}", g.why) for g in gaps)
        raise NotComparable(f"{column} cannot decide between these runs:", list(faults), "score all in the same way")
    if len(metrics) > 1:
        labels = ", ".join(s.label for m in metrics for s in m.summaries)
        raise UsageError(f"several metrics have a column {column!r}", f"name one by its label: {labels}")
    return verdicts_of(metrics[0], sides)


def verdicts_of(metric: Metric, sides: Sequence[Side]) -> Verdicts:
    """The contests of one metric's only column."""
    summary = metric.summaries[0]
    if summary.better == "none":
        raise UsageError(f"{summary.label} has no better side", "a column with one, as cider")
    if summary.column not in metric.matched.columns:
        raise UsageError(f"{summary.label} has no score for each item", "a column that has one, as cider")
    sign = -1.0 if summary.better == "low" else 1.0
    rows: list[Verdict] = []
    unscored = 0
    for i, j in combinations(range(len(sides)), 2):
        gap = sign * (metric.matched.rows[i].columns[summary.column] - metric.matched.rows[j].columns[summary.column])
        for k, by in enumerate(gap.tolist()):
            if np.isnan(by):
                unscored += 1
                continue
            winner: Winner = "tie" if abs(by) <= EQUAL else "a" if by > 0 else "b"
            turn = f"{metric.samples[k]}/{metric.bags[k]}" if metric.bags[k] >= 0 else str(metric.samples[k])
            rows.append(Verdict(metric.ids[k], sides[i].name, sides[j].name, winner, f"by {summary.label}", turn=turn))
    return Verdicts(tuple(rows), {f"one of the two has no {summary.label}": unscored} if unscored else {})
