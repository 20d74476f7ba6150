"""Two or more runs, compared item by item in every column that they share. Nothing is run here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np

from capbench import paired, store
from capbench.errors import Fault, NotComparable, UsageError
from capbench.matching import Gap, Metric, Side, match, read_sides
from capbench.paired import Difference, Test
from capbench.significance import ALPHA, holm
from capbench.store import Run
from capbench.tables import safe
from capbench.types import Summary

MOVED = 5
Verdict = Literal["better", "worse", "not told apart", "-"]


@dataclass(frozen=True, slots=True)
class Moved:
    """An item whose two scores lie far apart; captions are None where the run keeps none."""

    id: str
    sample: int
    bag: int | None
    first: float
    second: float
    captions: tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One column of one pair: first - second. adjusted: p after Holm over all lines that are tested."""

    summary: Summary
    first: int
    second: int
    difference: Difference
    adjusted: float
    moved: tuple[Moved, ...] = ()

    @property
    def gain(self) -> float:
        """The difference, positive where the first is better; NaN where no way is better."""
        sign = {"high": 1.0, "low": -1.0, "none": float("nan")}[self.summary.better]
        return sign * self.difference.value

    @property
    def verdict(self) -> Verdict:
        """What can be said of the first at 5%, adjusted; "-": not tested."""
        if np.isnan(self.adjusted):
            return "-"
        if self.adjusted >= ALPHA:
            return "not told apart"
        return "better" if self.gain > 0 else "worse"

    @property
    def wins(self) -> tuple[int, int, int]:
        """Rows on which the first is better, equal and worse (higher and lower where no way is better)."""
        found = (self.difference.higher, self.difference.equal, self.difference.lower)
        return found[::-1] if self.summary.better == "low" else found


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that was compared, and what was not (``gaps``)."""

    names: tuple[str, ...]
    benchmark: str
    lines: tuple[Line, ...]
    gaps: tuple[Gap, ...]
    resamples: int
    seed: int
    test: Test

    @property
    def family(self) -> int:
        """How many p-values were adjusted together."""
        return sum(not np.isnan(line.adjusted) for line in self.lines)


def compare(
    runs: Sequence[Path | Run],
    columns: Sequence[str] = (),
    *,
    resamples: int = paired.RESAMPLES,
    seed: int = 0,
    test: Test = "both",
    moved: int = MOVED,
) -> Comparison:
    """Every pair of runs in every column that both have with equal signatures.

    columns: only these, by name or label. moved: how many of the items that moved most are kept a line.

    Raises:
        UsageError: fewer than two runs, or an unknown column.
        NotComparable: no column can be compared; says in what the signatures differ.
        MissingPart, BadData: a run is not finished or cannot be read.
    """
    if len(runs) < 2:
        raise UsageError("one run alone cannot be compared", "give two or more runs")
    sides = read_sides(runs)
    known_columns(sides, columns)
    made = compare_sides(sides, columns, list(combinations(range(len(sides)), 2)), resamples, seed, test, moved)
    asked = {g.column for g in made.gaps if g.column in columns or g.label in columns}
    if not made.lines or asked - {line.summary.column for line in made.lines}:
        raise NotComparable("these runs cannot be compared:", faults_of(made), "compare runs of the same benchmark")
    return made


def compare_sides(
    sides: Sequence[Side],
    columns: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    resamples: int,
    seed: int,
    test: Test,
    moved: int,
) -> Comparison:
    """``compare`` for runs that were read; refuses nothing."""
    metrics, gaps = match(sides, columns)
    found = paired.differences([m.matched for m in metrics], pairs, resamples=resamples, seed=seed, test=test)
    captions = captions_of(sides) if moved else {}
    lines: list[Line] = []
    for k, metric in enumerate(metrics):
        for s in metric.summaries:
            for i, j in pairs:
                if (k, (i, j), s.column) not in found:
                    continue
                difference = found[k, (i, j), s.column]
                if difference.n == 0:
                    gaps.append(Gap(s.label, s.column, i, j, "no item has a score in both"))
                    continue
                directed = s.better != "none"  # without a direction there is no verdict, and nothing is tested
                most = movers(metric, s.column, (i, j), moved, captions) if directed else ()
                lines.append(Line(s, i, j, difference, difference.p if directed else float("nan"), most))
    adjusted = holm([line.adjusted for line in lines])
    lines = [replace(line, adjusted=p) for line, p in zip(lines, adjusted, strict=True)]
    identity = sides[0].record.identity
    about = f"{identity.benchmark} version {identity.version}, {identity.items} images"
    return Comparison(tuple(s.name for s in sides), about, tuple(lines), tuple(reported(gaps)), resamples, seed, test)


def known_columns(sides: Sequence[Side], columns: Sequence[str]) -> None:
    """Refuse names that no run has."""
    names = {name for side in sides for s in side.summaries for name in (s.column, s.label)}
    for column in columns:
        if column not in names:
            shown = dict.fromkeys(s.column for side in sides for s in side.summaries)
            raise UsageError(f"no column is called {column!r}", f"there are: {', '.join(shown)}")


def reported(gaps: Sequence[Gap]) -> list[Gap]:
    """Each gap once: of two that say the same from both sides, the first run's."""
    known = {(g.first, g.second, g.column) for g in gaps}
    return [g for g in gaps if g.first < g.second or (g.second, g.first, g.column) not in known]


def faults_of(comparison: Comparison) -> list[Fault]:
    """The gaps; columns with one reason are one fault."""
    reasons: dict[tuple[int, int, str], dict[str, None]] = {}
    for gap in comparison.gaps:
        reasons.setdefault((gap.first, gap.second, gap.why), {}).setdefault(gap.label)
    names = comparison.names
    return [Fault(f"{names[i]}, {names[j]}: {', '.join(labels)}", why) for (i, j, why), labels in reasons.items()]


Captions = dict[int, dict[str, dict[int, str | None]]]  # side -> id -> sample -> text


def captions_of(sides: Sequence[Side]) -> Captions:
    """Each run's captions; entries of leaderboards keep none."""
    found: Captions = {}
    for i, side in enumerate(sides):
        path = None if side.folder is None else side.folder / store.CAPTIONS
        if path is None or not path.exists():
            continue
        own: dict[str, dict[int, str | None]] = {}
        for caption in store.parse_captions(path.read_bytes(), path):
            own.setdefault(safe(caption.id), {})[caption.sample] = caption.text
        found[i] = own
    return found


def movers(metric: Metric, column: str, pair: tuple[int, int], count: int, captions: Captions) -> tuple[Moved, ...]:
    """The rows whose scores lie furthest apart; those that are equal did not move."""
    first, second = (metric.matched.rows[i].columns[column] for i in pair)
    gap = np.abs(first - second)
    gap = np.where(np.isnan(gap) | (gap <= paired.EQUAL), 0.0, gap)
    most = [k for k in np.argsort(-gap, kind="stable")[:count].tolist() if gap[k] > 0]
    whole = not metric.samples.any()  # rows are about images: all captions of one belong to its number

    def text(side: int, k: int) -> str | None:
        own = captions.get(side, {}).get(metric.ids[k], {})
        if whole and len(own) > 1:
            return " / ".join("(none)" if own[n] is None else str(own[n]) for n in sorted(own))
        return own.get(int(metric.samples[k]))

    return tuple(
        Moved(
            metric.ids[k], int(metric.samples[k]), int(metric.bags[k]) if metric.bags[k] >= 0 else None,
            float(first[k]), float(second[k]), (text(pair[0], k), text(pair[1], k)),
        )
        for k in most
    )  # fmt: skip
