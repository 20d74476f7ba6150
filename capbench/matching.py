"""Runs side by side: their metrics with equal signatures, row by row, and what cannot be matched and why.

Rows are matched by item, sample and gallery. A metric's own fold of sums is loaded with the metric, and must
give the number that the run states: an entry scored by another version of the metric is found out here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from capbench import plugins, store
from capbench.errors import BadData, CapbenchError, Fault, MissingPart
from capbench.paired import Matched
from capbench.signature import differing
from capbench.stats import UnitSums
from capbench.store import Record, Run
from capbench.tables import Scored, from_table, item_names, safe
from capbench.types import Rows, Summary

if TYPE_CHECKING:
    from capbench.stats import Reduce
    from capbench.types import Ints

SAME = 1e-6  # relative: stored numbers come from other machines' sums
HINTS = {
    "data": "other images, or other references or pictures of them",
    "refs": "another number of references",
    "samples": "another number of captions an image",
    "v": "another version of the metric: score again",
}


@dataclass(frozen=True, slots=True)
class Side:
    """A run as comparisons see it. name: its label, told apart from equal ones; scored: metric key -> rows."""

    name: str
    record: Record
    summaries: tuple[Summary, ...]
    scored: Mapping[str, Scored]
    ids: tuple[str, ...]
    folder: Path | None

    def of(self, key: str) -> list[Summary]:
        """The numbers of one metric."""
        return [s for s in self.summaries if key_of(s) == key]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of several sides. keys: what each row is about: id, sample, gallery (-1: none)."""

    key: str
    summaries: tuple[Summary, ...]
    matched: Matched
    ids: Any
    samples: Ints
    bags: Ints


@dataclass(frozen=True, slots=True)
class Gap:
    """A number of ``first`` that is not compared with ``second``."""

    label: str
    column: str
    first: int
    second: int
    why: str


def key_of(summary: Summary) -> str:
    """The name of a number's rows in scores.parquet."""
    return f"{summary.metric}#{summary.short}"


def read_sides(runs: Sequence[Path | Run]) -> list[Side]:
    """Finished runs, with names that differ.

    Raises:
        MissingPart: a run is not finished.
        BadData: one cannot be read.
    """
    sides = [side_of(run) for run in runs]
    names: list[str] = []
    for side in sides:
        alike = [s for s in sides if s.record.label == side.record.label]
        name = side.record.label if len(alike) == 1 or side.folder is None else side.folder.name
        copies = sum(n == name or n.startswith(f"{name} (") for n in names)
        names.append(f"{name} ({copies + 1})" if copies else name)
    return [Side(name, s.record, s.summaries, s.scored, s.ids, s.folder) for name, s in zip(names, sides, strict=True)]


def side_of(run: Path | Run) -> Side:
    """One run, from its folder or as ``capbench.run`` gave it."""
    if isinstance(run, Run):
        scored = {s.key: s for s in run.scored}
        return Side(run.record.label, run.record, run.summaries, scored, tuple(map(safe, run.ids)), run.folder)
    record = store.read_record(run)
    if record.status != "finished":
        raise MissingPart(f"{run} is not finished", "run the same command again: it goes on where it stopped")
    table = store.score_table(run)
    scored = {s.key: s for s in from_table(table)}
    return Side(record.label, record, store.read_summary(run), scored, tuple(item_names(table)), run)


def match(sides: Sequence[Side], columns: Sequence[str] = ()) -> tuple[list[Metric], list[Gap]]:
    """Metrics that two or more sides have with equal signatures and rows, and what is left over.

    columns: only these, by name or label (default: all).
    """
    metrics: list[Metric] = []
    gaps: list[Gap] = []
    for key in dict.fromkeys(key_of(s) for side in sides for s in side.summaries):
        keys = {i: row_keys(side, key) for i, side in enumerate(sides) if wanted(side.of(key), columns)}
        groups = by_rows(keys)
        metrics += [metric_of(sides, key, keys, group, columns) for group in groups if len(group) > 1]
        where = {i: g for g, group in enumerate(groups) for i in group}
        for i in keys:
            for j in range(len(sides)):
                if i != j and where[i] != where.get(j):
                    why = other_rows(sides, keys, i, j) if j in where else why_absent(sides, key, i, j)
                    gaps += [Gap(s.label, s.column, i, j, why) for s in wanted(sides[i].of(key), columns)]
    return metrics, gaps


def wanted(summaries: Sequence[Summary], columns: Sequence[str]) -> list[Summary]:
    """The numbers asked for."""
    return [s for s in summaries if not columns or s.column in columns or s.label in columns]


class RowKeys(NamedTuple):
    """The order that sorts a metric's rows, and what each sorted row is about."""

    order: Ints
    ids: Any
    samples: Ints
    bags: Ints


def row_keys(side: Side, key: str) -> RowKeys:
    """Id, sample and gallery (-1: none) of a metric's rows, sorted."""
    scored = rows_of(side, key)
    n = len(scored.samples)
    items = np.arange(n) if scored.rows.items is None else scored.rows.items
    ids = np.array(side.ids, object)[items]
    bags = np.full(n, -1, np.int64) if scored.rows.bags is None else scored.rows.bags
    order = np.lexsort((bags, ids.astype(str), scored.samples))
    return RowKeys(order, ids[order], scored.samples[order], bags[order])


def by_rows(keys: Mapping[int, RowKeys]) -> list[list[int]]:
    """The sides that have a metric, grouped by equal rows."""
    groups: list[list[int]] = []
    for i, own in keys.items():
        for group in groups:
            if all(np.array_equal(a, b) for a, b in zip(own[1:], keys[group[0]][1:], strict=True)):
                group.append(i)
                break
        else:
            groups.append([i])
    return groups


def rows_of(side: Side, key: str) -> Scored:
    """A metric's stored rows.

    Raises:
        BadData: the run states the number and has no rows for it.
    """
    if key not in side.scored:
        raise BadData(f"{side.folder or side.name} has no rows of {key}", cure="run it again with --fresh")
    return side.scored[key]


def metric_of(
    sides: Sequence[Side], key: str, keys: Mapping[int, RowKeys], group: Sequence[int], columns: Sequence[str]
) -> Metric:
    """One metric's rows of several sides in one order."""
    summaries = tuple(wanted(sides[group[0]].of(key), columns))
    names = tuple(s.column for s in summaries)
    reduce = fold_of(sides[group[0]], key)
    ordered: dict[int, Rows] = {}
    for i in group:
        rows = rows_of(sides[i], key).rows
        order = keys[i].order
        # without a fold the other columns are nobody's business; with one they are its statistics
        kept = rows.columns if reduce is not None else {n: rows.columns[n] for n in names if n in rows.columns}
        bags = None if rows.bags is None else rows.bags[order]
        ordered[i] = Rows({name: column[order] for name, column in kept.items()}, None, bags)
        check_fold(sides[i], wanted(sides[i].of(key), columns), UnitSums.of(ordered[i], reduce))
    summed = tuple(name for name in names if name in ordered[group[0]].columns)  # a median has no rows
    return Metric(key, summaries, Matched(ordered, reduce, summed), *keys[group[0]][1:])


def fold_of(side: Side, key: str) -> Reduce | None:
    """The metric's own fold; None for means, and where the metric is not installed (the check finds out)."""
    spec = next((m.spec for m in side.record.metrics if key.endswith(f"#{m.short}")), "")
    try:
        reduce: Reduce | None = getattr(plugins.load("metrics", spec).value, "reduce", None)
    except CapbenchError:
        return None
    return reduce


def check_fold(side: Side, stated: Sequence[Summary], sums: UnitSums) -> None:
    """Whether the rows give the stated numbers.

    Raises:
        BadData: they do not.
    """
    faults = []
    where = str(side.folder or side.name)
    cure = "install the version of the metric that scored it, or score it again with --fresh"
    try:
        scores = sums.scores(sums.totals())
    except KeyError as error:
        raise BadData(f"{where}: the rows of {stated[0].label} lack {error}", cure=cure) from error
    for s in stated:
        if s.better == "none" and s.column not in scores:
            continue  # no sum gives it, as a median
        found = float(scores[s.column][0]) if s.column in scores else float("nan")
        if s.value is not None and not np.isclose(found, s.value, rtol=SAME, atol=1e-12):
            faults.append(Fault(where, f"the rows of {s.label} give {found:.6g}, its summary says {s.value:.6g}"))
    if faults:
        raise BadData("rows and summary do not belong together:", faults, cure)


def other_rows(sides: Sequence[Side], keys: Mapping[int, RowKeys], i: int, j: int) -> str:
    """What differs between rows that one signature stands over."""
    ours, theirs = (set(keys[k].ids.tolist()) for k in (i, j))
    for mine, others, name in ((ours, theirs, sides[i].name), (theirs, ours, sides[j].name)):
        only = sorted(mine - others)
        if only:
            return f"other items: {len(only)} are in {name} only, as {', '.join(only[:3])}"
    return "other samples or galleries of the same items"


def why_absent(sides: Sequence[Side], key: str, i: int, j: int) -> str:
    """Why the other side has no such number: the fields in which the nearest signature of it differs."""
    mine = sides[i].of(key)[0]
    known = {key_of(s) for s in sides[i].summaries}
    name = mine.signature.partition("|")[0]
    rivals = [s for s in sides[j].summaries if s.signature.partition("|")[0] == name and key_of(s) not in known]
    if not rivals:
        return f"{sides[j].name} has no {mine.metric}"
    found = min((differing(mine.signature, rival.signature) for rival in rivals), key=len)
    words = []
    for field, ours, theirs in found:
        counts = (sides[i].record.identity.items, sides[j].record.identity.items)
        hint = f"{counts[0]} and {counts[1]} images" if field == "data" and counts[0] != counts[1] else HINTS.get(field)
        words.append(f"{field}: {ours or '-'} / {theirs or '-'}" + (f" ({hint})" if hint else ""))
    return f"signatures differ in {'; '.join(words)}" if words else "signatures differ"
