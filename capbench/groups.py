"""Tables split by a tag: every number of a run for each group of its items, from stored rows alone.

A row belongs to the group of its item; in retrieval that is the target, whatever else its gallery holds,
and the gallery stays the resampling unit. Scores that are not means are folded from the group's own sums.
What a metric took from the whole set, such as CIDEr's idf, stays that of the whole set.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench import plugins, stats
from capbench.errors import UsageError
from capbench.store import Run
from capbench.tables import Scored
from capbench.types import Group, GroupScore, Rows, Summary

if TYPE_CHECKING:
    from capbench.types import Ints

ALL, NONE = "all", "(none)"
NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)
MIN_UNITS = 2  # one item resampled is that item every time: an interval of no width, which says nothing


def split(run: Run, tag: str) -> tuple[Group, ...]:
    """The groups of a tag in order, the items without it, and last all items together.

    Raises:
        UsageError: no item of the run has such a tag; the cure names those there are.
    """
    values = values_of(run.tags, tag, str(run.folder or run.record.identity.benchmark))
    names = in_order(values)
    places = {value: code for code, value in enumerate(names)}
    codes = np.array([places[value] for value in values], np.int64)
    scored = {metric.key: metric for metric in run.scored}
    specs = {stated.short: stated.spec for stated in run.record.metrics}
    found: list[dict[tuple[str, str], GroupScore]] = [{} for _ in names]
    for short, summaries in by_metric(run.summaries).items():
        metric = scored[f"{summaries[0].metric}#{short}"]
        value = plugins.load("metrics", specs[short]).value
        for code, scores in enumerate(found):
            made = group_scores(summaries, metric, codes == code, value)
            scores.update({(score.short, score.column): score for score in made})
    groups = []
    for code, value in enumerate(names):
        scores_in_order = tuple(found[code][s.short, s.column] for s in run.summaries)
        groups.append(Group(tag, title(value), value, int(np.count_nonzero(codes == code)), scores_in_order))
    return (*groups, Group(tag, ALL, None, len(values), tuple(whole(summary) for summary in run.summaries)))


def values_of(tags: Sequence[Mapping[str, str]], tag: str, where: str) -> list[str | None]:
    """The tag's value of each item; None where an item lacks it.

    Raises:
        UsageError: no item has it.
    """
    values = [own.get(tag) for own in tags]
    if any(value is not None for value in values):
        return values
    there = sorted({name for own in tags for name in own})
    if not there:
        cure = "name columns of the data in the dataset, as in tags='category', and run the same command again"
        raise UsageError(f"{where} has no tags to split by", cure)
    near = difflib.get_close_matches(tag, there, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"{where} has no tag {tag!r}", f"{hint}there are: {', '.join(there)}")


def in_order(values: Sequence[str | None]) -> list[str | None]:
    """Each value once: numbers by size, then texts, then None."""

    def place(value: str) -> tuple[bool, float, str]:
        number = NUMBER.fullmatch(value)
        return number is None, float(value) if number else 0.0, value

    known = sorted({value for value in values if value is not None}, key=place)
    return [*known, *([None] if None in values else [])]


def title(value: str | None) -> str:
    """A group's name; a value that is empty, or could be taken for one of ours, is quoted."""
    if value is None:
        return NONE
    return repr(value) if value in ("", ALL, NONE) else value


def by_metric(summaries: Sequence[Summary]) -> dict[str, list[Summary]]:
    """The numbers of each metric, by its short signature."""
    found: dict[str, list[Summary]] = {}
    for summary in summaries:
        found.setdefault(summary.short, []).append(summary)
    return found


def group_scores(summaries: Sequence[Summary], scored: Scored, mine: Any, metric: Any) -> list[GroupScore]:
    """One metric's numbers for the items of a mask."""
    rows = part_of(scored.rows, mine)
    anything = any(not np.isnan(column).all() for column in rows.columns.values())
    found = stats.intervals(rows, getattr(metric, "reduce", None) if anything else None)
    beyond = metric.overall(rows.columns) if anything and hasattr(metric, "overall") else {}
    made = []
    for summary in summaries:
        # a number that no sum gives, such as a median, is of all rows and has no interval
        column = rows.columns.get(summary.column, next(iter(rows.columns.values())))
        n = int(np.count_nonzero(~np.isnan(column)))
        numbers = found.get(summary.column, stats.Interval(beyond.get(summary.column, np.nan), np.nan, np.nan))
        value, low, high = (float(x) if np.isfinite(x) else None for x in numbers)
        bounds = (low, high) if units(rows, column) >= MIN_UNITS else (None, None)
        made.append(number_of(summary, value, bounds, n, len(column) - n))
    return made


def part_of(rows: Rows, mine: Any) -> Rows:
    """The rows whose item is in the mask."""
    length = len(next(iter(rows.columns.values())))
    items: Ints = np.arange(length, dtype=np.int64) if rows.items is None else rows.items
    kept = mine[items]
    bags = None if rows.bags is None else rows.bags[kept]
    return Rows({name: column[kept] for name, column in rows.columns.items()}, items[kept], bags)


def units(rows: Rows, column: Any) -> int:
    """How many resampling units have a score in a column."""
    scored = ~np.isnan(column)
    return int(np.count_nonzero(scored) if rows.bags is None else len(np.unique(rows.bags[scored])))


def whole(summary: Summary) -> GroupScore:
    """The run's own number, as it is stored."""
    return number_of(summary, summary.value, (summary.low, summary.high), summary.n, summary.unscored)


def number_of(
    summary: Summary, value: float | None, bounds: tuple[float | None, float | None], n: int, unscored: int
) -> GroupScore:
    """A number that is named as a summary is."""
    return GroupScore(
        metric=summary.metric, column=summary.column, label=summary.label, better=summary.better, value=value,
        low=bounds[0], high=bounds[1], n=n, unscored=unscored, signature=summary.signature, short=summary.short,
        mark=summary.mark,
    )  # fmt: skip


__all__ = ["ALL", "NONE", "split", "values_of"]
