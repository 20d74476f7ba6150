"""Which of two systems is better beyond chance, in every column; nothing is scored again.

A rank is one more than the number of systems that are better beyond chance: the 95% interval of the
paired bootstrap difference excludes 0. All systems of a column are drawn over the same resamples, so a
pair costs one subtraction; a pair whose unscored rows differ is drawn by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench import plugins, stats, store
from capbench.errors import CapbenchError
from capbench.leaderboard.entries import Entry
from capbench.types import Rows

if TYPE_CHECKING:
    from capbench.tables import Scored
    from capbench.types import Array

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ordered:
    """One run's rows of one metric in the order of ``names``, and the metric's fold if it has one."""

    names: tuple[str, ...]
    rows: Rows
    reduce: Any


@dataclass(frozen=True, slots=True)
class OutOfOrder:
    """A system below one that has a worse rank, as places in a table: the order is by value, the rank by tests.

    by: those that are better beyond chance than ``above``, and not than ``below``; never none.
    """

    above: int
    below: int
    by: tuple[int, ...]

    def told(self, names: Sequence[str], ranks: Sequence[int], better: str = "better") -> str:
        """It in a sentence. names, ranks: of all places. better: the word for it."""
        high, low = names[self.above], names[self.below]
        by = ", ".join(names[k] for k in self.by)
        return (
            f"{low} ({ranks[self.below]}) stands below {high} ({ranks[self.above]}): {by} "
            f"{'is' if len(self.by) == 1 else 'are'} {better} than {high} beyond chance, and not {better} than {low}."
        )


class Scores:
    """The stored rows of some runs; each file is read once."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._read: dict[int, tuple[list[str], dict[str, Scored]]] = {}

    def ordered(self, i: int, metric: str, short: str, columns: Sequence[str]) -> Ordered | None:
        """Run i's rows of a metric, sorted by sample, item and bag; None where it has no such metric.

        Raises:
            CapbenchError: the metric cannot be loaded, so that its fold of sums is not known.
        """
        items, scored = self._scored(i)
        found = scored.get(f"{metric}#{short}")
        if found is None or not set(columns) <= set(found.rows.columns):
            return None
        spec = next(m.spec for m in self._entries[i].record.metrics if m.short == short)
        reduce = getattr(plugins.load("metrics", spec).value, "reduce", None)
        kept = list(found.rows.columns) if reduce else list(columns)
        names = np.array(items, object)[found.rows.items]
        bags = np.zeros(len(names), np.int64) if found.rows.bags is None else found.rows.bags
        order = np.lexsort((bags, names, found.samples))
        rows = Rows(
            {name: found.rows.columns[name][order] for name in kept},
            None,
            None if found.rows.bags is None else bags[order],
        )
        return Ordered(tuple(names[order]), rows, reduce)

    def _scored(self, i: int) -> tuple[list[str], dict[str, Scored]]:
        """The item names and the metrics of run i by their keys."""
        if i not in self._read:
            folder = self._entries[i].folder
            self._read[i] = store.read_items(folder), {s.key: s for s in store.read_scores(folder)}
        return self._read[i]


def better_pairs(
    entries: Sequence[Entry], metric: str, short: str, signs: Mapping[str, int], scores: Scores, *, must: bool
) -> dict[str, tuple[Pair, ...] | None]:
    """For each column of a metric the pairs (better, worse) of runs, as indices into ``entries``.

    signs: column -> 1 where high is better, -1 where low is. None for a column whose metric is not
    installed here, unless ``must``.

    Raises:
        CapbenchError: the metric cannot be loaded, and ``must``.
    """
    columns = list(signs)
    if not columns:
        return {}
    try:
        runs = [scores.ordered(i, metric, short, columns) for i in range(len(entries))]
    except CapbenchError:
        if must:
            raise
        return dict.fromkeys(columns)
    differences = all_differences(runs)
    found: dict[str, list[Pair]] = {name: [] for name in columns}
    for (i, j), by_column in differences.items():
        for name in columns:
            low, high = by_column[name].low * signs[name], by_column[name].high * signs[name]
            if min(low, high) > 0:
                found[name].append((i, j))
            elif max(low, high) < 0:
                found[name].append((j, i))
    return {name: tuple(pairs) for name, pairs in found.items()}


def all_differences(runs: Sequence[Ordered | None]) -> dict[Pair, Mapping[str, stats.Interval]]:
    """The paired difference of each two runs that have the same rows."""
    groups: dict[bytes, list[int]] = {}
    for i, run in enumerate(runs):
        if run is not None:
            groups.setdefault(unscored_pattern(run.rows), []).append(i)
    drawn: dict[int, tuple[int, Mapping[str, Array]]] = {}
    for g, members in enumerate(groups.values()):
        for i, values in drawn_together([run for i in members if (run := runs[i]) is not None]).items():
            drawn[members[i]] = g, values
    differences: dict[Pair, Mapping[str, stats.Interval]] = {}
    for i, j in itertools.combinations(sorted(drawn), 2):
        first, second = runs[i], runs[j]
        if first is None or second is None or first.names != second.names:
            continue
        if drawn[i][0] == drawn[j][0]:
            differences[i, j] = {
                name: stats.percentile(float(difference[0]), [difference[1:]])
                for name, mine in drawn[i][1].items()
                for difference in (stats.minus(mine, drawn[j][1][name]),)
            }
        else:
            differences[i, j] = stats.paired_differences(first.rows, second.rows, first.reduce)
    return differences


def unscored_pattern(rows: Rows) -> bytes:
    """Equal for rows that are unscored in the same places and drawn in the same units."""
    bags = b"" if rows.bags is None else rows.bags.tobytes()
    holes = b"".join(np.packbits(np.isnan(column)).tobytes() for column in rows.columns.values())
    return b"/".join(
        [str(len(next(iter(rows.columns.values())))).encode(), *map(str.encode, rows.columns), bags, holes]
    )


def drawn_together(runs: Sequence[Ordered]) -> dict[int, Mapping[str, Array]]:
    """Each run's scores on everything, and then on the resamples that ``stats`` draws for all of them."""
    parts = [stats.UnitSums.of(run.rows, run.reduce) for run in runs]
    drawn = [[part.scores(part.totals())] for part in parts]
    for weights in stats.resampled_weights(parts[0].units, stats.RESAMPLES if parts[0].resampled else 0, 0):
        for own, part in zip(drawn, parts, strict=True):
            own.append(part.scores(weights @ part.table))
    return {i: {name: np.concatenate([one[name] for one in own]) for name in own[0]} for i, own in enumerate(drawn)}


def ranks(n: int, better: Sequence[Pair], known: Sequence[bool]) -> list[int]:
    """1 + how many are better beyond chance. Runs without the number come after all that have it."""
    beaten = [0] * n
    for _, worse in better:
        beaten[worse] += 1
    return [1 + (beaten[i] if known[i] else sum(known)) for i in range(n)]


def out_of_order(ranks: Sequence[int], better: Iterable[Pair]) -> list[OutOfOrder]:
    """Every system whose rank is better than that of one above it, with the nearest of these.

    ranks: down the table. better: (better, worse) of all that are told apart.
    """
    pairs = set(better)
    found = []
    for below, rank in enumerate(ranks):
        above = next((i for i in reversed(range(below)) if ranks[i] > rank), None)
        if above is not None:
            by = (k for k in range(len(ranks)) if (k, above) in pairs and (k, below) not in pairs)
            found.append(OutOfOrder(above, below, tuple(by)))
    return found
