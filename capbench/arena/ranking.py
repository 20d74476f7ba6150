"""Systems ranked by their contests: strengths with intervals, and what cannot be ranked and why.

Strengths are Bradley-Terry's on Elo's scale (``strengths``). Intervals are percentiles of the bootstrap over items:
all contests of an item are drawn together. The scale of each resample is shifted so that the systems of its reference
(those linked to the anchor, else the largest set of linked systems) have the mean that they have in all contests. A
system that in a resample is only ever above, or only below, its reference has an infinite strength there: an interval
may have an open end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from capbench import stats
from capbench.arena.contests import Contest, systems_of
from capbench.arena.strengths import SCALE, fit, linked, reachable
from capbench.errors import UsageError

if TYPE_CHECKING:
    from capbench.types import Array, Ints

CENTRE = 1000.0  # the mean of a group's strengths, or the anchor's
Standing = Literal["won everything", "lost everything", "always above", "always below", "in between", "unconnected"]
WHY: Mapping[Standing, str] = {
    "won everything": "its strength has no upper bound: no contest of it was lost or tied",
    "lost everything": "its strength has no lower bound: no contest of it was won or tied",
    "always above": "no chain of wins leads from the ranked systems to it: its strength has no upper bound",
    "always below": "no chain of wins leads from it to the ranked systems: its strength has no lower bound",
    "in between": "it is above some systems and below others, and no chain of wins leads back from any to it",
    "unconnected": "no chain of contests leads to the ranked systems, or none that says who is above",
}


@dataclass(frozen=True, slots=True)
class Tally:
    """The contests of a system."""

    won: int
    tied: int
    lost: int

    @property
    def rate(self) -> float:
        """The share won, a tie as half."""
        return (self.won + self.tied / 2) / (self.won + self.tied + self.lost)


@dataclass(frozen=True, slots=True)
class Place:
    """A system with a strength. low, high: 95%; infinite where open, NaN where there are too few items.

    stronger: those that are stronger beyond chance.
    """

    system: str
    rank: int
    strength: float
    low: float
    high: float
    stronger: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Apart:
    """A system that is not ranked, beside the first group."""

    system: str
    standing: Standing


@dataclass(frozen=True, slots=True)
class Ranking:
    """Everything that the contests say.

    groups: systems that chains of wins link both ways, each group on a scale of its own, the first the main one.
    won, tied: contests that row won against column, and that both tied (systems x systems, in order of ``systems``).
    """

    systems: tuple[str, ...]
    groups: tuple[tuple[Place, ...], ...]
    apart: tuple[Apart, ...]
    won: Ints
    tied: Ints
    items: int
    contests: int
    anchor: str
    resamples: int
    seed: int

    def tally(self, system: str) -> Tally:
        """The contests of one system."""
        i = self.systems.index(system)
        return Tally(int(self.won[i].sum()), int(self.tied[i].sum()), int(self.won[:, i].sum()))


class Table(NamedTuple):
    """Contests as numbers. cell: where in the flat table of wins each win stands, with its item and value.

    A tie is two wins of a half. won, tied: counts of contests (systems x systems).
    """

    systems: tuple[str, ...]
    item: Ints
    cell: Ints
    value: Array
    won: Ints
    tied: Ints
    items: int

    def wins(self, weights: Array) -> Array:
        """w_ij under each row of item weights (resamples x systems x systems)."""
        n = len(self.systems)
        drawn = weights[:, self.item] * self.value
        return np.array([np.bincount(self.cell, own, n * n) for own in drawn]).reshape(len(weights), n, n)

    def items_of(self, system: int, group: Sequence[int]) -> int:
        """On how many items a system meets the others of its group."""
        winner, loser = np.divmod(self.cell, len(self.systems))
        own = ((winner == system) & np.isin(loser, group)) | ((loser == system) & np.isin(winner, group))
        return len(np.unique(self.item[own]))


def rank(contests: Sequence[Contest], *, anchor: str = "", resamples: int = stats.RESAMPLES, seed: int = 0) -> Ranking:
    """Strengths, intervals and ranks.

    anchor: the system whose strength is 1000; without one the mean of each group is. A system that meets the others
    of its group on fewer than ``stats.MIN_BAGS`` items has no interval, and is told apart from none. A rank is 1 +
    the number of systems of the group that are better beyond chance: the 95% interval of the paired difference
    excludes 0 (not corrected for many pairs).

    Raises:
        UsageError: no contests, or the anchor is in none of them.
    """
    if not contests:
        raise UsageError("there are no contests to rank by", "one verdict or more")
    table = table_of(contests)
    if anchor and anchor not in table.systems:
        raise UsageError(f"no system is called {anchor!r}", f"there are: {', '.join(table.systems)}")
    wins = table.wins(np.ones((1, table.items)))[0]
    reach = reachable(wins[None])[0]
    groups = groups_of(linked(reach), wins, table.systems.index(anchor) if anchor else -1)
    ranked = [
        places_of(table, group, wins, anchor if anchor in [table.systems[i] for i in group] else "", resamples, seed)
        for group in groups
    ]
    apart = apart_of(table.systems, groups, reach, wins)
    return Ranking(
        table.systems, tuple(ranked), tuple(apart), table.won, table.tied, table.items, len(contests), anchor,
        resamples, seed,
    )  # fmt: skip


def table_of(contests: Sequence[Contest]) -> Table:
    """The contests as numbers."""
    systems = systems_of(contests)
    n = len(systems)
    place = {name: i for i, name in enumerate(systems)}
    items = {item: i for i, item in enumerate(dict.fromkeys(c.item for c in contests))}
    item = np.array([items[c.item] for c in contests])
    a, b = (np.array([place[name] for name in names]) for names in zip(*((c.a, c.b) for c in contests), strict=True))
    tie = np.array([not c.choice for c in contests])
    first = np.array([c.choice in (c.a, "") for c in contests])
    cell = np.where(first, a * n + b, b * n + a)
    back = (b * n + a)[tie]
    tied = np.bincount(cell[tie], minlength=n * n) + np.bincount(back, minlength=n * n)
    won = np.bincount(cell[~tie], minlength=n * n)
    return Table(
        systems, np.concatenate([item, item[tie]]), np.concatenate([cell, back]),
        np.concatenate([np.where(tie, 0.5, 1.0), np.full(int(tie.sum()), 0.5)]),
        won.reshape(n, n), tied.reshape(n, n), len(items),
    )  # fmt: skip


def groups_of(both: Any, wins: Array, anchor: int) -> list[list[int]]:
    """The systems that are linked to each other, two or more; the anchor's first, then the largest."""
    groups = list(dict.fromkeys(tuple(np.flatnonzero(row).tolist()) for row in both))
    fought = {group: wins[np.ix_(group, group)].sum() for group in groups}
    kept = [group for group in groups if len(group) > 1]
    return [list(g) for g in sorted(kept, key=lambda g: (anchor not in g, -len(g), -fought[g]))]


def places_of(
    table: Table, group: Sequence[int], wins: Array, anchor: str, resamples: int, seed: int
) -> tuple[Place, ...]:
    """The systems of one group, the strongest first."""
    cut = np.ix_(group, group)
    names = [table.systems[i] for i in group]
    at = names.index(anchor) if anchor else -1
    here = fit(wins[cut][None], np.ones((1, len(group)), bool))[0] * SCALE
    here = here + CENTRE - (here[at] if anchor else here.mean())
    count = resamples if table.items >= stats.MIN_BAGS else 0
    drawn = [
        resampled(table.wins(weights)[:, cut[0], cut[1]], here, at)
        for weights in stats.resampled_weights(table.items, count, seed)
    ]
    draws = np.concatenate(drawn) if drawn else np.zeros((0, len(group)))
    draws[:, [table.items_of(i, group) < stats.MIN_BAGS for i in group]] = np.nan
    bounds = [bounds_of(column) for column in draws.T]
    better = [tuple(names[j] for j in others) for others in stronger(draws)]
    order = np.argsort(-here, kind="stable")
    return tuple(
        Place(names[i], 1 + len(better[i]), float(here[i]), bounds[i][0], bounds[i][1], better[i])
        for i in order.tolist()
    )


def resampled(wins: Array, here: Array, anchor: int) -> Array:
    """The strengths in each resample (resamples x systems), on the scale of ``here``; infinite where unbounded.

    NaN: in that resample nothing says whether the system is above or below the reference.
    """
    reach = reachable(wins)
    both = linked(reach)
    sizes = both.sum(axis=2)
    heads = np.argmax(sizes, axis=1) if anchor < 0 else np.full(len(wins), anchor)
    rows = np.arange(len(wins))
    inside = both[rows, heads]
    found = fit(wins, inside) * SCALE
    fixed = inside if anchor < 0 else np.eye(len(here), dtype=bool)[heads]
    gap = np.where(fixed, here - found, 0.0).sum(axis=1) / fixed.sum(axis=1)
    over, under = reach[rows, :, heads], reach[rows, heads]
    if anchor < 0:
        # several sets as large as the largest: none is the reference, above is above every system
        several = ((sizes == sizes.max(axis=1, keepdims=True)) & ~inside).any(axis=1, keepdims=True)
        over, under = np.where(several, reach.all(axis=2), over), np.where(several, reach.all(axis=1), under)
        inside = inside & ~several
    unbounded = np.where(over & ~under, np.inf, np.where(under & ~over, -np.inf, np.nan))
    return np.where(inside, found + gap[:, None], unbounded)


def bounds_of(drawn: Array) -> tuple[float, float]:
    """The 95% percentile interval, outward to the next resample: infinite values cannot be interpolated."""
    known = np.sort(drawn[~np.isnan(drawn)])
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - stats.LEVEL) / 2 * (len(known) - 1)
    return float(known[int(np.floor(tail))]), float(known[int(np.ceil(len(known) - 1 - tail))])


def stronger(draws: Array) -> list[list[int]]:
    """For each system, those that are stronger beyond chance."""
    found = []
    with np.errstate(invalid="ignore"):
        for i in range(draws.shape[1]):
            gaps = draws - draws[:, i : i + 1]  # two that are infinite together are not told apart: NaN
            found.append([j for j in range(draws.shape[1]) if j != i and bounds_of(gaps[:, j])[0] > 0])
    return found


def apart_of(systems: Sequence[str], groups: Sequence[Sequence[int]], reach: Any, wins: Array) -> list[Apart]:
    """Every system that is in no group."""
    inside = {i for group in groups for i in group}
    main = groups[0][0] if groups else -1
    made = []
    for i, name in enumerate(systems):
        if i in inside:
            continue
        standing: Standing = "unconnected" if groups else "in between"
        over, under = (bool(reach[i, main]), bool(reach[main, i])) if groups else (True, True)
        if not wins[:, i].any() and over:
            standing = "won everything"
        elif not wins[i].any() and under:
            standing = "lost everything"
        elif groups and over:
            standing = "always above"
        elif groups and under:
            standing = "always below"
        made.append(Apart(name, standing))
    return made
